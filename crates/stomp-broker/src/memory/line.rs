//! The consumers of a queue, and whose turn it is.

use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, VecDeque},
    task::Waker,
};

/// The consumers of a queue.
///
/// A consumer takes messages when its session asks for them, which it does while there is credit. One that finds nothing
/// stands idle in the line. For each message that comes, the first in the line is called: that is the round robin. One that
/// is called is expected, and leaves messages for others that are. So one that finds many takes its share, and stands in
/// line again until all that are expected have come.
///
/// A session may be kept from coming, without credit or with a peer that takes nothing. It is then no longer waited for,
/// see [`Line::sweep`].
#[derive(Debug, Default)]
pub(super) struct Line {
    consumers: BTreeMap<u64, Consumer>,
    idle: VecDeque<u64>,
    /// How many are expected.
    expected: usize,
    next: u64,
}

#[derive(Debug)]
struct Consumer {
    waker: Option<Waker>,
    stand: Stand,
    /// How many it may take before others.
    share: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It was called. `is_late` if that was before the last sweep.
    Expected { is_late: bool },
    /// It stands in line.
    Idle,
    /// It has come. Whether it comes again is up to its credit.
    Busy,
}

/// Consumers to be woken, when no lock is held.
pub(super) type Calls = SmallVec<[Waker; 2]>;

impl Line {
    pub(super) fn len(&self) -> usize {
        self.consumers.len()
    }

    /// Adds a consumer, which is expected to come, and gives its number.
    pub(super) fn join(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        self.expected += 1;
        let stand = Stand::Expected { is_late: false };
        self.consumers.insert(
            id,
            Consumer {
                waker: None,
                stand,
                share: 0,
            },
        );
        id
    }

    /// Takes out a consumer, while so many messages are waiting, and gives its waker.
    pub(super) fn leave(&mut self, id: u64, waiting: usize, calls: &mut Calls) -> Option<Waker> {
        let left = self.consumers.remove(&id);
        match left.as_ref().map(|consumer| consumer.stand) {
            Some(Stand::Expected { .. }) => self.expected -= 1,
            Some(Stand::Idle) => self.idle.retain(|idle| *idle != id),
            Some(Stand::Busy) | None => {}
        }
        self.call_next(waiting, calls);
        left?.waker
    }

    /// A consumer comes, while so many messages are waiting. Says whether it may take one.
    pub(super) fn come(&mut self, id: u64, waiting: usize, calls: &mut Calls) -> bool {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return false;
        };
        let stand = std::mem::replace(&mut consumer.stand, Stand::Busy);
        match stand {
            Stand::Expected { .. } => {
                self.expected -= 1;
                consumer.share = waiting.div_ceil(self.expected + 1);
            }
            // Its session has looked without being called.
            Stand::Idle => self.idle.retain(|idle| *idle != id),
            Stand::Busy => {}
        }
        if consumer.share == 0 && self.expected == 0 {
            consumer.share = waiting;
        }
        let has_turn = consumer.share > 0;
        consumer.share = consumer.share.saturating_sub(1);
        // It may have credit for one only, and the next round is not to wait for it.
        self.call_next(waiting.saturating_sub(1), calls);
        has_turn
    }

    /// A consumer that found nothing stands in line. Gives the waker that it had, if it has another now.
    pub(super) fn wait(&mut self, id: u64, waker: &Waker) -> Option<Waker> {
        let consumer = self.consumers.get_mut(&id)?;
        (consumer.stand, consumer.share) = (Stand::Idle, 0);
        self.idle.push_back(id);
        let is_known = consumer
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        if is_known {
            None
        } else {
            consumer.waker.replace(waker.clone())
        }
    }

    /// A message has come: somebody is called for it, preferably another than `refuser`.
    pub(super) fn call_one(&mut self, refuser: Option<u64>, calls: &mut Calls) {
        let at = self
            .idle
            .iter()
            .position(|id| Some(*id) != refuser)
            .unwrap_or(0);
        if let Some(id) = self.idle.remove(at) {
            self.call(id, calls);
        }
    }

    /// Whether anybody but this one, which has come, is idle or expected.
    pub(super) fn has_others(&self) -> bool {
        self.expected > 0 || !self.idle.is_empty()
    }

    /// Waits no longer for those that were called before the last sweep, and calls others.
    pub(super) fn sweep(&mut self, waiting: usize, calls: &mut Calls) {
        for consumer in self.consumers.values_mut() {
            match consumer.stand {
                Stand::Expected { is_late: true } => {
                    consumer.stand = Stand::Busy;
                    self.expected -= 1;
                }
                Stand::Expected { is_late: false } => {
                    consumer.stand = Stand::Expected { is_late: true }
                }
                Stand::Idle | Stand::Busy => {}
            }
        }
        self.call_next(waiting, calls);
    }

    /// Begins the next round if nobody is expected any more: as many are called as there are messages.
    fn call_next(&mut self, waiting: usize, calls: &mut Calls) {
        if self.expected == 0 {
            for _ in 0..waiting.min(self.idle.len()) {
                self.call_one(None, calls);
            }
        }
    }

    fn call(&mut self, id: u64, calls: &mut Calls) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.stand = Stand::Expected { is_late: false };
            self.expected += 1;
            calls.extend(consumer.waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some consumers and a number of messages. A consumer that is called comes in its turn, and takes what it may.
    struct Queue {
        line: Line,
        waiting: usize,
        took: Vec<usize>,
    }

    impl Queue {
        fn of(consumers: usize) -> Queue {
            let mut queue = Queue {
                line: Line::default(),
                waiting: 0,
                took: vec![0; consumers],
            };
            for _ in 0..consumers {
                queue.line.join();
            }
            (0..consumers).for_each(|id| queue.comes(id));
            queue
        }

        fn gets(&mut self, messages: usize) {
            for _ in 0..messages {
                self.waiting += 1;
                self.line.call_one(None, &mut Calls::new());
            }
        }

        /// The consumer's session asks until there is nothing for it.
        fn comes(&mut self, id: usize) {
            while self.takes(id) {}
            self.line.wait(id as u64, Waker::noop());
        }

        fn takes(&mut self, id: usize) -> bool {
            let may =
                self.line.come(id as u64, self.waiting, &mut Calls::new()) && self.waiting > 0;
            if may {
                self.waiting -= 1;
                self.took[id] += 1;
            }
            may
        }

        /// All that are called come, those with the lowest numbers first.
        fn all_come(&mut self) {
            let is_expected =
                |consumer: &Consumer| matches!(consumer.stand, Stand::Expected { .. });
            while let Some(id) = self
                .line
                .consumers
                .iter()
                .find(|(_, it)| is_expected(it))
                .map(|(id, _)| *id)
            {
                self.comes(usize::try_from(id).unwrap());
            }
        }
    }

    #[test]
    fn one_after_the_other_gets_a_message() {
        let mut queue = Queue::of(3);
        for _ in 0..9 {
            queue.gets(1);
            queue.all_come();
        }
        assert_eq!(queue.took, [3, 3, 3]);
    }

    #[test]
    fn of_many_each_takes_its_share() {
        for (messages, shares) in [
            (2, [1, 1, 0]),
            (9, [3, 3, 3]),
            (100, [34, 33, 33]),
            (1_000, [334, 333, 333]),
        ] {
            let mut queue = Queue::of(3);
            queue.gets(messages);
            queue.all_come();
            let mut took = queue.took.clone();
            took.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(queue.waiting, 0);
            assert_eq!(took, shares);
        }
    }

    #[test]
    fn who_has_no_credit_hinders_nobody() {
        let mut queue = Queue::of(2);
        queue.gets(10);
        assert!(queue.takes(0));
        // It takes no more, so all the rest is the other's.
        queue.all_come();
        assert_eq!(queue.took, [1, 9]);
    }

    #[test]
    fn who_does_not_come_is_not_waited_for_too_long() {
        let mut queue = Queue::of(2);
        queue.gets(10);
        queue.comes(1);
        assert_eq!(queue.took, [0, 5]);
        queue.line.sweep(queue.waiting, &mut Calls::new());
        assert!(matches!(queue.line.consumers[&1].stand, Stand::Idle));
        queue.line.sweep(queue.waiting, &mut Calls::new());
        assert!(matches!(
            queue.line.consumers[&1].stand,
            Stand::Expected { .. }
        ));
        queue.comes(1);
        assert_eq!(queue.took, [0, 10]);
    }

    #[test]
    fn who_leaves_is_not_waited_for() {
        let mut queue = Queue::of(3);
        queue.gets(10);
        queue.comes(2);
        queue.line.leave(0, queue.waiting, &mut Calls::new());
        queue.comes(1);
        queue.all_come();
        assert_eq!(queue.waiting, 0);
        assert_eq!((queue.line.len(), queue.line.expected), (2, 0));
    }

    #[test]
    fn who_refused_is_called_last() {
        let mut queue = Queue::of(2);
        queue.line.call_one(Some(0), &mut Calls::new());
        assert!(matches!(
            queue.line.consumers[&1].stand,
            Stand::Expected { .. }
        ));
        queue.line.call_one(Some(0), &mut Calls::new());
        assert!(
            matches!(queue.line.consumers[&0].stand, Stand::Expected { .. }),
            "there is nobody else"
        );
    }
}
