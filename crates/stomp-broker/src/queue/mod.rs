//! A queue: its backlog, its consumers, and its count of unacknowledged messages.

pub(super) mod consumer;
pub(super) mod registry;
pub(super) mod sweep;

mod backlog;
mod dispatch;

use crate::{Address, Config, QueueOverflow, Scope, counters::Counter};
use backlog::{Backlog, QueuedMessage, ReservedBytes};
use dispatch::{Dispatcher, Wakers};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};
use stomp_session::ClientError;
use tokio::time::Instant;

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    destination: Address,
    published: Counter,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// True if the registry no longer has this queue. A caller that finds it closed looks it up again.
    is_closed: bool,
    backlog: Backlog,
    dispatcher: Dispatcher,
    /// The number of messages that consumers have and have not acknowledged.
    unacknowledged: usize,
    /// The number of messages that have room, but are not yet published.
    reserved: usize,
    /// The bytes of all messages in `backlog`, `unacknowledged` and `reserved`.
    bytes: usize,
    next_position: u64,
    last_activity: Instant,
}

/// The bounds of one queue.
#[derive(Debug, Clone, Copy)]
struct QueueLimits {
    max_messages: usize,
    max_bytes: usize,
    overflow: QueueOverflow,
}

impl QueueLimits {
    fn new(config: &Config, overflow: QueueOverflow) -> QueueLimits {
        QueueLimits {
            max_messages: config.max_queue_messages,
            max_bytes: config.max_queue_bytes,
            overflow,
        }
    }

    /// Creates the error `queue-full` for a queue with these limits.
    fn full_error(&self, queue: &Address) -> ClientError {
        let QueueLimits {
            max_messages,
            max_bytes,
            ..
        } = self;
        // The name of a temporary queue is a secret, and error texts may be logged.
        let queue = match queue.scope() {
            Scope::Temporary => "The temporary queue".to_owned(),
            _ => format!("The queue {:?}", queue.to_string()),
        };
        let text = format!(
            "{queue} is full: it holds at most {max_messages} messages (max_queue_messages) of {max_bytes} bytes in \
             total (max_queue_bytes)."
        );
        ClientError::new("queue-full", text)
    }
}

/// The work that a change of a queue leaves for after its lock is released.
///
/// Waking a task and dropping a waker run foreign code, which may use the same queue. Dead letters need the lock of
/// another queue.
#[derive(Debug, Default)]
struct Deferred {
    wakers: Wakers,
    expired: Vec<QueuedMessage>,
    evicted: Vec<QueuedMessage>,
    /// A waker to drop without waking it.
    unused_waker: Option<Waker>,
}

impl Queue {
    fn new(destination: Address) -> Queue {
        let state = State {
            is_closed: false,
            backlog: Backlog::default(),
            dispatcher: Dispatcher::default(),
            unacknowledged: 0,
            reserved: 0,
            bytes: 0,
            next_position: 0,
            last_activity: Instant::now(),
        };
        Queue {
            destination,
            published: Counter::default(),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the queue. `None` if it is closed.
    fn lock_open(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.lock()).filter(|state| !state.is_closed)
    }
}

impl State {
    /// Reserves room for one more message. Returns false if the queue is full.
    fn reserve(&mut self, bytes: usize, limits: QueueLimits, deferred: &mut Deferred) -> bool {
        self.expire(deferred);
        let can_evict = limits.overflow == QueueOverflow::DropOldest && !self.backlog.is_empty();
        if self.is_full(1, bytes, limits) && !can_evict {
            return false;
        }
        self.reserved += 1;
        self.bytes += bytes;
        true
    }

    /// Releases reserved room that is not needed.
    fn cancel_reservation(&mut self, reserved: &ReservedBytes) {
        self.reserved -= 1;
        self.bytes -= reserved.bytes;
        self.last_activity = Instant::now();
    }

    /// Appends a message, which has reserved room. If the queue is too full then, evicts the oldest messages.
    fn push(&mut self, message: QueuedMessage, limits: QueueLimits, deferred: &mut Deferred) {
        self.reserved -= 1;
        let position = self.next_position;
        self.next_position += 1;
        self.last_activity = Instant::now();
        self.backlog.insert(position, message);
        self.dispatcher.notify_one(None, &mut deferred.wakers);
        while self.backlog.len() > 1 && self.is_full(0, 0, limits) {
            let Some((_, oldest)) = self.backlog.take_first(|_| true) else {
                return;
            };
            self.bytes -= oldest.reserved.bytes;
            deferred.evicted.push(oldest);
        }
    }

    /// Returns true if the queue cannot hold so many more messages and bytes. An empty queue accepts any one message.
    fn is_full(&self, messages: usize, bytes: usize, limits: QueueLimits) -> bool {
        let held = self.backlog.len() + self.unacknowledged + self.reserved;
        held > 0 && (held + messages > limits.max_messages || self.bytes + bytes > limits.max_bytes)
    }

    /// Takes the next message for a consumer, with its position. `None` if there is none or other consumers go first.
    fn take(&mut self, consumer: u64, deferred: &mut Deferred) -> Option<(u64, QueuedMessage)> {
        self.expire(deferred);
        if !self
            .dispatcher
            .poll_turn(consumer, self.backlog.len(), &mut deferred.wakers)
        {
            return None;
        }
        // A consumer gets a message that it refused only if no other can take it.
        let has_others = self.dispatcher.has_other_candidates();
        let (position, message) = self
            .backlog
            .take_first(|it| !has_others || it.refused_by != Some(consumer))?;
        self.unacknowledged += 1;
        Some((position, message))
    }

    /// Puts a delivered message back at its position.
    fn requeue(&mut self, position: u64, message: QueuedMessage, deferred: &mut Deferred) {
        self.unacknowledged -= 1;
        let refused_by = message.refused_by;
        self.backlog.insert(position, message);
        self.dispatcher.notify_one(refused_by, &mut deferred.wakers);
    }

    /// Releases the room of a delivered message that leaves the queue.
    fn remove_delivered(&mut self, reserved: &ReservedBytes) {
        self.unacknowledged -= 1;
        self.bytes -= reserved.bytes;
        self.last_activity = Instant::now();
    }

    fn remove_consumer(&mut self, consumer: u64, deferred: &mut Deferred) {
        self.last_activity = Instant::now();
        deferred.unused_waker =
            self.dispatcher
                .remove_consumer(consumer, self.backlog.len(), &mut deferred.wakers);
    }

    /// Removes expired messages, and passes over consumers that were notified and did not poll.
    fn sweep(&mut self, deferred: &mut Deferred) {
        self.expire(deferred);
        self.dispatcher
            .pass_over_late(self.backlog.len(), &mut deferred.wakers);
    }

    fn expire(&mut self, deferred: &mut Deferred) {
        // Without deadlines this does not even read the clock.
        if self.backlog.has_deadlines() {
            let expired = self.backlog.take_expired(Instant::now());
            self.bytes -= expired
                .iter()
                .map(|message| message.reserved.bytes)
                .sum::<usize>();
            deferred.expired.extend(expired);
        }
    }

    fn has_consumers(&self) -> bool {
        self.dispatcher.consumer_count() > 0
    }

    /// True if the queue has no messages and no consumers, and had none since `time`.
    fn is_idle_since(&self, time: Instant) -> bool {
        let is_empty = self.backlog.is_empty() && self.unacknowledged == 0 && self.reserved == 0;
        is_empty && !self.has_consumers() && self.last_activity <= time
    }
}
