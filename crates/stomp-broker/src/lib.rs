//! Topics and queues for STOMP sessions.
//!
//! A [`Broker`] relates sessions to each other by destination. It is a `tower::Service`, so that a connection can run it
//! as it is, or an application mounts it under the destinations that it is for:
//!
//! ```
//! use stomp_broker::{Allow, Broker, Config};
//! use stomp_session::Session;
//! # use stomp_socket::Socket;
//!
//! # fn example(socket: Socket) -> Result<(), stomp_session::InvalidConfig> {
//! let config = Config::default().send(Allow::when(|request| request.principal().is_some()));
//! let broker = Broker::new(config)?;
//!
//! let (_, _, connection) = Session::new(socket, stomp_session::Config::default());
//! tokio::spawn(connection.run(broker.clone()));
//! # Ok(())
//! # }
//! ```
//!
//! # Destinations
//!
//! | destination | who gets what is sent there |
//! |---|---|
//! | `/topic/…` | everybody who is subscribed, at that time |
//! | `/queue/…` | one of its consumers; it waits until there is one, and until it is acknowledged |
//! | `/user/…` | all sessions of the same principal that are subscribed, and nobody else |
//! | `/temp-queue/…` | the session whose it is; others send to it by the name they find in `reply-to` |
//!
//! What follows `/topic/` and `/user/` is split into segments at `/` and at `.`, so `/topic/a.b` and `/topic/a/b` are one
//! topic. A subscription may be a pattern: `*` is any one segment, and `>` or `#`, as the last segment, is all the rest or
//! nothing: `/topic/stocks.*`, `/topic/stocks.>`. A `MESSAGE` names the destination that it was sent to. There are no
//! patterns for queues.
//!
//! # Topics
//!
//! What one session sends to one topic arrives in that order. Each subscription has a mailbox, see [`Config::mailbox`];
//! who does not keep up meets its policy and hinders nobody. Where [`Config::max_retained_messages`] allows it, a message with the header
//! `retain:set` is kept as its topic's last value, which those that subscribe later get first; one with `retain:remove` has
//! it forgotten.
//!
//! # Queues
//!
//! A queue gives each message to one consumer, to each in turn, as far as they have credit. `ACK` removes it. After a
//! `NACK`, and where its consumer goes away, it is given out again, with `redelivered:true`, before those that came after
//! it; after a `NACK` preferably to another consumer. What was given out [`Config::max_delivery_attempts`] times in vain goes to
//! [`Config::dead_letter_queue`], with the headers `original-destination` and `dead-letter-reason`: `rejected`, or `overflow`. A
//! message with the header `expires`, in milliseconds since 1970, is given to nobody after that time.
//!
//! # Replies
//!
//! A session that subscribes to `/temp-queue/NAME` and sends a request with `reply-to:/temp-queue/NAME` gets the answers:
//! the header is rewritten to a name that cannot be guessed, and whoever has it may send there. Such a queue is there while
//! its session is subscribed to it; afterwards what is sent there goes nowhere.
//!
//! # Errors
//!
//! | code | what is wrong |
//! |---|---|
//! | `not-found` | it is no destination of a broker's |
//! | `bad-destination` | it has too many segments or wildcards, or wildcards where there are none |
//! | `bad-request` | a header has no such value |
//! | `forbidden` | [`Config::send`] does not allow it |
//! | `login-required` | only a session with a principal has `/user/…` |
//! | `queue-full` | the queue takes no more, or all together do not |
//! | `too-many-destinations` | there are as many as there may be |
//!
//! | to read about | see |
//! |---|---|
//! | the service, and sending from anywhere | [`Broker`] |
//! | settings | [`Config`], [`Allow`], [`QueueOverflow`] |
//! | what there is | [`Statistics`] |
//! | other engines | [`Engine`], [`EngineFuture`], [`Destination`], [`conformance`] |

#![forbid(unsafe_code)]

mod broker;
mod config;
mod destination;
mod statistics;

mod engine;
mod engine_future;

mod memory;
mod sending;
mod temporary;

pub mod conformance;

pub use broker::Broker;
pub use config::{Allow, Config, QueueOverflow};
pub use destination::{Destination, Scope};
pub use engine::{Effect, Engine};
pub use engine_future::EngineFuture;
pub use memory::Memory;
pub use statistics::{DestinationStatistics, Statistics};
