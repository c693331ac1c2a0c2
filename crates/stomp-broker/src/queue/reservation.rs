//! Reservations: room in a queue for a message that is not yet published.

use super::{Deferred, Queue, State, message::QueuedMessage, registry::Queues};
use crate::{Address, Scope};
use std::sync::Arc;

/// A message with reserved room in its queue. Dropping the reservation releases the room.
///
/// A transaction reserves room for each message before its commit. So the commit cannot fail for lack of room.
pub(crate) struct Reservation {
    queues: Queues,
    queue: Arc<Queue>,
    /// The message that is to be published. `None` after that.
    message: Option<QueuedMessage>,
}

/// The reason why a message is accepted but not kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Discarded {
    /// It has expired already.
    Expired,
    /// Its temporary queue does not exist. This is no error, since the sender of a reply is not at fault.
    NoQueue,
}

impl Reservation {
    /// Creates a reservation for a message whose room was reserved in `queue`.
    pub(super) fn new(queues: Queues, queue: Arc<Queue>, message: QueuedMessage) -> Reservation {
        Reservation {
            queues,
            queue,
            message: Some(message),
        }
    }

    pub(crate) fn publish(mut self) {
        let Some(message) = self.message.take() else {
            return;
        };
        let (queues, queue) = (&self.queues, &self.queue);
        let mut deferred = Deferred::default();
        queues.count_published(&queue.destination);
        let mut state = queue.lock();
        if state.is_closed {
            state.cancel_reservation(&message);
            drop(state);
            return queues.publish_again(&queue.destination, message);
        }
        state.push(message, &mut deferred);
        drop(state);
        queues.run_deferred(deferred, queue);
    }
}

impl Queues {
    /// Counts a message that is published and not kept.
    pub(crate) fn count_discarded(&self, to: &Address, discarded: Discarded) {
        self.count_published(to);
        let count = match discarded {
            Discarded::Expired => &self.activity().expired,
            Discarded::NoQueue => &self.activity().dropped,
        };
        count.add(1);
    }

    /// Publishes a message whose queue was removed after the room was reserved. The queue is created again, since the
    /// message was accepted. But a temporary queue is not: without a subscriber, the message is dropped.
    fn publish_again(&self, to: &Address, message: QueuedMessage) {
        let mut deferred = Deferred::default();
        let push = |state: &mut State| {
            state.claim(message.bytes());
            state.push(message, &mut deferred);
        };
        let published = if *to.scope() == Scope::Temporary {
            self.with_existing_queue(to, push).ok().flatten()
        } else {
            self.with_queue(to, None, push).ok()
        };
        match published {
            Some((queue, ())) => self.run_deferred(deferred, &queue),
            None => self.activity().dropped.add(1),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.queue.lock().cancel_reservation(&message);
        }
    }
}
