//! Sessions of STOMP peers: the protocol of one conversation, and the task that runs it.
//!
//! [`Session::new`] takes a [`Socket`](stomp_socket::Socket) and returns three values: a [`Session`], the handle with
//! which the server sends; [`Requests`], the requests of the peer; and a [`Connection`], the future that owns the
//! socket and does all the work while it is polled.
//!
//! ```
//! use stomp_frame::Command;
//! use stomp_session::{Config, Session};
//! # use stomp_socket::Socket;
//!
//! # async fn example(socket: Socket) {
//! let (session, mut requests, connection) = Session::new(socket, Config::default());
//! tokio::spawn(connection);
//!
//! while let Some((request, responder)) = requests.next().await {
//!     match request.command() {
//!         Command::Connect | Command::Stomp => session.connected([("server", "OurCompany/3.4")]),
//!         Command::Send => println!("{}: {:?}", request.destination(), request.body()),
//!         _ => {}
//!     }
//!     // Every request needs an answer. A responder that is dropped answers with an error.
//!     responder.ok();
//! }
//! # }
//! ```
//!
//! [`Connection::run`] calls any `tower::Service<Request>`, such as the routes of a router, in place of the loop over
//! `Requests`.
//!
//! # Destinations
//!
//! The session parses the destination of each `SEND` and `SUBSCRIBE` once, by [`Config::destinations`]. Everything that
//! decides about a request uses the parsed [`Destination`], which is the same for all spellings. By default every text
//! is a destination of its own.
//!
//! # Acknowledgments
//!
//! A subscription with `ack:client` or `ack:client-individual` has at most as many messages that the peer has not
//! acknowledged as it was granted: the number in the header `prefetch-count` of its `SUBSCRIBE`, or 256. When it has
//! that many, its streams pause. A number above [`Config::max_unacked_messages`] is refused. The items of the streams
//! are [`Delivery`]s, each of which reports its outcome exactly once. The session handles `ACK` and `NACK` itself; a
//! service does not see them.
//!
//! Only a delivery with a [callback for its outcome](Delivery::on_settled) counts as unacknowledged. Nobody waits for the
//! outcome of others, such as messages of a [`Topic`], and they are never redelivered. So they need no credit, and their
//! `ACK` and `NACK` have no effect but a `RECEIPT`. If such a message follows a delivery that still waits for a cumulative
//! `ACK`, it counts, because its own `ACK` covers that delivery. Before STOMP 1.2 the session does not know the ids of
//! messages that do not count: in a subscription that had any, each well-formed `message-id` is accepted.
//!
//! A service can send to a client that has no subscription: [`Session::subscribe`] adds an implicit one, as a broker
//! does for replies.
//!
//! A message has the same `message-id` in each session and version, and when it is redelivered: see [`MessageId`]. In
//! STOMP 1.2, the peer acknowledges by the header `ack`, which names one delivery of one session. Before, it
//! acknowledges by `message-id`. If several unacknowledged deliveries have this `message-id`, the `ACK` settles that of
//! the named subscription, or of the oldest one in STOMP 1.0, and of several in one subscription the oldest.
//!
//! # Transactions
//!
//! The session holds the `SEND`s of a transaction, and calls the service with them when the peer commits. Services
//! stage futures and effects, which run if no `SEND` is refused, see [`Staging`]. The `RECEIPT` of the `COMMIT` is sent
//! after them.
//!
//! # Errors
//!
//! A peer that violates the protocol or exceeds a limit gets one `ERROR`, and the connection is closed. The `message`
//! header of the `ERROR` is one of these codes:
//!
//! | code | cause |
//! |---|---|
//! | `malformed-frame`, `malformed-message` | the data is not STOMP, or not WebSocket |
//! | `too-large` | the frame exceeds one of [`Config::limits`] or [`Config::max_destination_bytes`] |
//! | `missing-header`, `unexpected-frame` | the frame lacks a required header, or is not allowed, or not allowed now |
//! | `version-not-supported` | there is no common version |
//! | `connect-timeout`, `frame-timeout`, `heart-beat-timeout` | the peer was too slow, or silent |
//! | `duplicate-subscription`, `too-many-subscriptions`, `unknown-subscription` | a wrong `SUBSCRIBE`, `UNSUBSCRIBE` or `ACK`; the first two do not close the connection if they concern an implicit subscription |
//! | `unknown-delivery`, `already-settled` | a wrong `ACK` or `NACK` |
//! | `duplicate-transaction`, `too-many-transactions`, `transaction-too-large`, `unknown-transaction` | a wrong use of transactions |
//! | `slow-consumer` | the peer does not take its messages fast enough |
//! | `credentials-expired` | see [`Session::expires_at`] |
//! | `session-closed` | the application has closed the session, and the text is its reason: see [`Session::close_with`] |
//! | `too-many-sessions` | see [`Config::max_sessions_per_principal`] |
//!
//! Errors of the application have the codes of its own [`ClientError`]s, or one of these. [`Config::app_errors`] and
//! [`ClientError::with_close`] decide if they close the connection.
//!
//! | code | cause |
//! |---|---|
//! | `prefetch-too-large` | a `SUBSCRIBE` asks for more than [`Config::max_unacked_messages`], or than [`Config::max_total_unacked_messages`] leaves |
//! | `too-many-subscriptions` | see [`Config::max_subscriptions_per_principal`]; beyond [`Config::max_subscriptions`], the same code closes the connection |
//! | `bad-destination` | [`Config::destinations`] refuses the destination, also in a transaction, which then cannot be committed |
//! | `timeout` | the service, or the futures of a transaction, have not completed within [`Config::handler_timeout`] |
//! | `engine-unavailable` | a future of [`Staging::on_commit`] has failed with an error that is not a [`ClientError`]: it is unknown if the transaction took effect |
//! | `overloaded` | the service was not ready within [`Config::handler_timeout`]; always closes the connection |
//! | `not-subscribed` | the service sent a message to the client, which has no subscription to its destination: [`NotSubscribed`] |
//! | `internal-error` | any other error of the service |
//!
//! # Overview
//!
//! | topic | items |
//! |---|---|
//! | requests | [`Request`], [`Params`], [`Pattern`], [`Principal`], [`DisconnectReason`] |
//! | destinations | [`Destination`], [`DestinationSyntax`], [`PrefixSyntax`], [`InvalidDestination`] |
//! | answers | [`Response`], [`Connected`], [`ClientError`] |
//! | messages | [`Message`], [`MessageId`], [`IntoMessage`], [`Json`] |
//! | acknowledgments | [`Delivery`], [`Gap`], [`Settlement`], [`IntoDelivery`] |
//! | transactions | [`Staging`] |
//! | connected sessions | [`Sessions`], [`SessionId`], [`PresenceChange`], [`SubscriptionInfo`] |
//! | fan-out | [`Topic`], [`Hub`], [`Mailbox`] |
//! | settings | [`Config`], [`AppErrors`], [`MemoryBudget`] |
//! | metrics and audits | [`Monitor`], `SessionMetrics` |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `metrics` | no | `SessionMetrics`, a [`Monitor`] that counts through the crate `metrics` |

#![forbid(unsafe_code)]

mod catch_drop;
mod catch_panic;
mod client_error;
mod command_queue;
mod config;
mod connection;
mod delivery;
mod destination;
mod disconnect_reason;
mod error;
mod fan_out;
mod guarded;
mod id;
mod json;
mod mailbox;
mod memory_budget;
mod message;
#[cfg(feature = "metrics")]
mod metrics;
mod monitor;
mod params;
mod presence;
mod principal;
mod principal_share;
mod protocol;
mod request;
mod requests;
mod response;
mod routed;
mod session;
mod sessions;
mod staging;
mod subscription_info;
mod task_signal;
mod topic;
mod unique_id;
mod weight;

pub use config::{AppErrors, Config};
pub use connection::{Connection, Run};
pub use delivery::{Delivery, Gap, IntoDelivery, Settlement};
pub use destination::{Destination, DestinationSyntax, InvalidDestination, PrefixSyntax};
pub use disconnect_reason::DisconnectReason;
pub use error::{
    BoxError, ClientError, ErrorMapper, NotSubscribed, ObserveError, SubscribeError, TooManyErrors,
};
pub use fan_out::{Hub, Published, Subscriber};
pub use id::{MessageId, ParseIdError, SessionId};
pub use json::Json;
pub use mailbox::{
    Mailbox, Messages,
    config::{BacklogConfig, Overflow, SlowConsumer},
};
pub use memory_budget::{MemoryBudget, MemoryCharge};
pub use message::{IntoMessage, Message};
#[cfg(feature = "metrics")]
pub use metrics::SessionMetrics;
pub use monitor::{
    HandledRequest, Monitor, Monitors, Outcome, OutgoingFrame, SessionEnd, Transfer,
};
pub use params::{Params, Pattern};
pub use presence::{Presence, PresenceChange, PresenceChanges};
pub use principal::Principal;
pub use request::Request;
pub use requests::{Requests, Responder};
pub use response::{Connected, MessageStream, Response};
pub use session::{Observed, Session};
pub use sessions::Sessions;
pub use staging::Staging;
pub use subscription_info::SubscriptionInfo;
pub use topic::Topic;

#[doc(inline)]
pub use stomp_frame::InvalidConfig;
#[doc(inline)]
pub use stomp_socket::{CloseCode, Peer};

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
