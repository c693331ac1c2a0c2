//! Mailboxes: bounded queues of messages, each for one subscriber.

pub(crate) mod budget;
pub(crate) mod config;
pub(crate) mod lag;
mod places;
pub(crate) mod queue;

use crate::{
    delivery::{Delivery, UNKNOWN_GAP},
    error::BoxError,
    guarded::{Guarded, Leftovers},
    message::Message,
};
use config::{BacklogConfig, Overflow, SlowConsumer};
use futures_core::Stream;
use lag::{LagCheck, LagState, Patience};
use queue::{BoundedQueue, QueuedMessage, Slots};
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Sending side of a mailbox. Pushing never waits.
///
/// Clones push to the same mailbox. When the last one is dropped, the stream ends after the messages that were pushed.
#[derive(Debug)]
pub struct Mailbox(Arc<Shared>);

/// Receiving side of a mailbox: a stream of messages for one subscription.
///
/// It takes all queued messages at once, so a mailbox and its stream together hold up to twice the mailbox's bounds.
#[derive(Debug)]
pub struct Messages {
    shared: Arc<Shared>,
    taken: Slots<QueuedMessage>,
    /// Waker that is registered next.
    spare: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    config: BacklogConfig,
    state: Guarded<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: BoundedQueue<QueuedMessage>,
    /// Number of [`Mailbox`] clones.
    writers: usize,
    /// True if the stream was dropped, or has failed.
    is_closed: bool,
    reader: Option<Waker>,
    patience: Patience,
    /// Wakers of the hub's tasks that wait for the reader.
    waiters: Vec<Waker>,
    /// The bytes that waited before the last push of a hub.
    left_bytes: usize,
    /// True if the hub waits for the reader because the memory budget is exceeded.
    exceeds_budget: bool,
}

impl Mailbox {
    /// Creates a mailbox and returns both sides of it.
    #[must_use]
    pub fn new(config: BacklogConfig) -> (Mailbox, Messages) {
        let state = State {
            writers: 1,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            config,
            state: Guarded::new(state),
        });
        (
            Mailbox(Arc::clone(&shared)),
            Messages {
                shared,
                taken: VecDeque::new(),
                spare: None,
            },
        )
    }

    /// Adds messages. Returns false if the stream was dropped or has failed, so that nobody will read them.
    pub fn push(&self, messages: &[Message]) -> bool {
        self.push_queued(
            messages
                .iter()
                .map(|message| QueuedMessage::new(None, message.clone())),
        )
    }

    /// Marks the next message that is pushed with [`Gap::Unknown`](crate::Gap::Unknown): messages before it may be
    /// missing.
    pub fn mark_gap(&self) {
        self.0
            .state
            .with(|state, _| state.queue.note_gap(None, UNKNOWN_GAP));
    }

    pub(crate) fn push_queued(&self, queued: impl IntoIterator<Item = QueuedMessage>) -> bool {
        self.0
            .state
            .with(|state, leftovers| state.push(queued, &self.0.config, leftovers))
    }

    /// Adds messages like [`push`](Mailbox::push), for a hub that holds a lock: it releases it before the leftovers.
    /// Under [`Overflow::Wait`], the hub waits before it exceeds the bounds further. Returns true if it has to.
    pub(crate) fn push_under_lock(
        &self,
        queued: impl IntoIterator<Item = QueuedMessage>,
        leftovers: &mut Leftovers,
    ) -> bool {
        let config = &self.0.config;
        let waits = matches!(config.overflow, Overflow::Wait(_));
        self.0.state.with_leftovers(leftovers, |state, leftovers| {
            state.left_bytes = state.queue.bytes();
            if waits && !state.queue.exceeds(config, 2) {
                let unbounded = config.max_messages(usize::MAX).max_bytes(usize::MAX);
                state.push(queued, &unbounded, leftovers);
            } else {
                state.push(queued, config, leftovers);
            }
            waits && state.queue.exceeds(config, 1)
        })
    }

    /// Looks at a mailbox that may exceed its bounds, under [`Overflow::Wait`].
    pub(crate) fn check_lag(&self, check: LagCheck<'_>, leftovers: &mut Leftovers) -> LagState {
        self.0.state.with_leftovers(leftovers, |state, leftovers| {
            let is_waited_for = !state.waiters.is_empty();
            let lags = if is_waited_for || mem::take(&mut state.exceeds_budget) {
                !state.queue.is_empty()
            } else {
                state.queue.exceeds(&self.0.config, 1)
            };
            if !lags {
                state.patience.renew();
                leftovers.wake(mem::take(&mut state.waiters));
                return LagState::KeepsUp;
            }
            let waits = state.patience.wait(check);
            if let LagState::TooSlow = waits {
                state.queue.overflow(leftovers);
                leftovers.wake(state.reader.take());
                leftovers.wake(mem::take(&mut state.waiters));
            } else {
                check.register(&mut state.waiters);
            }
            waits
        })
    }
}

impl Mailbox {
    /// The bytes that the reader had left before the last push of a hub. With `counts_unpolled`, all bytes.
    pub(crate) fn held_back(&self, counts_unpolled: bool) -> usize {
        let held_back = |state: &mut State, _: &mut _| {
            let bytes = state.queue.bytes();
            if counts_unpolled {
                bytes
            } else {
                bytes.min(state.left_bytes)
            }
        };
        self.0.state.with(held_back)
    }

    /// Applies the policy, although the mailbox does not exceed its bounds, because the memory budget is exceeded. Returns
    /// true if the hub has to wait.
    pub(crate) fn relieve(&self, may_wait: bool, leftovers: &mut Leftovers) -> bool {
        let overflow = self.0.config.overflow;
        self.0.state.with_leftovers(leftovers, |state, leftovers| {
            match overflow {
                Overflow::Wait(_) if may_wait => {
                    state.exceeds_budget = true;
                    return true;
                }
                Overflow::Wait(_) | Overflow::Disconnect => {
                    state.queue.overflow(leftovers);
                    leftovers.wake(state.reader.take());
                }
                Overflow::DropOldest | Overflow::Conflate => state.queue.halve(overflow, leftovers),
            }
            false
        })
    }
}

impl State {
    /// Adds messages and takes the waker of the reader. Returns false if the stream was dropped or has failed.
    fn push(
        &mut self,
        queued: impl IntoIterator<Item = QueuedMessage>,
        config: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) -> bool {
        if self.is_closed {
            for queued in queued {
                queued.drop_later(leftovers);
            }
            return false;
        }
        for message in queued {
            self.queue.push(message, config, leftovers);
        }
        leftovers.wake(self.reader.take());
        true
    }
}

impl Clone for Mailbox {
    fn clone(&self) -> Self {
        self.0.state.with(|state, _| state.writers += 1);
        Mailbox(Arc::clone(&self.0))
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.state.with(|state, leftovers| {
            state.writers -= 1;
            if state.writers == 0 {
                leftovers.wake(state.reader.take());
            }
        });
    }
}

impl Messages {
    /// Makes the bytes of the mailbox count in the current budget, unless they count in a budget already.
    pub(crate) fn join_budget(&self) {
        self.shared.state.with(|state, _| state.queue.join_budget());
    }

    /// Takes all messages, for a reader that continues elsewhere.
    pub(crate) fn take_all(&mut self) -> Result<VecDeque<QueuedMessage>, SlowConsumer> {
        let mut all = mem::take(&mut self.taken);
        let mut queued = VecDeque::new();
        self.shared.state.with(|state, leftovers| {
            leftovers.wake(mem::take(&mut state.waiters));
            state.queue.take(&mut queued)
        })?;
        all.append(&mut queued);
        Ok(all.into_iter().flatten().collect())
    }

    /// Takes the queued messages. If there are none, registers the spare waker, and keeps the one that was registered
    /// before.
    fn take(&mut self) -> Taken {
        let Messages {
            shared,
            taken,
            spare,
        } = self;
        shared.state.with(|state, leftovers| {
            if state.is_closed {
                return Taken::End;
            }
            state.queue.join_budget();
            if let Err(slow) = state.queue.take(taken) {
                state.is_closed = true;
                return Taken::Failed(slow);
            }
            if !state.waiters.is_empty() {
                state.patience.renew();
                leftovers.wake(mem::take(&mut state.waiters));
            }
            if !taken.is_empty() {
                return Taken::Messages;
            }
            if state.writers == 0 {
                return Taken::End;
            }
            std::mem::swap(&mut state.reader, spare);
            Taken::Nothing
        })
    }
}

/// Result of [`Messages::take`].
enum Taken {
    Messages,
    Nothing,
    End,
    Failed(SlowConsumer),
}

impl Stream for Messages {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.taken.is_empty() {
            // Frees the memory of a large burst.
            if this.taken.capacity() > 64 {
                this.taken = VecDeque::new();
            }
            // The waker is foreign code, so it is cloned before the lock is taken.
            let waker = cx.waker();
            if !this.spare.as_ref().is_some_and(|it| it.will_wake(waker)) {
                this.spare = Some(waker.clone());
            }
            match this.take() {
                Taken::Messages => {}
                Taken::Nothing => return Poll::Pending,
                Taken::End => return Poll::Ready(None),
                Taken::Failed(slow) => return Poll::Ready(Some(Err(slow.into()))),
            }
        }
        Poll::Ready(
            this.taken
                .pop_front()
                .flatten()
                .map(|queued| Ok(queued.into())),
        )
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let dropped = self.shared.state.with(|state, leftovers| {
            state.is_closed = true;
            leftovers.wake(mem::take(&mut state.waiters));
            (std::mem::take(&mut state.queue), state.reader.take())
        });
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::{budget::Budget, *};
    use crate::{delivery::Gap, mailbox::config::Overflow};
    use futures_util::{FutureExt, StreamExt};

    fn numbered(count: usize) -> Vec<Message> {
        (0..count)
            .map(|number| Message::new(number.to_string()))
            .collect()
    }

    fn drain(messages: &mut Messages) -> Vec<String> {
        std::iter::from_fn(|| messages.next().now_or_never().flatten())
            .map(|item| {
                item.map_or_else(
                    |error| error.to_string(),
                    |delivery| {
                        let body = String::from_utf8(delivery.message.body().to_vec()).unwrap();
                        match delivery.gap() {
                            None => body,
                            Some(Gap::Dropped(count)) => format!("{body}, {count} dropped"),
                            Some(Gap::Unknown) => format!("{body}, unknown gap"),
                        }
                    },
                )
            })
            .collect()
    }

    #[test]
    fn messages_arrive_in_the_order_of_pushing() {
        let (mailbox, mut messages) = Mailbox::new(BacklogConfig::default());
        assert!(mailbox.push(&numbered(3)));
        assert_eq!(drain(&mut messages), ["0", "1", "2"]);
    }

    #[test]
    fn a_marked_gap_is_reported_by_the_next_message() {
        let config = BacklogConfig::default()
            .max_messages(2)
            .overflow(Overflow::DropOldest);
        let (mailbox, mut messages) = Mailbox::new(config);
        assert!(mailbox.push(&numbered(1)));
        mailbox.mark_gap();
        assert_eq!(drain(&mut messages), ["0"]);
        assert!(mailbox.push(&numbered(2)));
        assert_eq!(drain(&mut messages), ["0, unknown gap", "1"]);
        mailbox.mark_gap();
        assert!(mailbox.push(&numbered(4)));
        assert_eq!(
            drain(&mut messages),
            ["2, unknown gap", "3"],
            "further drops do not hide the gap"
        );
    }

    #[test]
    fn a_full_mailbox_drops_its_oldest_messages() {
        let config = BacklogConfig::default()
            .max_messages(2)
            .overflow(Overflow::DropOldest);
        let (mailbox, mut messages) = Mailbox::new(config);
        assert!(mailbox.push(&numbered(4)));
        assert_eq!(drain(&mut messages), ["2, 2 dropped", "3"]);
        let (mailbox, mut messages) = Mailbox::new(config.max_bytes(1));
        assert!(mailbox.push(&numbered(4)));
        assert_eq!(
            drain(&mut messages),
            ["3, 3 dropped"],
            "one message always fits"
        );
    }

    #[test]
    fn a_conflating_mailbox_keeps_the_latest_message_of_each_key() {
        let config = BacklogConfig::default()
            .max_messages(2)
            .overflow(Overflow::Conflate);
        let (mailbox, mut messages) = Mailbox::new(config);
        let priced =
            |key: &str, price: &str| Message::new(price.to_owned()).with_key(key.to_owned());
        assert!(mailbox.push(&[
            priced("a", "1"),
            priced("b", "2"),
            priced("a", "3"),
            priced("a", "4")
        ]));
        assert_eq!(drain(&mut messages), ["4, 2 dropped", "2"]);
        assert!(mailbox.push(&[priced("a", "5"), Message::new("no key"), priced("c", "6")]));
        assert_eq!(
            drain(&mut messages),
            ["5, 1 dropped", "6"],
            "a message without a key is dropped first"
        );
    }

    #[test]
    fn a_full_mailbox_disconnects_its_subscriber() {
        let (mailbox, mut messages) = Mailbox::new(BacklogConfig::default().max_messages(2));
        assert!(mailbox.push(&numbered(2)));
        assert!(mailbox.push(&numbered(1)));
        assert_eq!(drain(&mut messages), [SlowConsumer.to_string()]);
        assert!(!mailbox.push(&numbered(1)), "the stream has failed");
    }

    #[test]
    fn mailboxes_of_a_session_share_its_budget() {
        let config = BacklogConfig::default().overflow(Overflow::DropOldest);
        let ((large, mut large_messages), (small, mut small_messages)) =
            (Mailbox::new(config), Mailbox::new(config));
        Budget::with_current(&mut Some(Budget::new(1_000, Arc::default())), || {
            assert!(drain(&mut large_messages).is_empty());
            assert!(drain(&mut small_messages).is_empty());
        });
        assert!(large.push(&[Message::new(vec![b'x'; 1_000])]));
        assert!(small.push(&numbered(2)));
        assert_eq!(
            drain(&mut small_messages),
            ["1, 1 dropped"],
            "one message always fits"
        );
        drop(large_messages);
        assert!(small.push(&numbered(2)));
        assert_eq!(drain(&mut small_messages), ["0", "1"]);
    }

    #[test]
    fn a_budget_knows_of_an_overflow_until_the_reader_does() {
        let config = BacklogConfig::default().max_messages(1);
        let budget = Budget::new(1_000, Arc::default());
        let (mut first, mut second) = (Mailbox::new(config), Mailbox::new(config));
        Budget::with_current(&mut Some(budget.clone()), || {
            assert!(drain(&mut first.1).is_empty());
            assert!(drain(&mut second.1).is_empty());
        });
        assert!(first.0.push(&numbered(1)) && !budget.has_overflowed());
        assert!(first.0.push(&numbered(1)) && budget.has_overflowed());
        assert!(second.0.push(&numbered(2)));
        assert_eq!(drain(&mut first.1), [SlowConsumer.to_string()]);
        assert!(budget.has_overflowed(), "the second has not reported it");
        drop(second);
        assert!(!budget.has_overflowed());
    }

    #[test]
    fn pushing_fails_when_the_stream_is_dropped() {
        let (mailbox, messages) = Mailbox::new(BacklogConfig::default());
        drop(messages);
        assert!(!mailbox.push(&numbered(1)));
    }
}
