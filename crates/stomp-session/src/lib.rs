//! One peer's STOMP conversation: the protocol, and the task that runs it.
//!
//! [`Session::new`] takes a [`Socket`](stomp_socket::Socket) and gives three things: a [`Session`], the handle that
//! sends; [`Requests`], what the peer asks for; and a [`Connection`], the future that owns the socket and does all the
//! work while it is polled.
//!
//! ```
//! use stomp_frame::Command;
//! use stomp_session::{Config, Response, Session};
//! # use stomp_socket::Socket;
//!
//! # async fn example(socket: Socket) {
//! let (session, mut requests, connection) = Session::new(socket, Config::default());
//! tokio::spawn(connection);
//!
//! while let Some((request, responder)) = requests.next().await {
//!     match request.command() {
//!         Command::Connect | Command::Stomp => session.connected([("server", "OurCompany/3.4")]),
//!         Command::Subscribe => responder.ok(),
//!         _ => responder.ok(),
//!     }
//! }
//! # }
//! ```
//!
//! Instead of a loop over `Requests`, [`Connection::run`] calls any `tower::Service<Request>`, such as a router's
//! routes.
//!
//! # Acknowledgments
//!
//! A subscription with `ack:client` or `ack:client-individual` gets no more than [`Config::max_unacked_messages`] messages that it has
//! not acknowledged, or fewer if its `SUBSCRIBE` says so in `prefetch-count`; then its streams rest. The items of its
//! streams are [`Delivery`]s, each of which is told once what became of it. `ACK` and `NACK` are no requests: the session
//! handles them.
//!
//! # Transactions
//!
//! The `SEND`s of a transaction are held, and requested one by one when it is committed, see [`Staging`].
//!
//! # What is wrong
//!
//! A peer that breaks the protocol or a limit gets one `ERROR` and is closed; its `message` header is one of:
//!
//! | code | what the peer did |
//! |---|---|
//! | `malformed-frame`, `malformed-message` | it sent what is not STOMP, or not WebSocket |
//! | `too-large` | it exceeded a limit of [`Config::limits`] or [`Config::max_destination_bytes`] |
//! | `missing-header`, `unexpected-frame` | a frame lacks what it must have, or may not be sent, or not now |
//! | `version-not-supported` | it speaks no version of ours |
//! | `connect-timeout`, `frame-timeout`, `heart-beat-timeout` | it was too slow, or silent |
//! | `duplicate-subscription`, `too-many-subscriptions`, `unknown-subscription` | about subscriptions |
//! | `unknown-delivery`, `already-settled` | about what it acknowledges |
//! | `duplicate-transaction`, `too-many-transactions`, `transaction-too-large`, `unknown-transaction` | about transactions |
//! | `slow-consumer` | it does not take what is sent to it |
//! | `credentials-expired` | see [`Session::expires_at`] |
//!
//! Errors of the application are answered too, by its own [`ClientError`]s, `timeout`, `overloaded` or `internal-error`;
//! whether they close is up to [`Config::app_errors`].
//!
//! | to read about | see |
//! |---|---|
//! | what a peer asks | [`Request`], [`Params`], [`Pattern`], [`Principal`], [`DisconnectReason`] |
//! | what it is answered | [`Response`], [`Connected`], [`ClientError`] |
//! | what it is sent | [`Message`], [`IntoMessage`], [`Json`] |
//! | what it acknowledges | [`Delivery`], [`Settlement`], [`IntoDelivery`] |
//! | its transactions | [`Staging`] |
//! | who is connected | [`Sessions`], [`SessionId`] |
//! | pushing to many | [`Topic`], [`Mailbox`] |
//! | settings | [`Config`], [`AppErrors`] |

#![forbid(unsafe_code)]

mod catch_drop;
mod command_queue;
mod config;
mod connection;
mod delivery;
mod disconnect_reason;
mod error;
mod id;
mod json;
mod mailbox;
mod message;
mod params;
mod principal;
mod protocol;
mod request;
mod requests;
mod response;
mod session;
mod sessions;
mod staging;
mod topic;
mod weight;

pub use config::{AppErrors, Config};
pub use connection::{Connection, Run};
pub use delivery::{Delivery, IntoDelivery, Settlement};
pub use disconnect_reason::DisconnectReason;
pub use error::{BoxError, ClientError, ErrorMapper, NotSubscribed};
pub use id::{ParseSessionIdError, SessionId};
pub use json::Json;
pub use mailbox::{
    Mailbox, Messages,
    config::{MailboxConfig, Overflow, SlowConsumer},
};
pub use message::{IntoMessage, Message};
pub use params::{Params, Pattern};
pub use principal::Principal;
pub use request::Request;
pub use requests::{Requests, Responder};
pub use response::{Connected, MessageStream, Response};
pub use session::{Observed, Session};
pub use sessions::Sessions;
pub use staging::Staging;
pub use topic::{Subscriber, Topic};

pub use stomp_frame::InvalidConfig;
pub use stomp_socket::{CloseCode, Peer};
