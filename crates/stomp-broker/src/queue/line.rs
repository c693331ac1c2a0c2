//! The line of a queue's idle consumers.

use super::{
    list::{Linked, Links, List},
    slots::Slots,
};
use std::{collections::HashMap, mem};
use stomp_session::SessionId;

/// The consumers of a queue, and the order of those that are idle. The next to be called has been idle longest.
///
/// A consumer that is called has its turn until it becomes busy. A session has one place in the line, however many of its
/// consumers are idle. While one of them has its turn, the session has no place. So a session that stalls holds up one
/// message of a round and not many. A consumer of the application has a place of its own.
///
/// All operations take constant time, or logarithmic time where consumers come and go, however many there are.
///
/// The line holds a value of type `T` for each consumer.
#[derive(Debug)]
pub(super) struct Line<T> {
    consumers: Slots<Consumer<T>>,
    parties: Slots<Party>,
    sessions: HashMap<SessionId, usize>,
    /// The parties with idle consumers and without a turn.
    places: List,
    /// The consumers that have their turn, longest first.
    called: List,
    /// The number of calls of [`begin_period`](Line::begin_period).
    period: u64,
}

/// The state of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The consumer waits in the line.
    Idle,
    /// The consumer has had its turn since this period.
    Called(u64),
    Busy,
}

#[derive(Debug)]
struct Consumer<T> {
    /// The number of the consumer, which is never used again.
    id: u64,
    party: usize,
    state: State,
    /// The place among the idle consumers of the party, or among the called consumers.
    links: Links,
    value: T,
}

/// The consumers of one session, or one consumer of the application.
#[derive(Debug)]
struct Party {
    session: Option<SessionId>,
    /// The number of all consumers.
    consumers: usize,
    idle: List,
    has_turn: bool,
    /// True if the party is in [`Line::places`].
    has_place: bool,
    links: Links,
}

impl<T> Line<T> {
    /// The number of all consumers.
    pub(super) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// The value of a consumer.
    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        self.consumers
            .get_mut(key)
            .map(|consumer| &mut consumer.value)
    }

    /// The values of all consumers.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.consumers.values().map(|consumer| &consumer.value)
    }

    /// True if nobody waits to be called.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of parties that wait to be called.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The number of consumers that have their turn.
    pub(super) fn called_count(&self) -> usize {
        self.called.len()
    }

    /// The key of the consumer that has had its turn longest.
    pub(super) fn first_called(&self) -> Option<usize> {
        self.called.first()
    }

    /// The key of the consumer that has had its turn longest, if it had it before the period began.
    pub(super) fn first_late(&self) -> Option<usize> {
        let first = self.called.first()?;
        let is_late =
            |it: &Consumer<T>| matches!(it.state, State::Called(period) if period < self.period);
        self.consumers
            .get(first)
            .is_some_and(is_late)
            .then_some(first)
    }

    /// Begins another period, for [`first_late`](Line::first_late).
    pub(super) fn begin_period(&mut self) {
        self.period += 1;
    }

    /// Adds a consumer. If no other of its session has a turn, it has one. Otherwise it is busy. Returns its key.
    pub(super) fn add(&mut self, session: Option<SessionId>, id: u64, value: T) -> usize {
        let parties = &mut self.parties;
        let mut new_party = || {
            parties.insert(Party {
                session,
                consumers: 0,
                idle: List::default(),
                has_turn: false,
                has_place: false,
                links: Links::default(),
            })
        };
        let party = match session {
            Some(session) => *self.sessions.entry(session).or_insert_with(new_party),
            None => new_party(),
        };
        let key = self.consumers.insert(Consumer {
            id,
            party,
            state: State::Busy,
            links: Links::default(),
            value,
        });
        if let Some(state) = self.parties.get_mut(party) {
            state.consumers += 1;
            if !state.has_turn {
                self.begin_turn(key);
            }
        }
        key
    }

    /// Removes a consumer.
    pub(super) fn remove(&mut self, key: usize) {
        self.leave(key);
        let Some(Consumer { party, .. }) = self.consumers.remove(key) else {
            return;
        };
        let Some(state) = self.parties.get_mut(party) else {
            return;
        };
        state.consumers -= 1;
        if state.consumers == 0 {
            if let Some(session) = state.session {
                self.forget_session(session);
            }
            self.parties.remove(party);
        }
    }

    fn forget_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        // So many sessions have left since the map was as large that moving the others costs little.
        let len = self.sessions.len();
        if len < self.sessions.capacity() / 4 {
            self.sessions.shrink_to(len * 2);
        }
    }

    /// Makes a busy consumer idle.
    pub(super) fn join(&mut self, key: usize) {
        let Some(consumer) = self.consumers.get_mut(key) else {
            return;
        };
        if consumer.state != State::Busy {
            return;
        }
        consumer.state = State::Idle;
        let party = consumer.party;
        if let Some(state) = self.parties.get_mut(party) {
            state.idle.push(&mut self.consumers, key);
        }
        self.update_place(party);
    }

    /// Makes a consumer busy. If it had its turn and others of its party are idle, the party gets the last place. Returns
    /// the state of the consumer before.
    pub(super) fn leave(&mut self, key: usize) -> Option<State> {
        let consumer = self.consumers.get_mut(key)?;
        let state = mem::replace(&mut consumer.state, State::Busy);
        let party = consumer.party;
        match state {
            State::Busy => return Some(state),
            State::Called(_) => {
                self.called.remove(&mut self.consumers, key);
                self.parties.get_mut(party)?.has_turn = false;
            }
            State::Idle => {
                let idle = &mut self.parties.get_mut(party)?.idle;
                idle.remove(&mut self.consumers, key);
            }
        }
        self.update_place(party);
        Some(state)
    }

    /// Gives the turn to the next idle consumer, and returns its value. The consumer with the id `except` is called only if
    /// no other is idle.
    pub(super) fn call(&mut self, except: Option<u64>) -> Option<&T> {
        // Only one consumer is excepted. So one of the first two parties has another, if any has, and it is one of the
        // first two of that party.
        let key = self
            .next(|id| Some(id) != except)
            .or_else(|| self.next(|_| true))?;
        self.leave(key);
        self.begin_turn(key);
        self.consumers.get(key).map(|consumer| &consumer.value)
    }

    /// Returns the key of the next idle consumer whose id is wanted.
    fn next(&self, is_wanted: impl Fn(u64) -> bool) -> Option<usize> {
        self.places.keys(&self.parties).find_map(|party| {
            let idle = &self.parties.get(party)?.idle;
            let mut idle = idle.keys(&self.consumers);
            idle.find(|key| self.consumers.get(*key).is_some_and(|it| is_wanted(it.id)))
        })
    }

    /// Gives a busy consumer its turn.
    fn begin_turn(&mut self, key: usize) {
        let Some(consumer) = self.consumers.get_mut(key) else {
            return;
        };
        consumer.state = State::Called(self.period);
        let party = consumer.party;
        self.called.push(&mut self.consumers, key);
        if let Some(state) = self.parties.get_mut(party) {
            state.has_turn = true;
        }
        self.update_place(party);
    }

    /// Gives a party a place if it needs one, and takes it away if not.
    fn update_place(&mut self, key: usize) {
        let Some(party) = self.parties.get_mut(key) else {
            return;
        };
        let needs_place = !party.has_turn && !party.idle.is_empty();
        if mem::replace(&mut party.has_place, needs_place) == needs_place {
            return;
        }
        if needs_place {
            self.places.push(&mut self.parties, key);
        } else {
            self.places.remove(&mut self.parties, key);
        }
    }

    /// The state of a consumer.
    #[cfg(test)]
    pub(super) fn state(&self, key: usize) -> Option<State> {
        self.consumers.get(key).map(|consumer| consumer.state)
    }

    /// Starts to count the consumers and parties that are visited.
    #[cfg(test)]
    pub(super) fn reset_visits(&self) {
        self.consumers.visits.set(0);
        self.parties.visits.set(0);
    }

    /// The number of visits to consumers and parties.
    #[cfg(test)]
    pub(super) fn visits(&self) -> usize {
        self.consumers.visits.get() + self.parties.visits.get()
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line {
            consumers: Slots::default(),
            parties: Slots::default(),
            sessions: HashMap::new(),
            places: List::default(),
            called: List::default(),
            period: 0,
        }
    }
}

impl<T> Linked for Consumer<T> {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

impl Linked for Party {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::{Command, Frame};

    fn session() -> Option<SessionId> {
        let request = stomp_session::Request::new(Frame::new(Command::Subscribe));
        Some(request.session().id())
    }

    /// A line whose values are the ids of the consumers.
    type Ids = Line<u64>;

    fn called(line: &mut Ids) -> Vec<u64> {
        std::iter::from_fn(|| line.call(None).copied()).collect()
    }

    /// A line with idle consumers, and their keys.
    fn line<const N: usize>(consumers: [(Option<SessionId>, u64); N]) -> (Ids, [usize; N]) {
        let mut line = Line::default();
        let keys = consumers.map(|(session, id)| line.add(session, id, id));
        for key in keys {
            line.leave(key);
            line.join(key);
        }
        (line, keys)
    }

    #[test]
    fn consumers_are_called_in_the_order_in_which_they_joined() {
        let (mut line, _) = line([(None, 3), (session(), 1), (None, 2)]);
        assert_eq!(called(&mut line), [3, 1, 2]);
        assert_eq!(line.called_count(), 3);
    }

    #[test]
    fn a_session_with_many_consumers_has_one_place() {
        let (one, two) = (session(), session());
        let (mut line, keys) = line([(one, 10), (one, 11), (one, 12), (two, 20)]);
        assert_eq!((line.len(), called(&mut line)), (2, vec![10, 20]));
        line.leave(keys[0]);
        line.leave(keys[3]);
        line.join(keys[3]);
        assert_eq!(called(&mut line), [11, 20]);
        line.leave(keys[1]);
        assert_eq!(called(&mut line), [12]);
    }

    #[test]
    fn the_excepted_consumer_is_called_only_if_no_other_is_idle() {
        let one = session();
        let (mut line, keys) = line([(one, 10), (None, 20)]);
        assert_eq!(line.call(Some(10)), Some(&20));
        assert_eq!(line.call(Some(10)), Some(&10));
        assert_eq!(line.call(Some(10)), None);
        let other = line.add(one, 11, 11);
        assert_eq!(
            line.state(other),
            Some(State::Busy),
            "its session has a turn"
        );
        line.leave(keys[0]);
        line.join(keys[0]);
        line.join(other);
        assert_eq!(line.call(Some(10)), Some(&11), "of the same session");
    }

    #[test]
    fn consumers_are_late_in_the_order_in_which_they_were_called() {
        let (mut line, keys) = line([(None, 1), (None, 2), (None, 3), (None, 4)]);
        let late = |line: &mut Ids| {
            line.begin_period();
            let late = line.first_late();
            late.into_iter().for_each(|key| {
                line.leave(key);
            });
            late
        };
        line.call(None);
        line.call(None);
        assert_eq!(late(&mut line), Some(keys[0]));
        line.call(None);
        assert_eq!(line.first_late(), Some(keys[1]));
        line.leave(keys[1]);
        assert_eq!(line.first_late(), None, "called in this period");
        assert_eq!(late(&mut line), Some(keys[2]));
        assert_eq!((late(&mut line), line.len()), (None, 1));
    }

    #[test]
    fn a_removed_consumer_is_not_called_and_leaves_nothing_behind() {
        let one = session();
        let (mut line, keys) = line([(one, 10), (one, 11), (None, 12)]);
        line.remove(keys[0]);
        assert_eq!(called(&mut line), [11, 12]);
        line.remove(keys[1]);
        line.remove(keys[2]);
        assert!(line.is_empty() && line.called.is_empty());
        assert_eq!((line.parties.len(), line.consumers.len()), (0, 0));
        assert!(line.sessions.is_empty());
    }
}
