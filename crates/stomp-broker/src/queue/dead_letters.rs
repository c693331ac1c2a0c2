//! The work that follows when a queue's lock is released: waking consumers, counting, and moving dead letters.

use super::{
    Deferred, Queue, Removal, dispatch::wake_all, message::QueuedMessage, policy::Policy,
    registry::Queues,
};
use crate::{Address, Event, Scope};
use std::sync::Arc;

/// Messages that a queue gives up, each with the reason.
struct GivenUp {
    messages: Vec<(QueuedMessage, &'static str)>,
    queue: Address,
    policy: Arc<Policy>,
}

impl Queues {
    /// Wakes consumers, counts expired messages, and moves dead letters. The caller holds no lock.
    #[inline]
    pub(super) fn run_deferred(&self, deferred: Deferred, queue: &Queue) {
        if !deferred.wakers.is_empty() || !deferred.removed.is_empty() {
            self.run_all(deferred, queue);
        }
    }

    fn run_all(&self, deferred: Deferred, queue: &Queue) {
        let messages = self.run_wakes(deferred);
        if !messages.is_empty() {
            let policy = Arc::clone(&queue.lock().policy);
            self.move_dead_letters(GivenUp {
                messages,
                queue: queue.destination.clone(),
                policy,
            });
        }
    }

    /// Wakes consumers and counts expired messages. Returns the dead letters, which are still to be moved.
    fn run_wakes(&self, deferred: Deferred) -> Vec<(QueuedMessage, &'static str)> {
        let Deferred { wakers, removed } = deferred;
        wake_all(wakers);
        if removed.is_empty() {
            return Vec::new();
        }
        let given_up = removed
            .into_iter()
            .filter_map(|(message, removal)| match removal {
                Removal::GivenUp(reason) => Some((message, reason)),
                Removal::Expired => {
                    self.activity().expired.add(1);
                    None
                }
            });
        given_up.collect()
    }

    /// Moves messages to their dead-letter queue. If that queue is full, it gives up messages in turn.
    fn move_dead_letters(&self, given_up: GivenUp) {
        // This is a loop and not a recursion, because declared queues may be each other's dead-letter queues.
        let mut work = vec![given_up];
        while let Some(given_up) = work.pop() {
            for (message, reason) in given_up.messages {
                let moved =
                    self.move_dead_letter(message, reason, &given_up.queue, &given_up.policy);
                work.extend(moved);
            }
        }
    }

    /// Moves one message to the dead-letter queue of its queue. Returns the messages that the dead-letter queue gives
    /// up for it.
    ///
    /// Drops the message if there is no dead-letter queue or no room in it. Also drops it if it is already a dead
    /// letter, or if it comes from the dead-letter queue itself or from a temporary queue.
    fn move_dead_letter(
        &self,
        message: QueuedMessage,
        reason: &'static str,
        from: &Address,
        policy: &Policy,
    ) -> Option<GivenUp> {
        let activity = self.activity();
        let target = policy.dead_letter_queue.as_ref();
        let may_move = !message.is_dead_letter && *from.scope() != Scope::Temporary;
        let Some(to) = target.filter(|to| *to != from && may_move) else {
            activity.dropped.add(1);
            return None;
        };
        activity.dead_lettered.add(1);
        activity.events.emit(|| Event::DeadLettered {
            queue: from.clone(),
            reason,
        });
        let message = message.into_dead_letter(reason, &from.to_string());
        let mut deferred = Deferred::default();
        let moved = self.with_queue(to, None, |state| {
            let bytes = message.bytes();
            let rejected = if state.reserve_or_evict(bytes, true, &mut deferred) {
                // A queue of dead letters evicts the oldest with any overflow policy.
                state.push_and_evict(message, true, &mut deferred);
                None
            } else {
                Some(message)
            };
            (rejected, Arc::clone(&state.policy))
        });
        let messages = self.run_wakes(deferred);
        let Ok((_, (None, policy))) = moved else {
            // A message that was rejected is dropped here, without the lock.
            activity.dropped.add(1);
            return None;
        };
        Some(GivenUp {
            messages,
            queue: to.clone(),
            policy,
        })
    }
}
