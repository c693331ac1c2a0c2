//! The line of a queue's idle consumers.

use std::collections::BTreeMap;
use stomp_session::SessionId;

/// The idle consumers of a queue. The next to be called has been idle longest.
///
/// A session has one place in the line, however many of its consumers are idle. While one of them has its turn, the
/// session has no place. So a session that stalls holds up one message of a round and not many.
///
/// All operations take logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Line {
    parties: BTreeMap<Party, State>,
    /// The parties with idle consumers and without a turn, by ticket.
    places: BTreeMap<u64, Party>,
    /// The number of the next ticket. Tickets order places, and the idle consumers of each party.
    next_ticket: u64,
}

/// The holder of one place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// All consumers of one session.
    Session(SessionId),
    /// A consumer of the application.
    Consumer(u64),
}

/// The state of a party that has a turn or idle consumers.
#[derive(Debug, Default)]
struct State {
    /// The idle consumers by ticket.
    idle: BTreeMap<u64, u64>,
    has_turn: bool,
    /// The ticket of the party's place. `None` if it has no place.
    place: Option<u64>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of places.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Removes everybody, and ends all turns.
    pub(super) fn clear(&mut self) {
        self.parties.clear();
        self.places.clear();
    }

    /// Gives a party its turn without calling it. Returns false if it has a turn already.
    pub(super) fn begin_turn(&mut self, party: Party) -> bool {
        let state = self.parties.entry(party).or_default();
        if let Some(ticket) = state.place.take() {
            self.places.remove(&ticket);
        }
        !std::mem::replace(&mut state.has_turn, true)
    }

    /// Ends the turn of a party. If it has idle consumers, it gets the last place.
    pub(super) fn end_turn(&mut self, party: Party) {
        if let Some(state) = self.parties.get_mut(&party) {
            state.has_turn = false;
            self.update_place(party);
        }
    }

    /// Adds an idle consumer. Returns its ticket.
    pub(super) fn join(&mut self, party: Party, consumer: u64) -> u64 {
        let ticket = self.take_ticket();
        let state = self.parties.entry(party).or_default();
        state.idle.insert(ticket, consumer);
        self.update_place(party);
        ticket
    }

    /// Removes the idle consumer with this ticket.
    pub(super) fn remove(&mut self, party: Party, ticket: u64) {
        if let Some(state) = self.parties.get_mut(&party) {
            state.idle.remove(&ticket);
            self.update_place(party);
        }
    }

    /// Removes the next idle consumer, and gives its party the turn. `except` is called only if no other is idle.
    pub(super) fn call(&mut self, except: Option<u64>) -> Option<u64> {
        // Only one consumer is excepted. So one of the first two parties has another, if any has, and it is one of the
        // first two of that party.
        let (party, ticket, consumer) = self
            .next(|consumer| Some(consumer) != except)
            .or_else(|| self.next(|_| true))?;
        self.begin_turn(party);
        self.remove(party, ticket);
        Some(consumer)
    }

    /// Returns the next idle consumer for which `is_wanted` returns true, with its party and its ticket.
    fn next(&self, is_wanted: impl Fn(u64) -> bool) -> Option<(Party, u64, u64)> {
        self.places.values().find_map(|party| {
            let mut idle = self.parties.get(party)?.idle.iter();
            let (ticket, consumer) = idle.find(|(_, consumer)| is_wanted(**consumer))?;
            Some((*party, *ticket, *consumer))
        })
    }

    /// Gives a party a place if it needs one, and takes it away if not. Forgets a party that has nothing.
    fn update_place(&mut self, party: Party) {
        let ticket = self.take_ticket();
        let Some(state) = self.parties.get_mut(&party) else {
            return;
        };
        let needs_place = !state.has_turn && !state.idle.is_empty();
        match state.place {
            None if needs_place => {
                state.place = Some(ticket);
                self.places.insert(ticket, party);
            }
            Some(place) if !needs_place => {
                state.place = None;
                self.places.remove(&place);
            }
            _ => {}
        }
        if !state.has_turn && state.idle.is_empty() {
            self.parties.remove(&party);
        }
    }

    fn take_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Party = Party::Consumer(1);
    const TWO: Party = Party::Consumer(2);

    fn called(line: &mut Line) -> Vec<u64> {
        std::iter::from_fn(|| line.call(None)).collect()
    }

    #[test]
    fn parties_are_called_in_the_order_in_which_they_joined() {
        let mut line = Line::default();
        for id in [3, 1, 2] {
            line.join(Party::Consumer(id), id);
        }
        assert_eq!(called(&mut line), [3, 1, 2]);
    }

    #[test]
    fn a_party_with_many_consumers_has_one_place() {
        let mut line = Line::default();
        for id in 10..13 {
            line.join(ONE, id);
        }
        line.join(TWO, 20);
        assert_eq!((line.len(), called(&mut line)), (2, vec![10, 20]));
        line.end_turn(ONE);
        line.end_turn(TWO);
        line.join(TWO, 20);
        assert_eq!(called(&mut line), [11, 20]);
        line.end_turn(ONE);
        assert_eq!(called(&mut line), [12]);
        line.end_turn(ONE);
        line.end_turn(TWO);
        assert!(line.is_empty() && line.parties.is_empty());
    }

    #[test]
    fn the_excepted_consumer_is_called_only_if_no_other_is_idle() {
        let mut line = Line::default();
        line.join(ONE, 10);
        line.join(TWO, 20);
        assert_eq!(line.call(Some(10)), Some(20));
        assert_eq!(line.call(Some(10)), Some(10));
        assert_eq!(line.call(Some(10)), None);
        line.end_turn(ONE);
        line.join(ONE, 10);
        line.join(ONE, 11);
        assert_eq!(line.call(Some(10)), Some(11), "of the same party");
    }

    #[test]
    fn a_removed_consumer_is_not_called() {
        let mut line = Line::default();
        let tickets = [10, 11, 12].map(|id| line.join(ONE, id));
        line.remove(ONE, tickets[0]);
        assert_eq!(called(&mut line), [11]);
        line.end_turn(ONE);
        line.remove(ONE, tickets[2]);
        assert!(line.is_empty() && line.parties.is_empty());
    }
}
