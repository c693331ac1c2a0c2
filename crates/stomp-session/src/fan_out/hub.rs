//! The handle of a hub.

use super::{core::Core, published::Published, subscriber::Subscriber};
use crate::{
    id::SessionId, mailbox::config::BacklogConfig, memory_budget::MemoryBudget, message::Message,
};
use std::{fmt, sync::Arc};

/// Distributor of messages to its subscribers: each message goes to all current ones, in the same order for each.
/// Clones share it.
///
/// An engine uses hubs for its topics; an application uses a [`Topic`](crate::Topic), which has a hub.
///
/// Messages that wait travel together: while a batch is on its way to the subscribers, the next one collects. A task of
/// the publisher's runtime delivers the batches, and lets other tasks run after every 16 subscribers. Without a runtime,
/// and for a few subscribers, the publisher delivers them.
///
/// A runtime that stops running its tasks delays only the messages that were published on it, until a publication on
/// another runtime.
#[derive(Clone)]
pub struct Hub(Arc<Core>);

impl Hub {
    /// Creates a hub whose subscribers have these bounds and this policy.
    ///
    /// Its messages count in `budget` until all subscribers have sent or dropped them. If the budget is exceeded, the
    /// subscribers that hold back most meet their policy: see [`MemoryBudget`].
    #[must_use]
    pub fn new(config: BacklogConfig, budget: MemoryBudget) -> Hub {
        Hub(Arc::new(Core::new(config, budget)))
    }

    /// Number of subscribers.
    #[must_use]
    pub fn members(&self) -> usize {
        self.0.members()
    }

    /// Adds a subscriber. Its stream yields the messages `first`, and then all messages that are appended from now on.
    ///
    /// It wakes nobody and drops nothing, so the caller may hold a lock.
    #[must_use]
    pub fn subscribe(&self, first: Vec<Message>) -> Subscriber {
        self.add_member(None, first)
    }

    pub(crate) fn add_member(&self, session: Option<SessionId>, first: Vec<Message>) -> Subscriber {
        let (key, messages) = self.0.add_member(session);
        Subscriber::new(Arc::clone(&self.0), key, first, messages)
    }

    /// Adds a message to those that wait. It is delivered when `published` is started, awaited or dropped.
    ///
    /// It wakes nobody and drops nothing, so the caller may hold a lock. Messages that are appended to several hubs under
    /// one lock of the caller have the same order in all of them.
    pub fn append(&self, message: Message, published: &mut Published) {
        self.append_except(message, None, published);
    }

    /// Adds a message, which the subscribers of a session do not get.
    pub(crate) fn append_except(
        &self,
        message: Message,
        except: Option<SessionId>,
        published: &mut Published,
    ) {
        let (starts, is_full) = self.0.append(message, except);
        published.add(&self.0, starts, is_full);
    }

    /// Publishes a message.
    pub fn publish(&self, message: Message) -> Published {
        let mut published = Published::new();
        self.append(message, &mut published);
        published
    }

    /// Marks a gap for all subscribers: the next message that each of them gets is marked as
    /// [`Gap::Unknown`](crate::Gap::Unknown). It delivers the messages that wait, and wakes all subscribers at once.
    pub fn mark_gap(&self) {
        self.0.mark_gap();
    }

    /// Removes all subscribers. Their streams end after the messages that were published before. It wakes all subscribers
    /// at once.
    pub fn close(&self) {
        self.0.close();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("members", &self.members())
            .finish_non_exhaustive()
    }
}
