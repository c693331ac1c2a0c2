//! The line of a queue's idle consumers.

use super::list::{Linked, Links, List};
use slab::Slab;
use std::collections::HashMap;
use stomp_session::SessionId;

/// The idle consumers of a queue. The next to be called has been idle longest.
///
/// A session has one place in the line, however many of its consumers are idle. While one of them has its turn, the
/// session has no place. So a session that stalls holds up one message of a round and not many. A consumer of the
/// application has a place of its own.
///
/// All operations except [`clear`](Line::clear) take constant time.
///
/// The line holds a value of type `T` for each consumer.
#[derive(Debug)]
pub(super) struct Line<T> {
    consumers: Slab<Consumer<T>>,
    parties: Slab<Party>,
    sessions: HashMap<SessionId, usize>,
    /// The parties with idle consumers and without a turn.
    places: List,
}

#[derive(Debug)]
struct Consumer<T> {
    /// The number of the consumer, which is never used again.
    id: u64,
    party: usize,
    is_idle: bool,
    /// The place among the idle consumers of the party.
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
        self.consumers.iter().map(|(_, consumer)| &consumer.value)
    }

    /// The keys and values of all consumers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let consumers = self.consumers.iter_mut();
        consumers.map(|(key, consumer)| (key, &mut consumer.value))
    }

    /// True if nobody waits to be called.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of parties that wait to be called.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds a consumer, which is not idle. Returns its key.
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
        if let Some(party) = self.parties.get_mut(party) {
            party.consumers += 1;
        }
        self.consumers.insert(Consumer {
            id,
            party,
            is_idle: false,
            links: Links::default(),
            value,
        })
    }

    /// Removes a consumer, which has no turn.
    pub(super) fn remove(&mut self, key: usize) {
        self.leave(key);
        let Some(Consumer { party, .. }) = self.consumers.try_remove(key) else {
            return;
        };
        let Some(state) = self.parties.get_mut(party) else {
            return;
        };
        state.consumers -= 1;
        if state.consumers == 0 {
            if let Some(session) = state.session {
                self.sessions.remove(&session);
            }
            self.parties.remove(party);
        }
    }

    /// Makes a consumer idle.
    pub(super) fn join(&mut self, key: usize) {
        self.set_idle(key, true);
    }

    /// Makes a consumer busy, if it is idle.
    pub(super) fn leave(&mut self, key: usize) {
        self.set_idle(key, false);
    }

    /// Gives the party of a consumer its turn without a call. Returns false if it has a turn already.
    pub(super) fn begin_turn(&mut self, key: usize) -> bool {
        self.set_turn(key, true)
    }

    /// Ends the turn of a consumer. If others of its party are idle, the party gets the last place.
    pub(super) fn end_turn(&mut self, key: usize) {
        self.set_turn(key, false);
    }

    /// Gives the turn to the next idle consumer, and returns its key. The consumer with the id `except` is called only if
    /// no other is idle.
    pub(super) fn call(&mut self, except: Option<u64>) -> Option<usize> {
        // Only one consumer is excepted. So one of the first two parties has another, if any has, and it is one of the
        // first two of that party.
        let key = self
            .next(|id| Some(id) != except)
            .or_else(|| self.next(|_| true))?;
        self.set_turn(key, true);
        self.leave(key);
        Some(key)
    }

    /// Makes all consumers busy, and ends all turns.
    pub(super) fn clear(&mut self) {
        self.places = List::default();
        for (_, party) in &mut self.parties {
            party.idle = List::default();
            (party.has_turn, party.has_place) = (false, false);
        }
        for (_, consumer) in &mut self.consumers {
            consumer.is_idle = false;
        }
    }

    /// Returns the key of the next idle consumer whose id is wanted.
    fn next(&self, is_wanted: impl Fn(u64) -> bool) -> Option<usize> {
        self.places.keys(&self.parties).find_map(|party| {
            let idle = &self.parties.get(party)?.idle;
            let mut idle = idle.keys(&self.consumers);
            idle.find(|key| self.consumers.get(*key).is_some_and(|it| is_wanted(it.id)))
        })
    }

    fn set_idle(&mut self, key: usize, is_idle: bool) {
        let Some(consumer) = self.consumers.get_mut(key) else {
            return;
        };
        let party = consumer.party;
        if std::mem::replace(&mut consumer.is_idle, is_idle) == is_idle {
            return;
        }
        if let Some(state) = self.parties.get_mut(party) {
            if is_idle {
                state.idle.push(&mut self.consumers, key);
            } else {
                state.idle.remove(&mut self.consumers, key);
            }
        }
        self.update_place(party);
    }

    /// Returns true if the value changes.
    fn set_turn(&mut self, key: usize, has_turn: bool) -> bool {
        let Some(party) = self.consumers.get(key).map(|consumer| consumer.party) else {
            return false;
        };
        let Some(state) = self.parties.get_mut(party) else {
            return false;
        };
        let is_change = std::mem::replace(&mut state.has_turn, has_turn) != has_turn;
        self.update_place(party);
        is_change
    }

    /// Gives a party a place if it needs one, and takes it away if not.
    fn update_place(&mut self, key: usize) {
        let Some(party) = self.parties.get_mut(key) else {
            return;
        };
        let needs_place = !party.has_turn && !party.idle.is_empty();
        if std::mem::replace(&mut party.has_place, needs_place) == needs_place {
            return;
        }
        if needs_place {
            self.places.push(&mut self.parties, key);
        } else {
            self.places.remove(&mut self.parties, key);
        }
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line {
            consumers: Slab::new(),
            parties: Slab::new(),
            sessions: HashMap::new(),
            places: List::default(),
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

    fn call(line: &mut Ids, except: Option<u64>) -> Option<u64> {
        let key = line.call(except)?;
        line.get_mut(key).copied()
    }

    fn called(line: &mut Ids) -> Vec<u64> {
        std::iter::from_fn(|| call(line, None)).collect()
    }

    /// A line with idle consumers, and their keys.
    fn line<const N: usize>(consumers: [(Option<SessionId>, u64); N]) -> (Ids, [usize; N]) {
        let mut line = Line::default();
        let keys = consumers.map(|(session, id)| line.add(session, id, id));
        keys.iter().for_each(|key| line.join(*key));
        (line, keys)
    }

    #[test]
    fn consumers_are_called_in_the_order_in_which_they_joined() {
        let (mut line, _) = line([(None, 3), (session(), 1), (None, 2)]);
        assert_eq!(called(&mut line), [3, 1, 2]);
    }

    #[test]
    fn a_session_with_many_consumers_has_one_place() {
        let (one, two) = (session(), session());
        let (mut line, keys) = line([(one, 10), (one, 11), (one, 12), (two, 20)]);
        assert_eq!((line.len(), called(&mut line)), (2, vec![10, 20]));
        line.end_turn(keys[0]);
        line.end_turn(keys[3]);
        line.join(keys[3]);
        assert_eq!(called(&mut line), [11, 20]);
        line.end_turn(keys[1]);
        assert_eq!(called(&mut line), [12]);
    }

    #[test]
    fn the_excepted_consumer_is_called_only_if_no_other_is_idle() {
        let one = session();
        let (mut line, keys) = line([(one, 10), (None, 20)]);
        assert_eq!(call(&mut line, Some(10)), Some(20));
        assert_eq!(call(&mut line, Some(10)), Some(10));
        assert_eq!(call(&mut line, Some(10)), None);
        line.end_turn(keys[0]);
        let other = line.add(one, 11, 11);
        line.join(keys[0]);
        line.join(other);
        assert_eq!(call(&mut line, Some(10)), Some(11), "of the same session");
    }

    #[test]
    fn a_removed_consumer_is_not_called_and_leaves_nothing_behind() {
        let one = session();
        let (mut line, keys) = line([(one, 10), (one, 11), (None, 12)]);
        line.remove(keys[0]);
        assert_eq!(called(&mut line), [11, 12]);
        line.end_turn(keys[1]);
        line.end_turn(keys[2]);
        line.join(keys[1]);
        line.clear();
        assert!(line.is_empty());
        line.remove(keys[1]);
        line.remove(keys[2]);
        assert!(line.parties.is_empty() && line.consumers.is_empty() && line.sessions.is_empty());
    }
}
