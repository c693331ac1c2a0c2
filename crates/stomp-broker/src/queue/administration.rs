//! Declaring, purging, deleting and browsing queues.

use super::{
    Deferred, Queue,
    dispatch::{Wakers, wake_all},
    holder::Holder,
    message::QueuedMessage,
    registry::Queues,
};
use crate::{Address, QueueSettings};
use std::mem;
use stomp_session::{ClientError, Message};

impl Queues {
    /// Creates a queue if it does not exist, and sets its policy. The queue is not removed when it is idle, and its name
    /// belongs to the application.
    pub(crate) fn declare(
        &self,
        queue: &Address,
        settings: &QueueSettings,
    ) -> Result<(), ClientError> {
        let policy = self.policies().declared(queue, settings);
        let holder = Holder::Application;
        let declared = self.with_queue(queue, Some(&holder), |state| {
            (state.is_declared, state.policy) = (true, policy);
            state.is_auto_delete = false;
            state.name = Some(self.names().take_needed(&holder, 1));
        });
        declared.map(|_| ())
    }

    /// Removes the messages that wait in a queue. Returns their number.
    pub(crate) fn purge(&self, queue: &Address) -> Result<usize, ClientError> {
        let messages = self.with_existing_queue(queue, |state| state.purge())?;
        Ok(messages.map_or(0, |(_, messages)| self.drop_messages(messages)))
    }

    /// Removes a queue. Returns the number of messages that waited in it.
    pub(crate) fn delete(&self, queue: &Address) -> Result<usize, ClientError> {
        self.check_open()?;
        let removed = self.write().queues.remove(queue);
        Ok(removed.map_or(0, |queue| self.close(&queue)))
    }

    /// Returns the first `max` messages that wait in a queue.
    pub(crate) fn browse(&self, queue: &Address, max: usize) -> Result<Vec<Message>, ClientError> {
        let mut deferred = Deferred::default();
        let found = self.with_existing_queue(queue, |state| {
            state.refresh(&mut deferred);
            let messages = state.backlog.first(max);
            let messages = messages.map(|(_, queued)| queued.message.clone());
            messages.collect()
        })?;
        Ok(found.map_or_else(Vec::new, |(queue, messages)| {
            self.run_deferred(deferred, &queue);
            messages
        }))
    }

    /// Removes all queues. From then on, no queue is created.
    pub(crate) fn shut_down(&self) {
        let mut registered = self.write();
        registered.is_shut_down = true;
        let queues = mem::take(&mut registered.queues);
        drop(registered);
        for queue in queues.into_values() {
            self.close(&queue);
        }
    }

    /// Closes a queue that was removed from the registry. Returns the number of messages that waited in it.
    fn close(&self, queue: &Queue) -> usize {
        let mut wakers = Wakers::new();
        let messages = queue.lock().close(&mut wakers);
        wake_all(wakers);
        self.drop_messages(messages)
    }

    fn drop_messages(&self, messages: Vec<QueuedMessage>) -> usize {
        let count = messages.len();
        self.activity().dropped.add(count);
        count
    }
}
