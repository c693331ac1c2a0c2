//! The order in which the consumers of a queue get its messages.

use super::line::{Line, State};
use smallvec::SmallVec;
use std::{
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
    /// All consumers. A consumer is notified while it has its turn in the line. It is busy if it took a message at its
    /// last poll, or if the dispatcher no longer waits for its poll.
    line: Line<ConsumerSlot>,
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
    /// The number of messages that the consumer may still take in this round.
    share: usize,
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
        let slot = ConsumerSlot { waker, share: 0 };
        let place = self.line.add(session, id, slot);
        ConsumerKey { place, id }
    }

    /// Removes a consumer, while `waiting` messages wait.
    pub(super) fn remove_consumer(
        &mut self,
        consumer: ConsumerKey,
        waiting: usize,
        wakers: &mut Wakers,
    ) {
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
        let notified = self.line.called_count();
        let state = self.line.leave(consumer.place);
        let is_waiting = self.is_waiting();
        let Some(slot) = self.line.get_mut(consumer.place) else {
            return false;
        };
        if matches!(state, Some(State::Called(_))) {
            slot.share = waiting.div_ceil(notified);
        }
        if slot.share == 0 && !is_waiting {
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
            slot.share = 0;
            self.line.join(consumer.place);
        }
    }

    /// Notifies the next consumer in the line that a message waits. The consumer `refused_by` has refused the message:
    /// it is notified only if no other is idle.
    pub(super) fn notify_one(&mut self, refused_by: Option<u64>, wakers: &mut Wakers) {
        if let Some(slot) = self.line.call(refused_by) {
            wakers.push(Arc::clone(&slot.waker));
        }
    }

    /// Returns the wakers of all consumers, so that each of them polls and sees that its queue is closed.
    pub(super) fn all_wakers(&self) -> Wakers {
        let slots = self.line.values();
        slots.map(|slot| Arc::clone(&slot.waker)).collect()
    }

    /// Returns true if any consumer is idle or notified. The consumer that polls now is neither.
    pub(super) fn has_other_candidates(&self) -> bool {
        self.is_waiting() || !self.line.is_empty()
    }

    /// Returns true if any consumer is notified and has not polled yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.line.called_count() > 0
    }

    /// Stops waiting for consumers that were notified before the previous call, and have not polled since.
    ///
    /// If there are any while messages wait, the next in the line may be late as well, and so on. So all consumers are
    /// woken and leave the line. The first consumer that polls takes what it can, and the dispatcher waits for none. A
    /// consumer that stalls joins the line again only when it polls.
    pub(super) fn pass_over_late(&mut self, waiting: usize, wakers: &mut Wakers) {
        if waiting > 0 && self.line.first_late().is_some() {
            self.release_all(wakers);
        }
        while let Some(late) = self.line.first_late() {
            self.line.leave(late);
        }
        self.line.begin_period();
        self.begin_round(waiting, wakers);
    }

    /// Makes all consumers busy. Wakes those that were idle. Each of them has polled since the previous time, so this
    /// costs each poll a constant time.
    fn release_all(&mut self, wakers: &mut Wakers) {
        while let Some(notified) = self.line.first_called() {
            self.line.leave(notified);
        }
        while !self.line.is_empty() {
            self.notify_one(None, wakers);
            if let Some(notified) = self.line.first_called() {
                self.line.leave(notified);
            }
        }
    }

    /// Notifies one idle consumer for each waiting message. Does nothing while the previous round goes on.
    fn begin_round(&mut self, waiting: usize, wakers: &mut Wakers) {
        if !self.is_waiting() {
            for _ in 0..waiting.min(self.line.len()) {
                self.notify_one(None, wakers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::{Command, Frame};
    use stomp_session::Request;

    /// A number of messages, and consumers with endless credit that poll when a test says so.
    struct Simulation {
        dispatcher: Dispatcher,
        keys: Vec<ConsumerKey>,
        waiting: usize,
        taken: Vec<usize>,
    }

    impl Simulation {
        /// Starts with idle consumers of the application, whose ids begin at 0.
        fn new(consumers: usize) -> Simulation {
            Simulation::with_session(consumers, None)
        }

        /// Starts with idle consumers of a session.
        fn with_session(consumers: usize, session: Option<SessionId>) -> Simulation {
            let mut simulation = Simulation {
                dispatcher: Dispatcher::default(),
                keys: Vec::new(),
                waiting: 0,
                taken: vec![0; consumers],
            };
            for _ in 0..consumers {
                let waker = Arc::new(Waker::noop().clone());
                let key = simulation.dispatcher.add_consumer(session, waker);
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

        fn remove(&mut self, id: usize) {
            let (key, waiting) = (self.keys[id], self.waiting);
            self.dispatcher
                .remove_consumer(key, waiting, &mut Wakers::new());
        }

        /// The number of consumers and parties that the dispatcher visits for an action.
        fn visits(&mut self, action: impl FnOnce(&mut Simulation)) -> usize {
            self.dispatcher.line.reset_visits();
            action(self);
            self.dispatcher.line.visits()
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

        fn is_notified(&self, id: usize) -> bool {
            matches!(self.state(id), Some(State::Called(_)))
        }

        /// The state of a consumer that was not removed.
        fn state(&self, id: usize) -> Option<State> {
            self.dispatcher.line.state(self.keys[id].place)
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
        assert_eq!(simulation.state(1), Some(State::Idle));
        simulation.pass_over_late();
        assert_eq!(simulation.state(1), Some(State::Busy));
        simulation.poll_until_idle(1);
        assert_eq!(simulation.taken, [0, 10]);
    }

    #[test]
    fn a_removed_consumer_does_not_delay_the_next_round() {
        let mut simulation = Simulation::new(3);
        simulation.push(10);
        simulation.poll_until_idle(2);
        simulation.remove(0);
        simulation.poll_until_idle(1);
        simulation.poll_all_notified();
        assert_eq!(simulation.waiting, 0);
        let dispatcher = &simulation.dispatcher;
        assert_eq!(dispatcher.consumer_count(), 2);
        assert!(!dispatcher.is_waiting());
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

    #[test]
    fn a_consumer_leaves_in_constant_time() {
        let request = Request::new(Frame::new(Command::Subscribe));
        let session = request.session().id();
        // Consumers that leave in each state: notified and late, having taken a message, and idle.
        let visits = |consumers, session| {
            let mut simulation = Simulation::with_session(consumers, session);
            simulation.push(3);
            simulation.poll(1);
            simulation.pass_over_late();
            let leaving = [0, 1, consumers - 1, consumers / 2];
            leaving.map(|id| simulation.visits(|it| it.remove(id)))
        };
        for session in [None, Some(session)] {
            assert_eq!(visits(10, session), visits(10_000, session));
        }
        assert!(visits(10_000, None).iter().all(|visits| *visits < 30));
    }

    #[test]
    fn a_message_finds_its_consumer_in_constant_time_among_many_that_are_stuck() {
        let mut simulation = Simulation::new(10_000);
        simulation.push(10_000);
        // One takes messages. All others have been notified, and never poll.
        for _ in 0..3 {
            simulation.poll_until_idle(9_999);
            simulation.pass_over_late();
        }
        simulation.poll_until_idle(9_999);
        assert_eq!(simulation.waiting, 0);
        let visits = simulation.visits(|it| {
            it.push(1);
            it.poll_until_idle(9_999);
        });
        assert_eq!((simulation.waiting, simulation.taken[9_999]), (0, 10_001));
        assert!(visits < 50, "{visits}");
        let visits = simulation.visits(Simulation::pass_over_late);
        assert!(visits < 10, "{visits}");
    }

    #[test]
    fn late_consumers_cost_each_poll_a_constant_time() {
        let mut simulation = Simulation::new(10_000);
        simulation.push(1);
        simulation.pass_over_late();
        let visits = simulation.visits(Simulation::pass_over_late);
        assert!(
            visits < 10_000 * 40,
            "{visits}: all idle consumers are woken"
        );
        simulation.poll_until_idle(5_000);
        simulation.poll_until_idle(6_000);
        simulation.push(1);
        simulation.pass_over_late();
        let visits = simulation.visits(Simulation::pass_over_late);
        assert!(visits < 100, "{visits}: only two have polled since");
    }
}
