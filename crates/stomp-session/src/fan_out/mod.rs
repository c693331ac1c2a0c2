//! Fan-out: delivery of messages to many subscribers, in batches.
//!
//! [`Hub::append`] only adds a message to those that wait. A *pump* delivers the messages that wait in *rounds*: a round
//! serves each member once, in *steps* of 16 members, and fewer if there are many messages. After each step, the pump lets
//! other tasks run. A member gets all messages that it lacks as one batch, so it is woken once per round, not once per
//! message. The messages that come during a round go to the members that it has not served yet, and wait in a log for
//! the others.
//!
//! All members get the messages in the order of the calls of `append`: rounds follow each other, and all pushes happen
//! under one lock of the hub. The messages that wait have a lock of their own, so publishers never wait for a step.

mod backlog;
mod batch;
mod core;
mod feed;
mod feeds;
mod hub;
mod intake;
mod log;
mod members;
mod published;
mod pump;
mod roster;
mod subscriber;

pub(crate) use backlog::{Attachment, Backlog};
pub(crate) use batch::Batch;
pub(crate) use feeds::{BacklogItem, BatchPart, UNCOUNTED_ENTRY_BYTES};
pub use hub::Hub;
pub use published::Published;
pub use subscriber::Subscriber;
