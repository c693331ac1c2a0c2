//! The members of a hub, in the order in which a round serves them.

use super::members::Member;
use slab::Slab;

/// List of members without gaps, so a round costs only as much as there are members, however many there were before.
///
/// The members that the current round has served come first. Members are moved when others are removed, but never from
/// one part to the other.
#[derive(Default)]
pub(super) struct Roster {
    /// The place of each member in the list, by its key.
    places: Slab<usize>,
    /// The members with their keys.
    members: Vec<(usize, Member)>,
    /// The number of members that the current round has served.
    served: usize,
}

impl Roster {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Adds a member, which lacks no message of the current round, and so counts as served: a round must end also while
    /// more members join than its steps serve. Returns its key, which stays the same.
    pub(super) fn insert(&mut self, member: Member) -> usize {
        let place = self.members.len();
        let key = self.places.insert(place);
        self.members.push((key, member));
        self.members.swap(place, self.served);
        self.note_place(place);
        self.note_place(self.served);
        self.served += 1;
        key
    }

    /// Removes a member.
    pub(super) fn try_remove(&mut self, key: usize) -> Option<Member> {
        let mut place = self.places.try_remove(key)?;
        if place < self.served {
            // The last member that was served fills the gap, so that the gap is among those that are not.
            self.served -= 1;
            self.members.swap(place, self.served);
            self.note_place(place);
            place = self.served;
        }
        let (_, member) = self.members.swap_remove(place);
        self.note_place(place);
        if self.members.is_empty() {
            *self = Roster::default();
        } else if self.members.len() < self.members.capacity() / 4 {
            // Frees the memory of a large audience.
            self.members.shrink_to(2 * self.members.len());
        }
        Some(member)
    }

    /// Notes the place of the member that was moved there, if there is one.
    fn note_place(&mut self, place: usize) {
        if let Some((key, _)) = self.members.get(place) {
            if let Some(noted) = self.places.get_mut(*key) {
                *noted = place;
            }
        }
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut Member> {
        let (_, member) = self.members.get_mut(*self.places.get(key)?)?;
        Some(member)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(|(_, member)| member)
    }

    /// The members with their keys.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Member)> {
        self.members.iter_mut().map(|(key, member)| (*key, member))
    }

    /// Begins a round: no member is served.
    pub(super) fn begin_round(&mut self) {
        self.served = 0;
    }

    /// Returns true if the round has served all members.
    pub(super) fn are_all_served(&self) -> bool {
        self.served >= self.members.len()
    }

    /// Returns the next member that the round has to serve, with its key, and notes that it is served.
    pub(super) fn serve_next(&mut self) -> Option<(usize, &mut Member)> {
        let (key, member) = self.members.get_mut(self.served)?;
        self.served += 1;
        Some((*key, member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fan_out::members::Target, mailbox::Mailbox};

    /// Members are told apart by `since`.
    fn member(number: u64) -> Member {
        Member {
            target: Target::Mailbox(Mailbox::new(Default::default()).0),
            since: number,
            session: None,
            is_laggard: false,
        }
    }

    #[test]
    fn a_round_serves_each_member_once_while_others_come_and_go() {
        for removed in 0..40 {
            for served in 0..40 {
                let mut roster = Roster::default();
                let keys: Vec<_> = (0..40)
                    .map(|number| roster.insert(member(number)))
                    .collect();
                roster.begin_round();
                let mut seen: Vec<_> = (0..served)
                    .map(|_| roster.serve_next().unwrap().1.since)
                    .collect();
                let mut left = Vec::new();
                for key in keys.iter().cycle().skip(removed).take(20) {
                    left.push(roster.try_remove(*key).unwrap().since);
                    assert!(roster.try_remove(*key).is_none());
                }
                let added = roster.insert(member(40));
                seen.push(40);
                while let Some((key, member)) = roster.serve_next() {
                    let since = member.since;
                    assert_eq!(roster.get_mut(key).map(|it| it.since), Some(since));
                    seen.push(since);
                }
                assert!(roster.are_all_served());
                assert_eq!(roster.get_mut(added).map(|it| it.since), Some(40));
                let expected: Vec<_> = (0..=40)
                    .filter(|it| !left.contains(it) || seen.contains(it))
                    .collect();
                seen.sort_unstable();
                assert_eq!(seen, expected);
            }
        }
    }

    #[test]
    fn the_last_of_many_members_is_the_only_one_that_a_round_visits() {
        let mut roster = Roster::default();
        let keys: Vec<_> = (0..10_000)
            .map(|number| roster.insert(member(number)))
            .collect();
        for key in &keys[..9_999] {
            assert!(roster.try_remove(*key).is_some());
        }
        roster.begin_round();
        assert_eq!(roster.serve_next().map(|(_, it)| it.since), Some(9_999));
        assert!(roster.are_all_served() && roster.members.capacity() < 10);
    }
}
