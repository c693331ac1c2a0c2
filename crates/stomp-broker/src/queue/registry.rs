//! All queues of an engine, by destination.

use super::{
    Deferred, Queue, QueueLimits, State,
    backlog::{QueuedMessage, ReservedBytes, expiry},
};
use crate::{
    Address, Config, DestinationStatistics, Effect, QueueOverflow, Scope, Statistics,
    address::prefix, counters::Counters, wire_size::wire_size,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};
use stomp_session::{ClientError, Message};
use tokio::time::Instant;

/// The registry of all queues. Clones share it.
#[derive(Clone)]
pub(crate) struct Queues(Arc<Shared>);

/// A reference to a registry that does not keep it alive.
pub(super) struct WeakQueues(Weak<Shared>);

struct Shared {
    config: Config,
    counters: Arc<Counters>,
    queues: RwLock<BTreeMap<Address, Arc<Queue>>>,
    /// The bytes of all queues together.
    total_bytes: Arc<AtomicUsize>,
    dead_letter_queue: Option<Address>,
    /// Starts the periodic sweep if it does not run. Called for each created queue.
    start_sweep: fn(&Queues),
    /// True while a task sweeps.
    is_swept: AtomicBool,
}

impl Queues {
    /// Creates an empty registry. It calls `start_sweep` for each created queue, with its write lock held.
    pub(crate) fn new(config: Config, counters: Arc<Counters>, start_sweep: fn(&Queues)) -> Queues {
        let dead_letter_queue = config.dead_letter_queue.as_deref().map(|name| {
            let path = name.strip_prefix(prefix::QUEUE).unwrap_or(name);
            Address::queue(path.to_owned())
        });
        Queues(Arc::new(Shared {
            config,
            counters,
            queues: RwLock::default(),
            total_bytes: Arc::default(),
            dead_letter_queue,
            start_sweep,
            is_swept: AtomicBool::new(false),
        }))
    }

    pub(crate) fn publish(&self, to: &Address, message: Message) -> Result<(), ClientError> {
        if let Some(reservation) = self.reserve_room(to, message)? {
            reservation.publish();
        }
        Ok(())
    }

    pub(crate) fn reserve(&self, to: &Address, message: Message) -> Result<Effect, ClientError> {
        let reservation = self.reserve_room(to, message)?;
        Ok(Box::new(move || {
            reservation.into_iter().for_each(Reservation::publish)
        }))
    }

    /// Adds a consumer to a queue, which is created if there is none. Returns the queue and the consumer's id.
    pub(crate) fn subscribe(&self, to: &Address) -> Result<(Arc<Queue>, u64), ClientError> {
        self.with_queue(to, |queue, state| {
            (Arc::clone(queue), state.dispatcher.add_consumer())
        })
    }

    /// Adds all queues to `statistics`.
    pub(crate) fn add_statistics(&self, statistics: &mut Statistics) {
        for queue in self.read().values() {
            let state = queue.lock();
            if *queue.destination.scope() == Scope::Temporary {
                statistics.temporary_queues += 1;
                continue;
            }
            statistics.destinations.push(DestinationStatistics {
                subscribers: state.dispatcher.consumer_count(),
                published: queue.published.get(),
                waiting: state.backlog.len(),
                unacknowledged: state.unacknowledged,
                ..DestinationStatistics::new(queue.destination.clone())
            });
        }
    }

    /// Reserves room for a message. `None` if the message is accepted but not kept: it has expired already, or its
    /// temporary queue does not exist. The latter is no error, since the sender of a reply is not at fault.
    fn reserve_room(
        &self,
        to: &Address,
        message: Message,
    ) -> Result<Option<Reservation>, ClientError> {
        let Shared {
            config,
            counters,
            total_bytes,
            ..
        } = &*self.0;
        let expires_at = expiry(&message)?;
        if expires_at.is_some_and(|at| at <= Instant::now()) {
            counters.published.add(1);
            counters.expired.add(1);
            return Ok(None);
        }
        let (bytes, max) = (wire_size(&message), config.max_total_queue_bytes);
        let reserved = ReservedBytes::try_reserve(total_bytes, bytes, max)?;
        let (limits, mut deferred) = (self.limits(to), Deferred::default());
        let reserve = |queue: &Arc<Queue>, state: &mut State| {
            let has_room = state.reserve(bytes, limits, &mut deferred);
            has_room.then(|| Arc::clone(queue))
        };
        let found = if *to.scope() == Scope::Temporary {
            self.with_existing_queue(to, reserve)
        } else {
            Some(self.with_queue(to, reserve)?)
        };
        self.run_deferred(deferred, to);
        match found {
            None => {
                counters.published.add(1);
                counters.dropped.add(1);
                Ok(None)
            }
            Some(None) => Err(limits.full_error(to)),
            Some(Some(queue)) => Ok(Some(Reservation {
                queues: self.clone(),
                queue,
                message: Some(QueuedMessage::new(message, reserved, expires_at)),
            })),
        }
    }

    /// Calls `act` with a locked queue, which is created if there is none.
    fn with_queue<T>(
        &self,
        to: &Address,
        act: impl FnOnce(&Arc<Queue>, &mut State) -> T,
    ) -> Result<T, ClientError> {
        loop {
            let known = self.read().get(to).cloned();
            let queue = match known {
                Some(queue) => queue,
                None => self.create(to)?,
            };
            if let Some(mut state) = queue.lock_open() {
                return Ok(act(&queue, &mut state));
            }
        }
    }

    /// Calls `act` with a locked queue. `None` if the queue does not exist.
    fn with_existing_queue<T>(
        &self,
        to: &Address,
        act: impl FnOnce(&Arc<Queue>, &mut State) -> T,
    ) -> Option<T> {
        loop {
            let queue = self.read().get(to).cloned()?;
            if let Some(mut state) = queue.lock_open() {
                return Some(act(&queue, &mut state));
            }
        }
    }

    fn create(&self, to: &Address) -> Result<Arc<Queue>, ClientError> {
        let mut queues = self.write();
        let max = self.config().max_destinations;
        if queues.len() >= max && !queues.contains_key(to) && !self.is_dead_letter_queue(to) {
            let text =
                format!("The broker already has {max} queues, its limit (max_destinations).");
            return Err(ClientError::new("too-many-destinations", text));
        }
        let queue = queues
            .entry(to.clone())
            .or_insert_with(|| Arc::new(Queue::new(to.clone())));
        (self.0.start_sweep)(self);
        Ok(Arc::clone(queue))
    }

    fn limits(&self, to: &Address) -> QueueLimits {
        let overflow = if self.is_dead_letter_queue(to) {
            QueueOverflow::DropOldest
        } else {
            self.config().queue_overflow
        };
        QueueLimits::new(self.config(), overflow)
    }

    fn is_dead_letter_queue(&self, queue: &Address) -> bool {
        self.0.dead_letter_queue.as_ref() == Some(queue)
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Address, Arc<Queue>>> {
        self.0.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Address, Arc<Queue>>> {
        let queues = self.0.queues.write();
        queues.unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes consumers, counts expired messages, and makes evicted ones dead letters. The caller holds no lock.
    pub(super) fn run_deferred(&self, deferred: Deferred, queue: &Address) {
        let Deferred {
            wakers,
            expired,
            evicted,
            unused_waker,
        } = deferred;
        drop(unused_waker);
        wakers.into_iter().for_each(Waker::wake);
        self.counters().expired.add(expired.len());
        for message in evicted {
            self.dead_letter(message, "overflow", queue);
        }
    }

    /// Moves a message to the dead-letter queue. Drops it if there is no such queue or no room, or if it comes from the
    /// dead-letter queue itself or from a temporary queue.
    pub(super) fn dead_letter(&self, message: QueuedMessage, reason: &str, from: &Address) {
        let dead_letter_queue = self.0.dead_letter_queue.as_ref();
        let Some(to) =
            dead_letter_queue.filter(|to| *to != from && *from.scope() != Scope::Temporary)
        else {
            self.counters().dropped.add(1);
            return;
        };
        self.counters().dead_lettered.add(1);
        let message = message.into_dead_letter(reason, &from.to_string());
        let (limits, mut deferred) = (self.limits(to), Deferred::default());
        let rejected = self.with_queue(to, |queue, state| {
            if !state.reserve(message.reserved.bytes, limits, &mut deferred) {
                return Some(message);
            }
            queue.published.add(1);
            state.push(message, limits, &mut deferred);
            None
        });
        if !matches!(rejected, Ok(None)) {
            self.counters().dropped.add(1);
        }
        // Messages that are evicted from the dead-letter queue are dropped, so this recurses only once.
        self.run_deferred(deferred, to);
    }

    /// Closes and removes a queue if `is_unused` returns true.
    pub(super) fn remove_if(&self, to: &Address, is_unused: impl Fn(&State) -> bool) {
        let mut queues = self.write();
        let Some(queue) = queues.get(to) else { return };
        let mut state = queue.lock();
        if !is_unused(&state) {
            return;
        }
        state.is_closed = true;
        drop(state);
        let queue = queues.remove(to);
        drop(queues);
        // Its messages and wakers are dropped without a lock.
        drop(queue);
    }

    /// Returns true if the caller is to start the sweep, since no task sweeps.
    pub(super) fn claim_sweep(&self) -> bool {
        !self.0.is_swept.swap(true, Ordering::Relaxed)
    }

    /// Records that no task sweeps any more.
    pub(super) fn release_sweep(&self) {
        self.0.is_swept.store(false, Ordering::Relaxed);
    }

    pub(super) fn downgrade(&self) -> WeakQueues {
        WeakQueues(Arc::downgrade(&self.0))
    }
}

impl WeakQueues {
    pub(super) fn upgrade(&self) -> Option<Queues> {
        self.0.upgrade().map(Queues)
    }
}

/// A message with reserved room in its queue. Dropping it releases the room.
///
/// Room is reserved before a message is published, so that the effect of a transaction cannot fail: it only moves the
/// message into its room.
struct Reservation {
    queues: Queues,
    queue: Arc<Queue>,
    /// `None` once it is published.
    message: Option<QueuedMessage>,
}

impl Reservation {
    fn publish(mut self) {
        let Some(message) = self.message.take() else {
            return;
        };
        let (queues, queue) = (&self.queues, &self.queue);
        let (limits, mut deferred) = (queues.limits(&queue.destination), Deferred::default());
        queue.published.add(1);
        queues.counters().published.add(1);
        queue.lock().push(message, limits, &mut deferred);
        queues.run_deferred(deferred, &queue.destination);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.queue.lock().cancel_reservation(&message.reserved);
        }
    }
}
