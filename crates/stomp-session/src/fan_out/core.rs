//! The state of a hub.

use super::{
    backlog::Attachment,
    intake::{Intake, IntakeLimits, PumpPlace},
    members::{Member, MemberKey, Members, Relief, Source, Target},
};
use crate::{
    guarded::Guarded,
    id::SessionId,
    mailbox::{
        Mailbox, Messages,
        config::{BacklogConfig, Overflow, SlowConsumer},
        lag::LagCheck,
    },
    memory_budget::MemoryBudget,
    message::Message,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};
use tokio::time::Instant;

/// The largest number of members that a publisher serves itself if no pump runs. A task would cost more.
const SERVED_BY_PUBLISHER: usize = 4;

/// A member that holds back less than this share of an exceeded memory budget is spared: its end would free little, and
/// it may be slow only for a moment.
const SPARED_SHARE: usize = 1_024;

/// The state of a hub, which its handle, its subscribers, its publishers and its pump share.
pub(super) struct Core {
    config: BacklogConfig,
    /// Counts the messages of the hub, and those of other hubs.
    budget: MemoryBudget,
    limits: IntakeLimits,
    members: Guarded<Members>,
    /// May be locked while `members` is.
    intake: Mutex<Intake>,
    /// Number of members.
    count: AtomicUsize,
}

impl Core {
    pub(super) fn new(config: BacklogConfig, budget: MemoryBudget) -> Core {
        Core {
            config,
            limits: IntakeLimits::new(&config),
            members: Guarded::default(),
            intake: Mutex::new(Intake::new(&budget)),
            count: AtomicUsize::new(0),
            budget,
        }
    }

    /// Number of subscribers.
    pub(super) fn members(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds a member with a mailbox. Returns its key and the reading side of the mailbox.
    pub(super) fn add_member(&self, session: Option<SessionId>) -> (MemberKey, Messages) {
        let (mailbox, messages) = Mailbox::new(self.config);
        let key = self.members.with(|members, _| {
            let since = self.intake().next();
            let key = members.insert(Member {
                target: Target::Mailbox(mailbox),
                since,
                session,
                is_laggard: false,
            });
            self.count.store(members.len(), Ordering::Relaxed);
            key
        });
        (key, messages)
    }

    /// Lets the messages of a member wait in the backlog of its session, beginning with `first` and those that wait in its
    /// mailbox. Returns the key of its feed there.
    pub(super) fn attach(
        &self,
        key: MemberKey,
        to: &Attachment<'_>,
        first: Vec<Message>,
        messages: &mut Messages,
    ) -> usize {
        let (feed, former) = self.members.with(|members, leftovers| {
            let queued = match messages.take_all() {
                Ok(queued) => queued,
                Err(SlowConsumer) => {
                    to.backlog.overflow(leftovers);
                    VecDeque::new()
                }
            };
            let (subscription, stream) = (to.subscription, to.stream);
            let feed = to
                .backlog
                .add_feed(subscription, stream, first, queued, leftovers);
            let target = Target::Feed(Arc::clone(to.backlog), feed);
            let former = members.retarget(key, target);
            if former.is_none() {
                // The hub was closed.
                to.backlog.end_feed(feed, leftovers);
            }
            (feed, former)
        });
        drop(former);
        feed
    }

    /// Removes a member.
    pub(super) fn leave(&self, key: MemberKey) {
        let member = self.members.with(|members, _| {
            let member = members.remove(key);
            self.count.store(members.len(), Ordering::Relaxed);
            member
        });
        drop(member);
    }

    /// Adds a message to those that wait. Returns true if a pump is to be started, and true if the publisher should wait.
    pub(super) fn append(&self, message: Message, except: Option<SessionId>) -> (bool, bool) {
        let mut intake = self.intake();
        let starts = intake.append(message, except);
        let is_full = intake.is_full(self.limits(), 1);
        (starts, is_full)
    }

    /// Marks a gap for all subscribers: the next message that each of them gets is marked as
    /// [`Gap::Unknown`](crate::Gap::Unknown).
    pub(super) fn mark_gap(&self) {
        self.members.with(|members, leftovers| {
            // The messages that wait came before the gap.
            members.deliver_all(self.source(), leftovers);
            members.mark_gap();
        });
    }

    /// Removes all subscribers. Their streams end after the messages that were published before.
    pub(super) fn close(&self) {
        self.members.with(|members, leftovers| {
            members.deliver_all(self.source(), leftovers);
            self.count.store(0, Ordering::Relaxed);
            members.remove_all(leftovers);
        });
    }

    /// Delivers messages while `factor` times as many wait as their bounds allow, for a publisher that does not wait for
    /// room. Over the memory budget, their bounds allow less, and the factor is 1.
    pub(super) fn make_room(&self, factor: usize) {
        let factor = if self.budget.is_exceeded() { 1 } else { factor };
        let is_full = || self.intake().is_full(self.limits(), factor);
        if is_full() {
            while is_full() && self.next_step().is_some() {}
            self.keep_budget(false);
        }
    }

    /// Delivers all messages that wait. The lock is free after each step, for those that join or leave.
    pub(super) fn deliver_all(&self) {
        while self.next_step().is_some() {}
        self.keep_budget(false);
    }

    /// Delivers all messages that wait, if the hub has few members. Returns true if that ends the work of the pump at this
    /// place.
    pub(super) fn serve_few(&self, place: PumpPlace) -> bool {
        let (has_few, has_stopped) = self.members.with(|members, leftovers| {
            // In a burst, one task for all messages costs less than a push for each.
            let has_few = members.len() <= SERVED_BY_PUBLISHER
                && !members.has_laggards()
                && !members.take_burst();
            if has_few {
                members.deliver_all(self.source(), leftovers);
            }
            (has_few, has_few && self.intake().stop_if_empty(place))
        });
        if has_few {
            self.keep_budget(true);
        }
        has_stopped
    }

    /// Applies the policy to the members that hold back most, if the memory budget is exceeded. Under [`Overflow::Wait`],
    /// the next round waits for them, unless `may_wait` is false because publishers do not.
    fn keep_budget(&self, may_wait: bool) {
        if !self.budget.is_exceeded() {
            return;
        }
        self.budget.warn_if_exceeded();
        let relief = Relief {
            config: &self.config,
            min_bytes: (self.budget.limit() / SPARED_SHARE).max(1),
            counts_unpolled: self.budget.used() / 2 > self.budget.limit(),
            may_wait,
        };
        self.members
            .with(|members, leftovers| members.relieve(relief, leftovers));
    }

    /// Serves the next members. Returns true if their round has ended, and `None` if no message waits.
    pub(super) fn next_step(&self) -> Option<bool> {
        let has_ended = self
            .members
            .with(|members, leftovers| members.next_step(self.source(), leftovers))?;
        if has_ended {
            self.keep_budget(true);
        }
        Some(has_ended)
    }

    /// Returns the time for which the pump waits for slow members before the next round, if it has to and there is one.
    pub(super) fn patience(&self) -> Option<Duration> {
        let Overflow::Wait(patience) = self.config.overflow else {
            return None;
        };
        let waits = self.members.with(|members, _| {
            members.must_wait() && (members.is_in_round() || !self.intake().is_empty())
        });
        waits.then_some(patience)
    }

    /// Looks at the members that exceed their bounds, and disconnects those that had enough time. Returns the time until
    /// which the next round has to wait for others at most.
    pub(super) fn check_laggards(&self, check: LagCheck<'_>) -> Option<Instant> {
        self.members
            .with(|members, leftovers| members.check_laggards(&self.config, check, leftovers))
    }

    /// Notes that a pump starts at this place. Returns false if it is not needed.
    pub(super) fn start_pump(&self, place: PumpPlace) -> bool {
        self.intake().start_pump(place)
    }

    /// Ends the work of the pump at this place, if no message waits, and no round of another pump is unfinished.
    pub(super) fn stop_if_empty(&self, place: PumpPlace) -> bool {
        self.members
            .with(|members, _| !members.is_in_round() && self.intake().stop_if_empty(place))
    }

    /// Registers a publisher that has to wait for room. Returns false if there is room.
    pub(super) fn block(&self, registered: &mut Option<u64>, waker: &mut Option<Waker>) -> bool {
        self.intake().block(self.limits(), registered, waker)
    }

    /// The bounds of the messages that wait for the next round. They are smaller while the memory budget is exceeded.
    fn limits(&self) -> IntakeLimits {
        if self.budget.is_exceeded() {
            self.limits.reduced()
        } else {
            self.limits
        }
    }

    fn source(&self) -> Source<'_> {
        Source {
            config: &self.config,
            intake: &self.intake,
            limits: self.limits,
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
