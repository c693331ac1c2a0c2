//! The members of a hub, and the round that serves them.

use super::{
    STEP,
    batch::Batch,
    intake::{Intake, IntakeLimits},
};
use crate::{guarded::Leftovers, id::SessionId, mailbox::Mailbox};
use slab::Slab;
use std::sync::{Mutex, PoisonError};

/// The members of a hub. All pushes happen under the lock of this value, so each member gets all batches in order.
#[derive(Default)]
pub(super) struct Members {
    slab: Slab<Member>,
    round: Option<Round>,
}

pub(super) struct Member {
    pub(super) mailbox: Mailbox,
    /// The number of the first message that is for the member.
    pub(super) since: u64,
    /// The session for which the subscription was made, if it is known.
    pub(super) session: Option<SessionId>,
}

/// A batch, on its way to the members.
struct Round {
    batch: Batch,
    /// The key of the next member that gets the batch.
    next_member: usize,
}

/// The messages that wait, and their bounds.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) intake: &'a Mutex<Intake>,
    pub(super) limits: IntakeLimits,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn insert(&mut self, member: Member) -> usize {
        self.slab.insert(member)
    }

    /// Removes a member, which the caller drops without the lock.
    pub(super) fn remove(&mut self, key: usize) -> Option<Member> {
        let member = self.slab.try_remove(key);
        if self.slab.is_empty() {
            self.slab = Slab::new();
        }
        member
    }

    /// Removes all members, which the caller drops without the lock.
    pub(super) fn remove_all(&mut self) -> impl Send + 'static + use<> {
        std::mem::take(&mut self.slab)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.slab.iter().map(|(_, member)| member)
    }

    /// Continues the round, or begins the next one. Serves at most `max_members`. Returns true if the round has ended,
    /// and `None` if no message waits.
    pub(super) fn step(
        &mut self,
        max_members: usize,
        source: Source<'_>,
        leftovers: &mut Leftovers,
    ) -> Option<bool> {
        if self.round.is_none() {
            let mut intake = source.intake.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = intake.take(source.limits, leftovers)?;
            self.round = Some(Round {
                batch,
                next_member: 0,
            });
        }
        let round = self.round.as_mut()?;
        let mut served = 0;
        // Some keys have no member, because members were removed.
        while served < max_members && round.next_member < self.slab.capacity() {
            if let Some(member) = self.slab.get(round.next_member) {
                member.push(&round.batch, leftovers);
                served += 1;
            }
            round.next_member += 1;
        }
        let has_ended = round.next_member >= self.slab.capacity();
        if has_ended {
            let ended = self.round.take().map(|round| round.batch.messages);
            leftovers.drop_messages(ended.into_iter().flatten());
        }
        Some(has_ended)
    }

    /// Delivers all messages that wait to all members.
    pub(super) fn deliver_all(&mut self, source: Source<'_>, leftovers: &mut Leftovers) {
        while self.step(usize::MAX, source, leftovers).is_some() {}
    }

    /// Serves the next members of a round, at most [`STEP`].
    pub(super) fn next_step(
        &mut self,
        source: Source<'_>,
        leftovers: &mut Leftovers,
    ) -> Option<bool> {
        self.step(STEP, source, leftovers)
    }
}

impl Member {
    fn push(&self, batch: &Batch, leftovers: &mut Leftovers) {
        batch.for_each_part(self.since, self.session, |part| {
            self.mailbox.push_under_lock(part, leftovers);
        });
    }
}
