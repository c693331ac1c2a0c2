//! Fan-out: delivery of messages to many subscribers, in batches.
//!
//! [`Hub::append`] only adds a message to those that wait. A *pump* delivers all messages that wait as one batch, in
//! *rounds*: each round brings the batch to all members. So each member is woken once per round, not once per message.
//! After every 64 members, and sooner if there are many messages, the pump lets other tasks run.
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
