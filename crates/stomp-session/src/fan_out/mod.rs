//! Fan-out: delivery of messages to many subscribers, in batches.
//!
//! [`Hub::append`] only adds a message to those that wait. A *pump* delivers all messages that wait as one batch, in
//! *rounds*: each round brings the batch to all members. So each member is woken once per round, not once per message.
//! After every [`STEP`] members, the pump lets other tasks run.
//!
//! All members get the messages in the order of the calls of `append`: rounds follow each other, and all pushes happen
//! under one lock of the hub. The messages that wait have a lock of their own, so publishers never wait for a step.

pub(crate) mod backlog;
mod batch;
mod hub;
mod intake;
mod members;
mod published;
mod pump;
mod subscriber;

pub use hub::Hub;
pub use published::Published;
pub(crate) use subscriber::Attachment;
pub use subscriber::Subscriber;

/// The largest number of members that are woken before other tasks run: waking many tasks at once delays all others.
const STEP: usize = 64;

/// The largest number of members that a publisher serves itself if no pump runs. A task would cost more.
const SERVED_BY_PUBLISHER: usize = 4;
