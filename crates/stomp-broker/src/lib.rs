//! Topics and queues for STOMP sessions.
//!
//! A [`Broker`] delivers messages between sessions by destination. It is a `tower::Service`: a connection can run it
//! directly, or an application can mount it next to routes of its own.
//!
//! ```
//! use stomp_broker::{Broker, Config, Rules, Who, destination_syntax};
//! use stomp_session::Session;
//! # use stomp_socket::Socket;
//!
//! # fn example(socket: Socket) -> Result<(), stomp_session::InvalidConfig> {
//! // Clients subscribe to all topics. Those that have logged in send to some.
//! let rules = Rules::default().send("/topic/rooms.>", Who::Authenticated);
//! let broker = Broker::new(Config::default().rules(rules))?;
//!
//! let settings = stomp_session::Config::default().destinations(destination_syntax());
//! let (_, _, connection) = Session::new(socket, settings);
//! tokio::spawn(connection.run(broker.clone()));
//! # Ok(())
//! # }
//! ```
//!
//! # Destinations
//!
//! | destination | recipients of a message |
//! |---|---|
//! | `/topic/…` | all subscribers at the time of the message |
//! | `/queue/…` | one consumer; the message waits until there is one, and stays in the queue until it is acknowledged |
//! | `/user/…` | all subscribed sessions of the same principal, and no other |
//! | `/temp-queue/…` | the session that owns the queue; other sessions send to it by the name in `reply-to` |
//!
//! Both `/` and `.` separate the segments of a destination: `/queue/a.b` and `/queue/a/b` are the same queue. No
//! segment is empty. Case is significant, and percent signs are not decoded. [`destination_syntax`] is this syntax, for
//! sessions.
//!
//! A subscription to topics may be a pattern. `*` matches any one segment; `>` or `#`, as the last segment, matches any
//! number of segments, including none: `/topic/stocks.*`, `/topic/stocks.>`. Queues have no patterns.
//!
//! In a subscription to a pattern, each `MESSAGE` names the destination that it was sent to. In other subscriptions, it
//! names the destination as the subscriber wrote it.
//!
//! # Permissions
//!
//! [`Config::rules`] decide who may send and subscribe, and to which destinations. By default, clients may not send.
//! They may subscribe to topics, and to their own `/user/…` and `/temp-queue/…`. So every queue, including the
//! dead-letter queue, needs a rule. [`Rules`] has examples.
//!
//! # Topics
//!
//! The messages of one session to one topic arrive in order. Each subscription has a mailbox with the bounds of
//! [`MemoryConfig::backlog`]. When a slow subscriber's mailbox is full, the policy applies to that subscription alone:
//! publishers and other subscribers never wait for it. If messages of a subscription are missing, [`Config::on_gap`]
//! decides what happens.
//!
//! The broker can retain the last value of a topic, if [`MemoryConfig::max_retained_messages`] is not 0. A message with
//! the header `retain:set` becomes the retained message, which later subscribers get first. A message with
//! `retain:remove` removes the retained message. If the setting is 0, messages with the header `retain` are refused.
//!
//! # Queues
//!
//! A queue delivers each message to one consumer. The consumers take turns, as long as they have credit; all
//! subscriptions of one session together have one turn. A consumer that does not take its message in time delays the
//! queue by at most two seconds, however many there are of them.
//!
//! An `ACK` removes a message from its queue. After a `NACK`, or when the consumer goes away, the queue delivers the
//! message again before all later ones. It has `redelivered:true` if it was sent before. After a `NACK`, it goes to
//! another consumer if possible. From the second `NACK` on, it is delayed first, for
//! [`QueueSettings::redelivery_delay`] and then twice as long each time, and other messages pass.
//!
//! A queue gives a message up that cannot be processed. The message moves to [`QueueSettings::dead_letter_queue`], with
//! the headers `original-destination` and `dead-letter-reason`:
//!
//! | reason | cause |
//! |---|---|
//! | `rejected` | the message was refused by `NACK` [`QueueSettings::max_delivery_attempts`] times |
//! | `abandoned` | [`QueueSettings::max_abandoned_deliveries`] times, the message was sent and its consumer went away without an answer |
//! | `overflow` | the message left a full queue under [`QueueOverflow::DropOldest`] |
//!
//! A queue begins to exist with its first message or subscription. It is removed when it has been empty and without
//! consumers for [`MemoryConfig::idle_timeout`], or with its last consumer if it never had a message. A `SUBSCRIBE` with
//! `auto-delete:true` makes a queue that goes with its last consumer and drops its messages. With `exclusive:true`, the
//! subscription is the only one of its queue: see [`SubscribeRequest::exclusive`] for both. The application
//! can [declare](Broker::declare) a queue with settings of its own, which then stays until it is
//! [deleted](Broker::delete), and can [browse](Broker::browse) and [purge](Broker::purge) any queue. The names and the
//! bytes of queues are [shared among clients](MemoryConfig#shares).
//!
//! A message with the header `expires`, in milliseconds since 1970, is not delivered after that time. For a topic, the
//! time is checked when the message is published, and when a new subscription gets the retained message.
//!
//! # Replies
//!
//! To get replies, a session sends its request with `reply-to:/temp-queue/NAME`. In the header, the broker replaces the
//! name by one that nobody can guess. Any client that receives this name may send to it.
//!
//! The session may subscribe to `/temp-queue/NAME` before, but need not, as with RabbitMQ. Without a subscription, the
//! broker adds an implicit one before it publishes the request: its replies have the header
//! `subscription:/temp-queue/NAME`, and the same `destination`, and need no `ACK`. The rules for a `SUBSCRIBE` apply. It
//! ends with the session, when the client unsubscribes from the id `/temp-queue/NAME`, and when the client subscribes to
//! the queue: then that subscription gets the replies that were not sent yet. A client that uses the id
//! `/temp-queue/NAME` for another destination gets an `ERROR` instead of replies.
//!
//! A `reply-to` of a client may also be a public name that it was given, or a destination to which it may send. The
//! broker refuses every other `reply-to` with `forbidden`: otherwise a service that replies would write, with its own
//! rights, where the client may not. The application replies with [`Broker::reply`], which checks the same for requests
//! that its own handlers get, and repeats the `correlation-id`.
//!
//! A temporary queue exists while its session is subscribed to it. Replies at other times are dropped without an error.
//! A session can make a new queue for each request, if it unsubscribes from it after the reply: a queue counts towards
//! [`Config::max_temporary_queues`] while there is a subscription. After that, it keeps its name only until the session
//! needs the room for another queue. A reply that comes later goes nowhere, and never to another queue.
//!
//! # Engines
//!
//! An [`Engine`] carries the messages: [`Memory`] within this process, or another engine over an external system that
//! connects several servers. The engine declares its [`Capabilities`]. The broker refuses requests that need others
//! with `not-supported`. The settings of the broker are its [`Config`], and those of the in-memory engine are its
//! [`MemoryConfig`].
//!
//! # Errors
//!
//! | code | cause |
//! |---|---|
//! | `not-found` | the broker has no such destination |
//! | `bad-destination` | the destination has an empty segment, too many segments or wildcards, or wildcards where none are allowed |
//! | `bad-request` | the header `retain`, `expires`, `durable`, `exclusive` or `auto-delete` has an invalid value |
//! | `forbidden` | [`Config::rules`] do not allow it, or not for everything that the pattern matches |
//! | `login-required` | the same, for a client without a principal that might be allowed after a login |
//! | `queue-full` | the queue is full, or all queues together are, or the client holds the largest share of them when they are almost full |
//! | `queue-in-use` | the queue has an exclusive consumer, or other consumers than the one that is to be exclusive |
//! | `not-supported` | the engine does not support the kind of destination or transactions, or the engine or the broker does not support a header |
//! | `engine-unavailable` | the engine is shut down, or cannot reach its system |
//! | `gap` | a subscription ends because messages are missing, see [`Config::on_gap`] |
//! | `too-many-destinations` | the limit of destinations, of the client's share of queues, or of the session's temporary queues, is reached |
//! | `too-many-subscriptions` | there is no room for the implicit subscription to the replies of a `SEND` |
//! | `transaction-ended` | only from [`Broker::reply`]: the transaction of the request is being committed, or has ended |
//!
//! # Headers
//!
//! The headers that STOMP does not define, such as `expires` and `redelivered`, are [listed in the guide of
//! `webstomp`](https://docs.rs/webstomp/latest/webstomp/#extensions-of-the-protocol), with those of sessions. The guide
//! also lists the headers of other brokers that are refused or ignored.
//!
//! No sender can set the headers by which the server describes a message: `original-destination`, `redelivered`, `gap`,
//! `dropped-messages`, `message-id` and all that begin with `dead-letter-`. The broker removes them from a `SEND`.
//! `user-id` says who sent a message, if [`Config::stamp_user_id`] is set.
//!
//! # Items
//!
//! | topic | items |
//! |---|---|
//! | the service, publishing and replying from the application | [`Broker`], [`Repliable`] |
//! | destinations of the application | [`IntoDestination`] |
//! | settings | [`Config`], [`OnGap`] |
//! | permissions of clients | [`Rules`], [`Who`], [`Action`] |
//! | the syntax of destinations, for sessions | [`destination_syntax`] |
//! | the engine in memory | [`Memory`], [`MemoryConfig`], [`QueueSettings`], [`QueueOverflow`] |
//! | operation | [`Statistics`], [`Health`], [`EventStream`], [`Event`], `BrokerMetrics` |
//! | engines | [`Engine`], [`EngineTransaction`], [`EngineFuture`], [`Capabilities`] |
//! | calls of engines | [`Address`], [`Publication`], [`Retain`], [`SubscribeRequest`] |
//! | for other engines | [`local`], [`EventSource`], [`conformance`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `metrics` | no | `BrokerMetrics`, which reports the statistics of a broker through the crate `metrics` |

#![forbid(unsafe_code)]

mod access;
mod address;
mod administration;
mod broker;
mod config;
mod into_destination;
mod permission;
mod publication;
mod reply;
mod reply_queue;
mod statistics;
mod subscribe_request;

mod capabilities;
mod engine;
mod engine_future;
mod events;
mod health;
#[cfg(feature = "metrics")]
mod metrics;

mod memory;
mod memory_config;
mod queue_settings;

mod activity;
mod deadline;
mod gaps;
mod queue;
mod rules;
mod send;
mod syntax;
mod temporary_names;
mod transaction;
mod unsupported;
mod wire_size;

pub mod conformance;
pub mod local;

pub use address::{Address, Scope};
pub use broker::Broker;
pub use capabilities::Capabilities;
pub use config::{Config, OnGap};
pub use engine::{Engine, EngineTransaction};
pub use engine_future::EngineFuture;
pub use events::{Event, EventSource, EventStream};
pub use health::Health;
pub use into_destination::IntoDestination;
pub use memory::Memory;
pub use memory_config::MemoryConfig;
#[cfg(feature = "metrics")]
pub use metrics::BrokerMetrics;
pub use publication::{Publication, Retain};
pub use queue_settings::{QueueOverflow, QueueSettings};
pub use reply::Repliable;
pub use rules::{Action, Rules, Who};
pub use statistics::{DestinationStatistics, Statistics};
pub use subscribe_request::SubscribeRequest;
pub use syntax::destination_syntax;

/// Compiles and runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
