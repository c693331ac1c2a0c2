//! Names of the headers that the specifications define.

/// `accept-version`: the versions a client supports (`CONNECT`).
pub const ACCEPT_VERSION: &str = "accept-version";
/// `ack`: the acknowledgment mode of a subscription (`SUBSCRIBE`), or the id that acknowledges a message (`MESSAGE`,
/// 1.2).
pub const ACK: &str = "ack";
/// `content-length`: the length of the body, in bytes.
pub const CONTENT_LENGTH: &str = "content-length";
/// `content-type`: the MIME type of the body.
pub const CONTENT_TYPE: &str = "content-type";
/// `destination`: the destination of a message or a subscription.
pub const DESTINATION: &str = "destination";
/// `heart-beat`: the intervals at which a side can send heart-beats and wants to receive them, see
/// [`HeartBeat`](crate::HeartBeat).
pub const HEART_BEAT: &str = "heart-beat";
/// `host`: the virtual host that a client connects to (`CONNECT`).
pub const HOST: &str = "host";
/// `id`: the id of a subscription (`SUBSCRIBE`, `UNSUBSCRIBE`), or the value of a message's `ack` header (`ACK`,
/// `NACK`, 1.2).
pub const ID: &str = "id";
/// `login`: the name of the user (`CONNECT`).
pub const LOGIN: &str = "login";
/// `message`: a short description of the error (`ERROR`).
pub const MESSAGE: &str = "message";
/// `message-id`: the unique id of a message (`MESSAGE`, and `ACK` and `NACK` before 1.2).
pub const MESSAGE_ID: &str = "message-id";
/// `passcode`: the password (`CONNECT`).
pub const PASSCODE: &str = "passcode";
/// `receipt`: requests a `RECEIPT` with this id (any client frame but `CONNECT`).
pub const RECEIPT: &str = "receipt";
/// `receipt-id`: the value of the `receipt` header of the client's frame that this frame answers (`RECEIPT`, `ERROR`).
pub const RECEIPT_ID: &str = "receipt-id";
/// `server`: the server's name and version (`CONNECTED`).
pub const SERVER: &str = "server";
/// `session`: the unique id of the session (`CONNECTED`).
pub const SESSION: &str = "session";
/// `subscription`: the id of the subscription that a message belongs to (`MESSAGE`, and `ACK` and `NACK` in 1.1).
pub const SUBSCRIPTION: &str = "subscription";
/// `transaction`: the id of the transaction that a frame begins, ends or belongs to.
pub const TRANSACTION: &str = "transaction";
/// `version`: the version of the session (`CONNECTED`), or the supported versions (`ERROR`).
pub const VERSION: &str = "version";
