//! The names of the headers that the specifications define.

/// `accept-version`: the versions a client supports (`CONNECT`).
pub const ACCEPT_VERSION: &str = "accept-version";
/// `ack`: the mode of a subscription (`SUBSCRIBE`), or the name of a delivery (`MESSAGE`, 1.2).
pub const ACK: &str = "ack";
/// `content-length`: the body's length in bytes.
pub const CONTENT_LENGTH: &str = "content-length";
/// `content-type`: the body's MIME type.
pub const CONTENT_TYPE: &str = "content-type";
/// `destination`: where a message goes, or came from.
pub const DESTINATION: &str = "destination";
/// `heart-beat`: what a side can send and would like to get, see [`HeartBeat`](crate::HeartBeat).
pub const HEART_BEAT: &str = "heart-beat";
/// `host`: the virtual host a client wants (`CONNECT`).
pub const HOST: &str = "host";
/// `id`: a subscription's name (`SUBSCRIBE`, `UNSUBSCRIBE`), or a delivery's (`ACK`, `NACK`, 1.2).
pub const ID: &str = "id";
/// `login`: the user (`CONNECT`).
pub const LOGIN: &str = "login";
/// `message`: a short description (`ERROR`).
pub const MESSAGE: &str = "message";
/// `message-id`: a message's unique name (`MESSAGE`, and `ACK` and `NACK` before 1.2).
pub const MESSAGE_ID: &str = "message-id";
/// `passcode`: the password (`CONNECT`).
pub const PASSCODE: &str = "passcode";
/// `receipt`: asks for a `RECEIPT`.
pub const RECEIPT: &str = "receipt";
/// `receipt-id`: the `receipt` that is answered (`RECEIPT`, `ERROR`).
pub const RECEIPT_ID: &str = "receipt-id";
/// `server`: the server's name and version (`CONNECTED`).
pub const SERVER: &str = "server";
/// `session`: the session's name (`CONNECTED`).
pub const SESSION: &str = "session";
/// `subscription`: the `id` of the subscription a message is for (`MESSAGE`, and `ACK` and `NACK` in 1.1).
pub const SUBSCRIPTION: &str = "subscription";
/// `transaction`: the transaction a frame belongs to.
pub const TRANSACTION: &str = "transaction";
/// `version`: the version the session uses (`CONNECTED`), or those that are supported (`ERROR`).
pub const VERSION: &str = "version";
