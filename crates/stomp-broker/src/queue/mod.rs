//! A queue: its backlog, its consumers, and its count of unacknowledged messages.

pub(super) mod consumer;
pub(super) mod holder;
pub(super) mod registry;
pub(super) mod reservation;
pub(super) mod sweep;

mod administration;
mod alarms;
mod backlog;
mod dead_letters;
mod dispatch;
mod line;
mod list;
mod message;
mod policy;
mod refusals;
mod refused;
mod shares;
mod slots;

use crate::{Address, QueueOverflow, Scope, SubscribeRequest};
use alarms::Alarm;
use backlog::Backlog;
use dispatch::{ConsumerKey, Dispatcher, Wakers};
use message::QueuedMessage;
use policy::Policy;
use shares::Share;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};
use stomp_session::ClientError;
use tokio::time::Instant;

/// A queue with its state.
#[derive(Debug)]
pub(super) struct Queue {
    destination: Address,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// True if the queue was removed from the registry. A publisher that finds a closed queue looks up its name again.
    /// The streams of a closed queue's consumers end.
    is_closed: bool,
    /// True if the queue was declared, so that it is not removed when it is idle.
    is_declared: bool,
    /// True if room for a message was ever reserved. Otherwise only subscriptions have used the queue.
    had_message: bool,
    /// True if the queue is removed when its last consumer leaves.
    is_auto_delete: bool,
    /// True if the only consumer of the queue is exclusive.
    is_exclusive: bool,
    /// The queue's part of the number of all queues. `None` if the queue is closed.
    name: Option<Share>,
    policy: Arc<Policy>,
    backlog: Backlog,
    dispatcher: Dispatcher,
    /// The number of delivered messages that are not yet acknowledged.
    unacknowledged: usize,
    /// The number of all messages that were ever published to the queue.
    published: u64,
    /// The number of messages that have reserved room, but are not yet published.
    reserved: usize,
    /// The bytes of messages that have reserved room, but are not yet published.
    reserved_bytes: usize,
    /// The bytes of all messages that wait, are unacknowledged, or have reserved room.
    bytes: usize,
    next_position: u64,
    /// Set while messages are delayed, for the time at which the first of them is due or earlier.
    alarm: Option<Alarm<Queue>>,
    /// The time at which the last consumer or message left the queue. Not updated while the queue has any, since it
    /// only decides when an unused queue is removed.
    last_activity: Instant,
}

/// The work that must be done after a queue was changed and its lock released.
///
/// Waking a task or dropping a message runs foreign code, which may use the same queue. Moving a dead letter takes the
/// lock of another queue.
#[derive(Debug, Default)]
struct Deferred {
    wakers: Wakers,
    removed: Vec<(QueuedMessage, Removal)>,
}

/// The reason for which a message leaves a queue unacknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Expired,
    /// The queue gives the message up, which becomes a dead letter with this reason.
    GivenUp(&'static str),
}

impl Queue {
    fn new(destination: Address, policy: Arc<Policy>, name: Share) -> Queue {
        let state = State {
            is_closed: false,
            is_declared: false,
            had_message: false,
            is_auto_delete: *destination.scope() == Scope::Temporary,
            is_exclusive: false,
            name: Some(name),
            policy,
            backlog: Backlog::default(),
            dispatcher: Dispatcher::default(),
            unacknowledged: 0,
            published: 0,
            reserved: 0,
            reserved_bytes: 0,
            bytes: 0,
            next_position: 0,
            alarm: None,
            last_activity: Instant::now(),
        };
        Queue {
            destination,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the queue. Returns `None` if it is closed.
    fn lock_open(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.lock()).filter(|state| !state.is_closed)
    }
}

impl State {
    /// Reserves room for one more message. Returns false if the queue is full and its overflow policy does not make
    /// room.
    fn reserve(&mut self, bytes: usize, deferred: &mut Deferred) -> bool {
        self.reserve_or_evict(bytes, self.drops_oldest(), deferred)
    }

    /// Reserves room for one more message. With `can_evict`, also in a full queue that has waiting messages: the oldest
    /// are given up later, when the new message is pushed.
    fn reserve_or_evict(&mut self, bytes: usize, can_evict: bool, deferred: &mut Deferred) -> bool {
        self.refresh(deferred);
        if self.is_full(1, bytes) && (!can_evict || self.backlog.is_empty()) {
            return false;
        }
        self.claim(bytes);
        true
    }

    /// Reserves room for one more message, even if the queue is full.
    fn claim(&mut self, bytes: usize) {
        self.had_message = true;
        self.reserved += 1;
        self.reserved_bytes += bytes;
        self.bytes += bytes;
    }

    /// Releases reserved room that is not needed.
    fn cancel_reservation(&mut self, message: &QueuedMessage) {
        self.reserved -= 1;
        self.reserved_bytes -= message.bytes();
        self.bytes -= message.bytes();
        self.last_activity = Instant::now();
    }

    /// Returns true if the overflow policy of the queue is to evict the oldest messages.
    fn drops_oldest(&self) -> bool {
        self.policy.overflow == QueueOverflow::DropOldest
    }

    /// Appends a message, which has reserved room. If the queue is too full then, evicts the oldest messages by its
    /// overflow policy.
    fn push(&mut self, message: QueuedMessage, deferred: &mut Deferred) {
        self.push_and_evict(message, self.drops_oldest(), deferred);
    }

    /// Appends a message, which has reserved room. With `can_evict`, a queue that is too full then gives up its oldest
    /// messages.
    fn push_and_evict(&mut self, message: QueuedMessage, can_evict: bool, deferred: &mut Deferred) {
        self.published += 1;
        self.reserved -= 1;
        self.reserved_bytes -= message.bytes();
        let position = self.next_position;
        self.next_position += 1;
        self.backlog.insert(position, message, None);
        self.dispatcher.notify_one(None, &mut deferred.wakers);
        while can_evict && self.backlog.len() > 1 && self.is_over() {
            let Some(oldest) = self.backlog.take_oldest() else {
                return;
            };
            self.bytes -= oldest.bytes();
            let overflow = Removal::GivenUp("overflow");
            deferred.removed.push((oldest, overflow));
        }
    }

    /// Returns true if published messages exceed the limits of the queue. Reservations do not count: they may never be
    /// published.
    fn is_over(&self) -> bool {
        self.backlog.len() + self.unacknowledged > self.policy.max_messages
            || self.bytes - self.reserved_bytes > self.policy.max_bytes
    }

    /// Returns true if the queue has no room for this number of further messages and bytes. An empty queue is never
    /// full.
    fn is_full(&self, messages: usize, bytes: usize) -> bool {
        let limits = &self.policy;
        let held = self.backlog.len() + self.unacknowledged + self.reserved;
        held > 0 && (held + messages > limits.max_messages || self.bytes + bytes > limits.max_bytes)
    }

    /// Takes the next message for a consumer, with its position. Returns `None` if there is no message, or if it is the
    /// turn of other consumers.
    fn take(
        &mut self,
        consumer: ConsumerKey,
        deferred: &mut Deferred,
    ) -> Option<(u64, QueuedMessage)> {
        self.refresh(deferred);
        let wakers = &mut deferred.wakers;
        if !self
            .dispatcher
            .poll_turn(consumer, self.backlog.available(), wakers)
        {
            return None;
        }
        // A consumer gets a message that it refused only if no other can take it.
        let refused_by = self
            .dispatcher
            .has_other_candidates()
            .then_some(consumer.id);
        let taken = self.backlog.take_next(refused_by);
        if taken.is_some() {
            self.unacknowledged += 1;
        } else if self.backlog.available() > 0 && !self.dispatcher.is_waiting() {
            self.dispatcher.notify_one(refused_by, wakers);
        }
        taken
    }

    /// Takes back a delivered message that was not acknowledged: puts it back at its position, or gives it up. If the
    /// queue is closed, returns the message.
    fn take_back(
        &mut self,
        position: u64,
        message: QueuedMessage,
        deferred: &mut Deferred,
    ) -> Option<QueuedMessage> {
        if self.is_closed {
            self.remove_delivered(&message);
            return Some(message);
        }
        if let Some(reason) = self.policy.reason_to_give_up(&message) {
            self.remove_delivered(&message);
            deferred.removed.push((message, Removal::GivenUp(reason)));
        } else {
            self.requeue(position, message, deferred);
        }
        None
    }

    /// Puts a delivered message back at its position. A message that was refused before is delayed.
    fn requeue(&mut self, position: u64, message: QueuedMessage, deferred: &mut Deferred) {
        self.unacknowledged -= 1;
        let refused_by = message.refused_by;
        let delay = refused_by.and_then(|_| self.policy.redelivery_delay(message.refusals));
        let due = delay.and_then(|delay| Instant::now().checked_add(delay));
        self.backlog.insert(position, message, due);
        if due.is_none() {
            self.dispatcher.notify_one(refused_by, &mut deferred.wakers);
        }
    }

    /// Releases the room of a delivered message, which leaves the queue.
    fn remove_delivered(&mut self, message: &QueuedMessage) {
        self.unacknowledged -= 1;
        self.bytes -= message.bytes();
        if !self.has_consumers() {
            self.last_activity = Instant::now();
        }
    }

    /// Adds a consumer.
    ///
    /// # Errors
    ///
    /// Returns `queue-in-use` or `not-supported`, as [`SubscribeRequest::exclusive`] and
    /// [`SubscribeRequest::auto_delete`] say.
    fn add_consumer(
        &mut self,
        request: &SubscribeRequest,
        waker: Arc<Waker>,
    ) -> Result<ConsumerKey, ClientError> {
        if self.is_exclusive || (request.exclusive && self.has_consumers()) {
            return Err(refusals::in_use_error(request, self.is_exclusive));
        }
        if request.auto_delete && !self.is_auto_delete {
            if self.had_message || self.is_declared || self.has_consumers() {
                return Err(refusals::auto_delete_error(&request.address));
            }
            self.is_auto_delete = true;
        }
        self.is_exclusive = request.exclusive;
        Ok(self.dispatcher.add_consumer(request.session, waker))
    }

    fn remove_consumer(&mut self, consumer: ConsumerKey, deferred: &mut Deferred) {
        self.last_activity = Instant::now();
        self.is_exclusive = false;
        let (waiting, wakers) = (self.backlog.available(), &mut deferred.wakers);
        self.dispatcher.remove_consumer(consumer, waiting, wakers);
    }

    /// Removes expired messages, and passes over consumers that were notified and did not poll.
    fn sweep(&mut self, deferred: &mut Deferred) {
        self.refresh(deferred);
        let (waiting, wakers) = (self.backlog.available(), &mut deferred.wakers);
        self.dispatcher.pass_over_late(waiting, wakers);
    }

    /// Removes expired messages, and makes delayed messages available that are due.
    fn refresh(&mut self, deferred: &mut Deferred) {
        let next_due = self.backlog.next_due();
        // Without deadlines and delayed messages this does not even read the clock.
        if !self.backlog.has_deadlines() && next_due.is_none() {
            return;
        }
        let now = Instant::now();
        let expired = self.backlog.take_expired(now);
        if !expired.is_empty() {
            self.last_activity = now;
        }
        self.bytes -= expired.iter().map(QueuedMessage::bytes).sum::<usize>();
        let expired = expired.into_iter();
        let expired = expired.map(|message| (message, Removal::Expired));
        deferred.removed.extend(expired);
        while let Some(refused_by) = self.backlog.release_due(now) {
            let wakers = &mut deferred.wakers;
            self.dispatcher.notify_one(Some(refused_by), wakers);
        }
    }

    /// Removes and returns all messages that wait.
    fn purge(&mut self) -> Vec<QueuedMessage> {
        self.last_activity = Instant::now();
        self.alarm = None;
        let messages = self.backlog.take_all();
        self.bytes -= messages.iter().map(QueuedMessage::bytes).sum::<usize>();
        messages
    }

    /// Closes the queue. Removes and returns all messages that wait. Adds the wakers of all consumers to `wakers`, so
    /// that their streams end.
    fn close(&mut self, wakers: &mut Wakers) -> Vec<QueuedMessage> {
        self.is_closed = true;
        self.name = None;
        wakers.extend(self.dispatcher.all_wakers());
        self.purge()
    }

    fn has_consumers(&self) -> bool {
        self.dispatcher.consumer_count() > 0
    }

    /// Returns true if all consumers have left, and the queue must go with them: because they asked for that, or because
    /// only subscriptions have used it.
    fn is_left_by_consumers(&self) -> bool {
        let is_unused = !self.had_message && !self.is_declared;
        (self.is_auto_delete || is_unused) && !self.has_consumers()
    }

    /// Returns true if the queue has been without messages and consumers since `time`, and was not declared.
    fn is_idle_since(&self, time: Instant) -> bool {
        let is_empty = self.backlog.is_empty() && self.unacknowledged == 0 && self.reserved == 0;
        is_empty && !self.is_declared && !self.has_consumers() && self.last_activity <= time
    }
}
