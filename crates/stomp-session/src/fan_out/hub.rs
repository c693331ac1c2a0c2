//! The handle of a hub.

use super::{
    SERVED_BY_PUBLISHER, Subscriber,
    intake::{Intake, IntakeLimits},
    members::{Member, Members, Source, Target},
    published::Published,
    subscriber::{Attachment, Own},
};
use crate::{
    guarded::Guarded,
    id::SessionId,
    mailbox::{
        Mailbox,
        config::{BacklogConfig, Overflow, SlowConsumer},
        lag::LagCheck,
    },
    message::Message,
};
use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};
use tokio::time::Instant;

/// Distributor of messages to its subscribers: each message goes to all current ones, in the same order for each.
/// Clones share it.
///
/// An engine uses hubs for its topics; an application uses a [`Topic`](crate::Topic), which has a hub.
///
/// Messages that wait travel together: while a batch is on its way to the subscribers, the next one collects. A task of
/// the runtime delivers the batches, and lets other tasks run after every 64 subscribers. Without a runtime, and for
/// a few subscribers, the publisher delivers them.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    config: BacklogConfig,
    limits: IntakeLimits,
    members: Guarded<Members>,
    /// May be locked while `members` is.
    intake: Mutex<Intake>,
    /// Number of members.
    count: AtomicUsize,
}

impl Hub {
    /// Creates a hub whose subscribers have these bounds and this policy.
    #[must_use]
    pub fn new(config: BacklogConfig) -> Hub {
        Hub(Arc::new(Shared {
            config,
            limits: IntakeLimits::new(&config),
            members: Guarded::default(),
            intake: Mutex::default(),
            count: AtomicUsize::new(0),
        }))
    }

    /// Number of subscribers.
    #[must_use]
    pub fn members(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Adds a subscriber. Its stream yields the messages `first`, and then all messages that are appended from now on.
    ///
    /// It wakes nobody and drops nothing, so the caller may hold a lock.
    #[must_use]
    pub fn subscribe(&self, first: Vec<Message>) -> Subscriber {
        self.add_member(None, first)
    }

    pub(crate) fn add_member(&self, session: Option<SessionId>, first: Vec<Message>) -> Subscriber {
        let (mailbox, messages) = Mailbox::new(self.0.config);
        let key = self.0.members.with(|members, _| {
            let since = self.intake().next();
            let key = members.insert(Member {
                target: Target::Mailbox(mailbox),
                since,
                session,
            });
            self.0.count.store(members.len(), Ordering::Relaxed);
            key
        });
        Subscriber::new(self.clone(), key, first.into_iter(), messages)
    }

    /// Lets a subscriber's messages wait in the backlog of its session, beginning with those that wait in its mailbox.
    /// Returns the key of its feed there.
    pub(super) fn attach(&self, key: usize, to: &Attachment<'_>, own: &mut Own) -> usize {
        let (feed, former) = self.0.members.with(|members, leftovers| {
            let queued = match own.messages.take_all() {
                Ok(queued) => queued,
                Err(SlowConsumer) => {
                    to.backlog.set_overflowed();
                    VecDeque::new()
                }
            };
            let first = mem::take(&mut own.first).collect();
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

    /// Removes a subscriber.
    pub(super) fn leave(&self, key: usize) {
        let member = self.0.members.with(|members, _| {
            let member = members.remove(key);
            self.0.count.store(members.len(), Ordering::Relaxed);
            member
        });
        drop(member);
    }

    /// Adds a message to those that wait. It is delivered when `published` is started, awaited or dropped.
    ///
    /// It wakes nobody and drops nothing, so the caller may hold a lock. Messages that are appended to several hubs under
    /// one lock of the caller have the same order in all of them.
    pub fn append(&self, message: Message, published: &mut Published) {
        self.append_except(message, None, published);
    }

    /// Adds a message, which the subscribers of a session do not get.
    pub(crate) fn append_except(
        &self,
        message: Message,
        except: Option<SessionId>,
        published: &mut Published,
    ) {
        let (starts, is_full) = {
            let mut intake = self.intake();
            let starts = intake.append(message, except);
            (starts, intake.is_full(self.0.limits, 1))
        };
        published.add(self, starts, is_full);
    }

    /// Publishes a message.
    pub fn publish(&self, message: Message) -> Published {
        let mut published = Published::new();
        self.append(message, &mut published);
        published
    }

    /// Marks a gap for all subscribers: the next message that each of them gets is marked as
    /// [`Gap::Unknown`](crate::Gap::Unknown).
    pub fn mark_gap(&self) {
        self.0.members.with(|members, leftovers| {
            // The messages that wait came before the gap.
            members.deliver_all(self.source(), leftovers);
            members.mark_gap();
        });
    }

    /// Removes all subscribers. Their streams end after the messages that were published before.
    pub fn close(&self) {
        self.0.members.with(|members, leftovers| {
            members.deliver_all(self.source(), leftovers);
            self.0.count.store(0, Ordering::Relaxed);
            members.remove_all(leftovers);
        });
    }

    /// Delivers the messages that wait, if there are `factor` times as many as their bounds allow, for a publisher that
    /// does not wait for room.
    pub(crate) fn make_room(&self, factor: usize) {
        let is_full = self.intake().is_full(self.0.limits, factor);
        if is_full {
            self.deliver_all();
        }
    }

    /// Delivers all messages that wait.
    pub(super) fn deliver_all(&self) {
        self.0
            .members
            .with(|members, leftovers| members.deliver_all(self.source(), leftovers));
    }

    /// Delivers all messages that wait, if the hub has few members. Returns true if it has.
    pub(super) fn serve_few(&self) -> bool {
        self.0.members.with(|members, leftovers| {
            let has_few = members.len() <= SERVED_BY_PUBLISHER && !members.has_laggards();
            if has_few {
                members.deliver_all(self.source(), leftovers);
            }
            has_few
        })
    }

    /// Serves the next members. Returns true if their round has ended, and `None` if no message waits.
    pub(super) fn next_step(&self) -> Option<bool> {
        self.0
            .members
            .with(|members, leftovers| members.next_step(self.source(), leftovers))
    }

    /// Returns the time for which the pump waits for slow members before the next round, if it has to and there is one.
    pub(super) fn patience(&self) -> Option<Duration> {
        let Overflow::Wait(patience) = self.0.config.overflow else {
            return None;
        };
        let has_laggards = |members: &mut Members, _: &mut _| members.has_laggards();
        let waits = !self.intake().is_empty() && self.0.members.with(has_laggards);
        waits.then_some(patience)
    }

    /// Looks at the members that exceed their bounds, and disconnects those that had enough time. Returns the time until
    /// which the next round has to wait for others at most.
    pub(super) fn check_laggards(&self, check: LagCheck<'_>) -> Option<Instant> {
        self.0
            .members
            .with(|members, leftovers| members.check_laggards(&self.0.config, check, leftovers))
    }

    /// Ends the work of a pump, if no message waits.
    pub(super) fn stop_if_empty(&self) -> bool {
        self.intake().stop_if_empty()
    }

    /// Registers a publisher that has to wait for room. Returns false if there is room.
    pub(super) fn block(&self, registered: &mut Option<u64>, waker: &mut Option<Waker>) -> bool {
        self.intake().block(self.0.limits, registered, waker)
    }

    fn source(&self) -> Source<'_> {
        Source {
            config: &self.0.config,
            intake: &self.0.intake,
            limits: self.0.limits,
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.0.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("members", &self.members())
            .finish_non_exhaustive()
    }
}
