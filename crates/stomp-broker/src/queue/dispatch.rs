//! The order in which the consumers of a queue get its messages.

use super::line::Line;
use smallvec::SmallVec;
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
};
use stomp_session::SessionId;

/// The round-robin dispatcher of a queue.
///
/// A consumer polls for messages while it has credit. If it finds none, it becomes idle and joins the [line](Line). For
/// each new message the dispatcher notifies the next consumer in the line.
///
/// Several messages may wait when a notified consumer polls. It takes only its share, and leaves the others to the
/// other notified consumers. The next round begins when all notified consumers have polled.
///
/// A notified consumer may never poll, because it has no credit left or its peer reads nothing. After some time the
/// dispatcher no longer waits for it, and messages go to any consumer that polls: see [`Dispatcher::pass_over_late`].
#[derive(Debug, Default)]
pub(super) struct Dispatcher {
    /// All consumers, and the order of those in state [`ConsumerState::Idle`].
    line: Line<ConsumerSlot>,
    /// The number of consumers in state [`ConsumerState::Notified`].
    notified_count: usize,
    next_id: u64,
}

/// The name of a consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConsumerKey {
    /// The key in the line, which another consumer may have later.
    place: usize,
    /// A number that no other consumer of the queue ever has.
    pub(super) id: u64,
}

#[derive(Debug)]
struct ConsumerSlot {
    waker: Arc<Waker>,
    state: ConsumerState,
    /// The number of messages that the consumer may still take in this round.
    share: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConsumerState {
    /// The consumer was notified and has not polled since. `is_late` is true if the periodic sweep has also run since.
    Notified { is_late: bool },
    /// The consumer polled, found nothing, and waits in the line for a message.
    Idle,
    /// The consumer polled and took a message, or the dispatcher no longer waits for its poll.
    Active,
}

/// The wakers of notified consumers. The caller wakes them after it has released the lock.
///
/// A task's waker is foreign code. A reference to it is not, so it may be cloned and dropped under the lock: the
/// [consumer](super::consumer::Consumer) has another one.
pub(super) type Wakers = SmallVec<[Arc<Waker>; 2]>;

/// Wakes the consumers, without a lock. The panic hook reports a waker that panics, and the others are woken all the
/// same.
pub(super) fn wake_all(wakers: Wakers) {
    for waker in wakers {
        // The waker may be dropped here too, which may panic as well.
        let _ = catch_unwind(AssertUnwindSafe(move || waker.wake_by_ref()));
    }
}

impl Dispatcher {
    pub(super) fn consumer_count(&self) -> usize {
        self.line.consumer_count()
    }

    /// Adds a consumer with its waker. It counts as notified until its first poll, unless another consumer of its
    /// session is.
    pub(super) fn add_consumer(
        &mut self,
        session: Option<SessionId>,
        waker: Arc<Waker>,
    ) -> ConsumerKey {
        let id = self.next_id;
        self.next_id += 1;
        let slot = ConsumerSlot {
            waker,
            state: ConsumerState::Active,
            share: 0,
        };
        let place = self.line.add(session, id, slot);
        if self.line.begin_turn(place) {
            self.set_notified(place);
        }
        ConsumerKey { place, id }
    }

    /// Removes a consumer, while `waiting` messages wait.
    pub(super) fn remove_consumer(
        &mut self,
        consumer: ConsumerKey,
        waiting: usize,
        wakers: &mut Wakers,
    ) {
        self.release(consumer.place);
        self.line.remove(consumer.place);
        self.begin_round(waiting, wakers);
    }

    /// Replaces the waker of a consumer. The caller has another reference to the old one.
    pub(super) fn set_waker(&mut self, consumer: ConsumerKey, waker: &Arc<Waker>) {
        if let Some(slot) = self.line.get_mut(consumer.place) {
            slot.waker = Arc::clone(waker);
        }
    }

    /// Records a poll of a consumer, while `waiting` messages wait. Returns true if the consumer may take one of them.
    pub(super) fn poll_turn(
        &mut self,
        consumer: ConsumerKey,
        waiting: usize,
        wakers: &mut Wakers,
    ) -> bool {
        let notified = self.notified_count;
        let state = self.release(consumer.place);
        let Some(slot) = self.line.get_mut(consumer.place) else {
            return false;
        };
        if matches!(state, Some(ConsumerState::Notified { .. })) {
            slot.share = waiting.div_ceil(notified);
        }
        if slot.share == 0 && self.notified_count == 0 {
            slot.share = waiting;
        }
        let has_turn = slot.share > 0;
        slot.share = slot.share.saturating_sub(1);
        // The consumer may have credit for one message only. The next round does not wait for it.
        self.begin_round(waiting.saturating_sub(1), wakers);
        has_turn
    }

    /// Makes a consumer idle after a poll that found nothing.
    pub(super) fn park(&mut self, consumer: ConsumerKey) {
        if let Some(slot) = self.line.get_mut(consumer.place) {
            (slot.state, slot.share) = (ConsumerState::Idle, 0);
            self.line.join(consumer.place);
        }
    }

    /// Notifies the next consumer in the line that a message waits. The consumer `refused_by` has refused the message:
    /// it is notified only if no other is idle.
    pub(super) fn notify_one(&mut self, refused_by: Option<u64>, wakers: &mut Wakers) {
        if let Some(place) = self.line.call(refused_by) {
            wakers.extend(self.set_notified(place));
        }
    }

    /// Notes that a consumer has its turn. Returns its waker.
    fn set_notified(&mut self, place: usize) -> Option<Arc<Waker>> {
        let slot = self.line.get_mut(place)?;
        slot.state = ConsumerState::Notified { is_late: false };
        self.notified_count += 1;
        Some(Arc::clone(&slot.waker))
    }

    /// Returns the wakers of all consumers, so that each of them polls and sees that its queue is closed.
    pub(super) fn all_wakers(&self) -> Wakers {
        let slots = self.line.values();
        slots.map(|slot| Arc::clone(&slot.waker)).collect()
    }

    /// Returns true if any consumer is idle or notified. The consumer that polls now is neither.
    pub(super) fn has_other_candidates(&self) -> bool {
        self.notified_count > 0 || !self.line.is_empty()
    }

    /// Returns true if any consumer is notified and has not polled yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.notified_count > 0
    }

    /// Stops waiting for consumers that were notified before the previous call, and have not polled since.
    ///
    /// If there are any while messages wait, the next in the line may be late as well, and so on. So all consumers are
    /// woken and leave the line. The first consumer that polls takes what it can, and the dispatcher waits for none. A
    /// consumer that stalls joins the line again only when it polls.
    pub(super) fn pass_over_late(&mut self, waiting: usize, wakers: &mut Wakers) {
        if self.notified_count > 0 {
            let late: Vec<_> = self.mark_late().collect();
            if !late.is_empty() && waiting > 0 {
                self.release_all(wakers);
            } else {
                for place in late {
                    self.release(place);
                }
            }
        }
        self.begin_round(waiting, wakers);
    }

    /// Marks all notified consumers as late. Returns those that were late before.
    fn mark_late(&mut self) -> impl Iterator<Item = usize> + '_ {
        self.line.iter_mut().filter_map(|(place, slot)| {
            let ConsumerState::Notified { is_late } = &mut slot.state else {
                return None;
            };
            mem::replace(is_late, true).then_some(place)
        })
    }

    /// Makes a consumer active: removes it from the line, or ends its turn. Returns its state before.
    fn release(&mut self, place: usize) -> Option<ConsumerState> {
        let slot = self.line.get_mut(place)?;
        let state = mem::replace(&mut slot.state, ConsumerState::Active);
        match state {
            ConsumerState::Notified { .. } => {
                self.notified_count -= 1;
                self.line.end_turn(place);
            }
            // The consumer's session polled for another reason, or the consumer goes away.
            ConsumerState::Idle => self.line.leave(place),
            ConsumerState::Active => {}
        }
        Some(state)
    }

    /// Makes all consumers active. Wakes those that were idle.
    fn release_all(&mut self, wakers: &mut Wakers) {
        self.line.clear();
        self.notified_count = 0;
        for (_, slot) in self.line.iter_mut() {
            let state = mem::replace(&mut slot.state, ConsumerState::Active);
            if state == ConsumerState::Idle {
                wakers.push(Arc::clone(&slot.waker));
            }
        }
    }

    /// Notifies one idle consumer for each waiting message. Does nothing while the previous round goes on.
    fn begin_round(&mut self, waiting: usize, wakers: &mut Wakers) {
        if self.notified_count == 0 {
            for _ in 0..waiting.min(self.line.len()) {
                self.notify_one(None, wakers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of messages, and consumers with endless credit that poll when a test says so.
    struct Simulation {
        dispatcher: Dispatcher,
        keys: Vec<ConsumerKey>,
        waiting: usize,
        taken: Vec<usize>,
    }

    impl Simulation {
        /// Starts with idle consumers, whose ids begin at 0.
        fn new(consumers: usize) -> Simulation {
            let mut simulation = Simulation {
                dispatcher: Dispatcher::default(),
                keys: Vec::new(),
                waiting: 0,
                taken: vec![0; consumers],
            };
            for _ in 0..consumers {
                let waker = Arc::new(Waker::noop().clone());
                let key = simulation.dispatcher.add_consumer(None, waker);
                simulation.keys.push(key);
            }
            (0..consumers).for_each(|id| simulation.poll_until_idle(id));
            simulation
        }

        fn push(&mut self, messages: usize) {
            for _ in 0..messages {
                self.waiting += 1;
                self.dispatcher.notify_one(None, &mut Wakers::new());
            }
        }

        fn poll_until_idle(&mut self, id: usize) {
            while self.poll(id) {}
            self.dispatcher.park(self.keys[id]);
        }

        /// Polls once. Returns true if the consumer took a message.
        fn poll(&mut self, id: usize) -> bool {
            let has_turn =
                self.dispatcher
                    .poll_turn(self.keys[id], self.waiting, &mut Wakers::new());
            let takes = has_turn && self.waiting > 0;
            if takes {
                self.waiting -= 1;
                self.taken[id] += 1;
            }
            takes
        }

        /// Polls all notified consumers until none is left, in the order of their ids.
        fn poll_all_notified(&mut self) {
            while let Some(id) = (0..self.taken.len()).find(|id| self.is_notified(*id)) {
                self.poll_until_idle(id);
            }
        }

        fn is_notified(&mut self, id: usize) -> bool {
            let notified = |state| matches!(state, ConsumerState::Notified { .. });
            self.state(id).is_some_and(notified)
        }

        /// The state of a consumer that was not removed.
        fn state(&mut self, id: usize) -> Option<ConsumerState> {
            let slot = self.dispatcher.line.get_mut(self.keys[id].place);
            slot.map(|slot| slot.state)
        }

        fn pass_over_late(&mut self) {
            self.dispatcher
                .pass_over_late(self.waiting, &mut Wakers::new());
        }
    }

    #[test]
    fn single_messages_go_to_each_consumer_in_turn() {
        let mut simulation = Simulation::new(3);
        for _ in 0..9 {
            simulation.push(1);
            simulation.poll_all_notified();
        }
        assert_eq!(simulation.taken, [3, 3, 3]);
    }

    #[test]
    fn a_burst_is_divided_equally_among_the_consumers() {
        for (messages, shares) in [
            (2, [1, 1, 0]),
            (9, [3, 3, 3]),
            (100, [34, 33, 33]),
            (1_000, [334, 333, 333]),
        ] {
            let mut simulation = Simulation::new(3);
            simulation.push(messages);
            simulation.poll_all_notified();
            let mut taken = simulation.taken.clone();
            taken.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(simulation.waiting, 0);
            assert_eq!(taken, shares);
        }
    }

    #[test]
    fn a_consumer_that_stops_polling_leaves_its_share_to_the_others() {
        let mut simulation = Simulation::new(2);
        simulation.push(10);
        assert!(simulation.poll(0));
        simulation.poll_all_notified();
        assert_eq!(simulation.taken, [1, 9]);
    }

    #[test]
    fn a_notified_consumer_that_never_polls_is_passed_over_at_the_second_sweep() {
        let mut simulation = Simulation::new(2);
        simulation.push(10);
        simulation.poll_until_idle(1);
        assert_eq!(simulation.taken, [0, 5]);
        simulation.pass_over_late();
        assert_eq!(simulation.state(1), Some(ConsumerState::Idle));
        simulation.pass_over_late();
        assert_eq!(simulation.state(1), Some(ConsumerState::Active));
        simulation.poll_until_idle(1);
        assert_eq!(simulation.taken, [0, 10]);
    }

    #[test]
    fn a_removed_consumer_does_not_delay_the_next_round() {
        let mut simulation = Simulation::new(3);
        simulation.push(10);
        simulation.poll_until_idle(2);
        let (first, waiting) = (simulation.keys[0], simulation.waiting);
        simulation
            .dispatcher
            .remove_consumer(first, waiting, &mut Wakers::new());
        simulation.poll_until_idle(1);
        simulation.poll_all_notified();
        assert_eq!(simulation.waiting, 0);
        let dispatcher = &simulation.dispatcher;
        assert_eq!(dispatcher.consumer_count(), 2);
        assert_eq!(dispatcher.notified_count, 0);
    }

    #[test]
    fn the_consumer_that_refused_a_message_is_notified_last() {
        let mut simulation = Simulation::new(2);
        simulation
            .dispatcher
            .notify_one(Some(0), &mut Wakers::new());
        assert!(simulation.is_notified(1) && !simulation.is_notified(0));
        simulation
            .dispatcher
            .notify_one(Some(0), &mut Wakers::new());
        assert!(simulation.is_notified(0), "no other consumer is idle");
    }
}
