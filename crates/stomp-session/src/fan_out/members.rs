//! The members of a hub, and the rounds that serve them.

use super::{
    backlog::{Backlog, Pushed},
    batch::Batch,
    intake::{Intake, IntakeLimits},
    log::Log,
    roster::Roster,
};
use crate::{
    guarded::Leftovers,
    id::SessionId,
    mailbox::{
        Mailbox,
        config::BacklogConfig,
        lag::{LagCheck, LagState},
    },
};
use smallvec::{SmallVec, smallvec};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// The largest number of members that are woken before other tasks run: waking many tasks at once delays all others.
/// And the messages that publishers send meanwhile join the next step.
const STEP: usize = 16;

/// The largest number of messages that are pushed before other tasks run, counted for each member, unless one member
/// gets more. Members that lag need time for each message.
const STEP_MESSAGES: usize = 8_192;

/// The members of a hub. All pushes happen under the lock of this value, so each member gets all batches in order.
#[derive(Default)]
pub(super) struct Members {
    roster: Roster,
    /// The messages that some members lack.
    log: Log,
    /// The number of the message before which all members have all messages when the current round has ended. `None`
    /// between two rounds.
    round: Option<u64>,
    /// The number of times that all members were removed.
    generation: u64,
    /// True if the last messages came faster than the members could take them one by one.
    has_burst: bool,
    laggards: Laggards,
}

/// The place of a member. After the hub was closed, it is no longer valid, also if another member is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemberKey {
    index: usize,
    generation: u64,
}

pub(super) struct Member {
    pub(super) target: Target,
    /// The number of the next message that is for the member.
    pub(super) since: u64,
    /// The session for which the subscription was made, if it is known.
    pub(super) session: Option<SessionId>,
    /// True if the member is among the laggards.
    pub(super) is_laggard: bool,
}

/// The keys of members that exceed their bounds under [`Overflow::Wait`](crate::Overflow::Wait), or did so before. Some may
/// have left since, and others may have their keys.
#[derive(Default)]
struct Laggards {
    /// Members whose patience has not begun.
    new: Vec<usize>,
    /// Members that are waited for.
    waited_for: Vec<usize>,
}

/// The place where the messages of a member wait.
pub(super) enum Target {
    /// The mailbox of a stream.
    Mailbox(Mailbox),
    /// The backlog of the session that has the stream.
    Feed(Arc<Backlog>, usize),
}

/// The messages that wait, and the settings of the hub.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) config: &'a BacklogConfig,
    pub(super) intake: &'a Mutex<Intake>,
    pub(super) limits: IntakeLimits,
}

/// The relief of a memory budget that is exceeded.
#[derive(Clone, Copy)]
pub(super) struct Relief<'a> {
    pub(super) config: &'a BacklogConfig,
    /// Members that hold back fewer bytes are spared.
    pub(super) min_bytes: usize,
    /// True if messages count that members had no chance to send yet.
    pub(super) counts_unpolled: bool,
    /// False if publishers do not wait under [`Overflow::Wait`](crate::Overflow::Wait).
    pub(super) may_wait: bool,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.roster.len()
    }

    pub(super) fn insert(&mut self, member: Member) -> MemberKey {
        MemberKey {
            index: self.roster.insert(member),
            generation: self.generation,
        }
    }

    /// Removes a member, which the caller drops without the lock.
    pub(super) fn remove(&mut self, key: MemberKey) -> Option<Member> {
        if key.generation != self.generation {
            return None;
        }
        self.roster.try_remove(key.index)
    }

    /// Removes all members. Their streams end.
    pub(super) fn remove_all(&mut self, leftovers: &mut Leftovers) {
        let members = std::mem::take(&mut self.roster);
        self.laggards = Laggards::default();
        self.generation += 1;
        for member in members.iter() {
            if let Target::Feed(backlog, feed) = &member.target {
                backlog.end_feed(*feed, leftovers);
            }
        }
        leftovers.drop_later(members);
    }

    /// Changes the target of a member. Returns the former one, which the caller drops without the lock.
    pub(super) fn retarget(&mut self, key: MemberKey, target: Target) -> Option<Target> {
        let is_valid = key.generation == self.generation;
        let member = self.roster.get_mut(key.index).filter(|_| is_valid)?;
        Some(std::mem::replace(&mut member.target, target))
    }

    /// Marks a gap before the next message of each member.
    pub(super) fn mark_gap(&self) {
        for member in self.roster.iter() {
            match &member.target {
                Target::Mailbox(mailbox) => mailbox.mark_gap(),
                Target::Feed(backlog, feed) => backlog.mark_gap(*feed),
            }
        }
    }

    /// Returns true if the next round has to wait for members that may exceed their bounds.
    pub(super) fn must_wait(&self) -> bool {
        self.round.is_none() && self.has_laggards()
    }

    /// Returns true if members lack messages that others have.
    pub(super) fn is_in_round(&self) -> bool {
        self.round.is_some() || !self.log.is_empty()
    }

    /// Serves the next members, at most [`STEP`], and fewer if there are many messages. Returns true if their round has
    /// ended, and `None` if all members have all messages.
    ///
    /// Each member gets all messages that have come until its step. So while a round is under way, publishers add to the
    /// messages that the next members get, and these need fewer writes.
    pub(super) fn next_step(
        &mut self,
        source: Source<'_>,
        leftovers: &mut Leftovers,
    ) -> Option<bool> {
        if self.round.is_none() {
            self.roster.begin_round();
        }
        self.take(source, leftovers);
        let end = self.log.end()?;
        let round_end = *self.round.get_or_insert(end);
        // The messages of the last member, and the number of its first one. Most members of a step lack the same.
        let mut lacking: Option<(u64, Arc<Batch>)> = None;
        let (mut members, mut messages) = (0, 0);
        while members < STEP && messages < STEP_MESSAGES {
            let Some((key, member)) = self.roster.serve_next() else {
                break;
            };
            members += 1;
            let since = member.since;
            if lacking.as_ref().is_none_or(|(first, _)| *first != since) {
                // This drops no last reference: the log has one, or the leftovers.
                lacking = self.log.since(since, leftovers).map(|it| (since, it));
            }
            let Some((_, batch)) = &lacking else {
                continue;
            };
            messages += batch.len();
            let pushed = member.push(batch, source.config, leftovers);
            if pushed.exceeds_bounds && !std::mem::replace(&mut member.is_laggard, true) {
                self.laggards.new.push(key);
            }
            self.has_burst |= pushed.is_burst;
        }
        drop(lacking);
        let has_ended = self.roster.are_all_served();
        if has_ended {
            self.round = None;
            self.log.drop_before(round_end, leftovers);
        }
        Some(has_ended)
    }

    /// Adds messages that wait to the log, if all fit within the bounds of a member that lacks the whole log.
    fn take(&mut self, source: Source<'_>, leftovers: &mut Leftovers) {
        let mut intake = source.intake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = intake.take(source.limits, self.log.size(), leftovers) {
            self.log.push(batch);
        }
    }

    /// Returns true if the last messages came in a burst, so that the next ones are better collected. Resets this.
    pub(super) fn take_burst(&mut self) -> bool {
        std::mem::take(&mut self.has_burst)
    }

    /// Returns true if a member may exceed its bounds, so that the next round has to wait.
    pub(super) fn has_laggards(&self) -> bool {
        !(self.laggards.new.is_empty() && self.laggards.waited_for.is_empty())
    }

    /// Looks at members that exceed their bounds, and disconnects those that had enough time. Returns the time until which
    /// the next round has to wait for the others at most, or looks again.
    ///
    /// The patience of all begins at once. Then each call looks only at one that still lags, because many may catch up one
    /// by one.
    pub(super) fn check_laggards(
        &mut self,
        config: &BacklogConfig,
        check: LagCheck<'_>,
        leftovers: &mut Leftovers,
    ) -> Option<Instant> {
        let Laggards { new, waited_for } = &mut self.laggards;
        let roster = &mut self.roster;
        let mut end_of = |key: usize| {
            let member = roster.get_mut(key)?;
            match member.check_lag(config, check, leftovers) {
                LagState::Lags(end) => Some(end),
                LagState::KeepsUp | LagState::TooSlow => {
                    member.is_laggard = false;
                    None
                }
            }
        };
        waited_for.extend(new.drain(..).filter(|key| end_of(*key).is_some()));
        while let Some(key) = waited_for.last() {
            if let Some(end) = end_of(*key) {
                return Some(end);
            }
            waited_for.pop();
        }
        // Frees the memory of a large crowd.
        self.laggards = Laggards::default();
        None
    }

    /// Applies the policy to the member that holds back most, and to those that hold back at least half as much: as they
    /// hold the same messages, the end of one alone would free little.
    pub(super) fn relieve(&mut self, relief: Relief<'_>, leftovers: &mut Leftovers) {
        let held_back = self.roster.iter().map(|member| member.held_back(relief));
        let most = held_back.max().unwrap_or(0);
        let min_bytes = relief.min_bytes.max(most / 2);
        for (key, member) in self.roster.iter_mut() {
            let is_concerned = member.held_back(relief) >= min_bytes;
            if is_concerned && member.relieve(relief, leftovers) && !member.is_laggard {
                member.is_laggard = true;
                self.laggards.new.push(key);
            }
        }
    }

    /// Delivers all messages that wait to all members.
    pub(super) fn deliver_all(&mut self, source: Source<'_>, leftovers: &mut Leftovers) {
        while self.next_step(source, leftovers).is_some() {}
    }
}

impl Member {
    /// Pushes the messages of the batch that are for the member.
    fn push(
        &mut self,
        batch: &Arc<Batch>,
        config: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) -> Pushed {
        let mut pushed = Pushed::default();
        let mut parts = SmallVec::<[Range<usize>; 2]>::new();
        batch.for_each_part(self.since, self.session, |part| parts.push(part));
        self.since = batch.end();
        match &self.target {
            Target::Mailbox(mailbox) => {
                for part in parts {
                    pushed.exceeds_bounds = mailbox.push_under_lock(batch.queued(part), leftovers);
                }
            }
            Target::Feed(backlog, feed) => {
                let copy = batch.copy_of(&parts);
                if let Some(copy) = &copy {
                    parts = smallvec![0..copy.len()];
                }
                let batch = copy.as_ref().unwrap_or(batch);
                for part in parts {
                    pushed = backlog.push(*feed, batch, part, config, leftovers);
                }
            }
        }
        pushed
    }

    /// The bytes that the member had the chance to send, and has not sent.
    fn held_back(&self, relief: Relief<'_>) -> usize {
        match &self.target {
            Target::Mailbox(mailbox) => mailbox.held_back(relief.counts_unpolled),
            Target::Feed(backlog, feed) => backlog.held_back(*feed, relief.counts_unpolled),
        }
    }

    /// Applies the policy, although the member does not exceed its bounds. Returns true if the hub has to wait.
    fn relieve(&self, relief: Relief<'_>, leftovers: &mut Leftovers) -> bool {
        let Relief {
            config, may_wait, ..
        } = relief;
        match &self.target {
            Target::Mailbox(mailbox) => mailbox.relieve(may_wait, leftovers),
            Target::Feed(backlog, feed) => backlog.relieve(*feed, config, may_wait, leftovers),
        }
    }

    fn check_lag(
        &self,
        config: &BacklogConfig,
        check: LagCheck<'_>,
        leftovers: &mut Leftovers,
    ) -> LagState {
        match &self.target {
            Target::Mailbox(mailbox) => mailbox.check_lag(check, leftovers),
            Target::Feed(backlog, feed) => backlog.check_lag(*feed, config, check, leftovers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mailbox::config::Overflow, memory_budget::MemoryBudget, message::Message};
    use futures_util::{FutureExt, StreamExt};
    use proptest::prelude::*;
    use std::{task::Waker, time::Duration};

    #[derive(Debug, Clone)]
    enum Event {
        Append(usize),
        Step,
        Join,
        Leave(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (1..6_usize).prop_map(Event::Append),
            6 => Just(Event::Step),
            2 => Just(Event::Join),
            1 => (0..200_usize).prop_map(Event::Leave),
        ]
    }

    proptest! {
        /// Each member gets all messages since it has joined, once and in order, and never more at once than the bounds of
        /// the hub allow.
        #[test]
        fn members_that_come_and_go_during_rounds_get_each_message_once_and_in_order(
            count in 0..80_usize,
            events in prop::collection::vec(event(), 0..120),
        ) {
            let config = BacklogConfig::default();
            let small = config.max_messages(8).max_bytes(1 << 10);
            let intake = Mutex::new(Intake::new(&MemoryBudget::default()));
            let source = Source { config: &config, intake: &intake, limits: IntakeLimits::new(&small) };
            let leftovers = &mut Leftovers::default();
            let mut members = Members::default();
            let mut readers = Vec::new();
            let mut appended = 0;
            for event in (0..count).map(|_| Event::Join).chain(events) {
                match event {
                    Event::Append(count) => for _ in 0..count {
                        let message = Message::new(appended.to_string());
                        intake.lock().unwrap().append(message, None);
                        appended += 1;
                    },
                    Event::Step => {
                        members.next_step(source, leftovers);
                        for (_, next, messages) in &mut readers {
                            prop_assert!(read(messages, next) <= 4);
                        }
                    }
                    Event::Join => {
                        let (mailbox, messages) = Mailbox::new(config);
                        let member = Member {
                            target: Target::Mailbox(mailbox),
                            since: appended,
                            session: None,
                            is_laggard: false,
                        };
                        readers.push((members.insert(member), appended, messages));
                    }
                    Event::Leave(place) if place < readers.len() => {
                        let (key, _, _) = readers.swap_remove(place);
                        prop_assert!(members.remove(key).is_some());
                    }
                    Event::Leave(_) => {}
                }
            }
            members.deliver_all(source, leftovers);
            prop_assert!(!members.is_in_round() && intake.lock().unwrap().is_empty());
            for (_, next, messages) in &mut readers {
                read(messages, next);
                prop_assert_eq!(*next, appended);
            }
        }
    }

    #[test]
    fn a_round_ends_while_more_members_join_than_its_steps_serve() {
        let config = BacklogConfig::default();
        let intake = Mutex::new(Intake::new(&MemoryBudget::default()));
        let limits = IntakeLimits::new(&config);
        let source = Source {
            config: &config,
            intake: &intake,
            limits,
        };
        let leftovers = &mut Leftovers::default();
        let mut members = Members::default();
        let mut readers = Vec::new();
        let mut join = |members: &mut Members| {
            let (mailbox, messages) = Mailbox::new(config);
            members.insert(Member {
                target: Target::Mailbox(mailbox),
                since: intake.lock().unwrap().next(),
                session: None,
                is_laggard: false,
            });
            readers.push(messages);
        };
        (0..4 * STEP).for_each(|_| join(&mut members));
        intake.lock().unwrap().append(Message::new("text"), None);
        let steps = (1..100).find(|_| {
            let has_ended = members.next_step(source, leftovers);
            (0..2 * STEP).for_each(|_| join(&mut members));
            has_ended == Some(true)
        });
        assert_eq!(steps, Some(4));
    }

    /// Reads the messages of a member, which must begin with the number `next`. Returns their count.
    fn read(messages: &mut crate::mailbox::Messages, next: &mut u64) -> usize {
        let mut count = 0;
        while let Some(Some(delivery)) = messages.next().now_or_never() {
            let delivery = delivery.unwrap();
            assert_eq!(delivery.message.body(), next.to_string().as_bytes());
            (count, *next) = (count + 1, *next + 1);
        }
        count
    }

    #[test]
    fn the_patience_of_all_laggards_begins_at_once_and_later_one_is_looked_at() {
        let patience = Duration::from_secs(10);
        let config = BacklogConfig::default()
            .max_bytes(1)
            .overflow(Overflow::Wait(patience));
        let mut members = Members::default();
        let mut readers = Vec::new();
        for _ in 0..4 {
            let (mailbox, messages) = Mailbox::new(config);
            assert!(mailbox.push(&[Message::new("text")]));
            let key = members.insert(Member {
                target: Target::Mailbox(mailbox),
                since: 0,
                session: None,
                is_laggard: true,
            });
            members.laggards.new.push(key.index);
            readers.push((key, messages));
        }
        let begin = Instant::now();
        let check_after = |members: &mut Members, seconds| {
            let check = LagCheck {
                now: begin + Duration::from_secs(seconds),
                patience,
                waker: Waker::noop(),
            };
            let end = members.check_laggards(&config, check, &mut Leftovers::default());
            end.map(|end| end - begin)
        };
        assert_eq!(check_after(&mut members, 0), Some(patience));
        // Two catch up, but another is looked at.
        for (_, messages) in &mut readers[1..3] {
            assert!(messages.next().now_or_never().is_some());
        }
        assert_eq!(check_after(&mut members, 5), Some(patience));
        assert_eq!(members.laggards.waited_for.len(), 4);
        let (key, _messages) = readers.pop().unwrap();
        drop(members.remove(key));
        assert_eq!(check_after(&mut members, 9), Some(patience));
        assert_eq!(members.laggards.waited_for.len(), 1);
        assert_eq!(check_after(&mut members, 10), None);
        assert!(!members.has_laggards());
        assert!(members.roster.iter().all(|member| !member.is_laggard));
        assert!(
            readers[0]
                .1
                .next()
                .now_or_never()
                .unwrap()
                .unwrap()
                .is_err()
        );
    }
}
