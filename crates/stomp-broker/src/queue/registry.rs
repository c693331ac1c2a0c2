//! The registry of an engine's queues, by address.

use super::{
    Deferred, Queue, State,
    alarms::Alarms,
    consumer::Consumer,
    dispatch::Wakers,
    holder::Holder,
    message::QueuedMessage,
    policy::Policies,
    refusals::{bytes_error, names_error},
    reservation::{Discarded, Reservation},
    shares::Shares,
};
use crate::{
    Address, DestinationStatistics, Event, MemoryConfig, Publication, Scope, Statistics,
    SubscribeRequest, activity::Activity, deadline::deadline, engine::shut_down_error,
    wire_size::wire_size,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};
use stomp_session::ClientError;
use tokio::time::Instant;

/// The registry of an engine's queues. Clones share it.
#[derive(Clone)]
pub(crate) struct Queues(Arc<Shared>);

/// A reference to a registry that does not keep it alive.
pub(super) struct WeakQueues(Weak<Shared>);

struct Shared {
    config: MemoryConfig,
    policies: Policies,
    activity: Arc<Activity>,
    registered: RwLock<Registered>,
    /// The number of all queues.
    names: Arc<Shares>,
    /// The bytes of all messages in all queues together.
    bytes: Arc<Shares>,
    alarms: Arc<Alarms<Queue>>,
    /// A function that starts the periodic sweep if it does not run. It is called for each created queue.
    start_sweep: fn(&Queues),
    /// True while the task of the periodic sweep exists.
    is_swept: AtomicBool,
}

/// The queues that exist.
#[derive(Default)]
pub(super) struct Registered {
    pub(super) queues: BTreeMap<Address, Arc<Queue>>,
    /// True after a shutdown. Then no queue is created.
    pub(super) is_shut_down: bool,
}

impl Queues {
    /// Creates an empty registry. It calls `start_sweep` for each created queue, while it holds its write lock.
    pub(crate) fn new(
        config: MemoryConfig,
        activity: Arc<Activity>,
        start_sweep: fn(&Queues),
    ) -> Queues {
        Queues(Arc::new(Shared {
            policies: Policies::new(&config),
            names: Shares::new(config.max_destinations),
            bytes: Shares::new(config.max_total_queue_bytes),
            alarms: Arc::default(),
            config,
            activity,
            registered: RwLock::default(),
            start_sweep,
            is_swept: AtomicBool::new(false),
        }))
    }

    pub(crate) fn publish(
        &self,
        to: &Address,
        publication: Publication,
    ) -> Result<(), ClientError> {
        let activity = self.activity();
        let discarded = if activity.events.has_streams() {
            // The event precedes those of the delivery, and sending it under the lock would run foreign code.
            self.reserve(to, publication)?.map(Reservation::publish)
        } else {
            let push = |state: &mut State, message, deferred: &mut Deferred| {
                activity.published.add(1);
                state.push(message, deferred);
            };
            self.admit(to, publication, push)?.map(|_| ())
        };
        if let Err(discarded) = discarded {
            self.count_discarded(to, discarded);
        }
        Ok(())
    }

    /// Adds a consumer to a queue. Creates the queue if it does not exist.
    ///
    /// A consumer that is refused leaves no queue behind, since only a queue that is in use refuses one.
    pub(crate) fn subscribe(&self, request: &SubscribeRequest) -> Result<Consumer, ClientError> {
        let SubscribeRequest {
            address,
            session,
            principal,
            peer_address,
            ..
        } = request;
        let holder = Holder::new(principal.clone(), *peer_address, *session);
        let waker = Arc::new(Waker::noop().clone());
        let (queue, consumer) = self.with_queue(address, Some(&holder), |state| {
            state.add_consumer(request, Arc::clone(&waker))
        })?;
        Ok(Consumer::new(self.clone(), queue, consumer?, waker))
    }

    /// Adds the counts of all queues to `statistics`.
    pub(crate) fn add_statistics(&self, statistics: &mut Statistics) {
        for queue in self.read().queues.values() {
            let state = queue.lock();
            if *queue.destination.scope() == Scope::Temporary {
                statistics.temporary_queues += 1;
                continue;
            }
            statistics.destinations.push(DestinationStatistics {
                subscribers: state.dispatcher.consumer_count(),
                published: state.published,
                waiting: state.backlog.len(),
                unacknowledged: state.unacknowledged,
                ..DestinationStatistics::new(queue.destination.clone())
            });
        }
    }

    /// Reserves room for a message. It counts as published only when the reservation is, or when the caller calls
    /// [`count_discarded`](Queues::count_discarded) for a message that is accepted but not kept.
    pub(crate) fn reserve(
        &self,
        to: &Address,
        publication: Publication,
    ) -> Result<Result<Reservation, Discarded>, ClientError> {
        let admitted = self.admit(to, publication, |_, message, _| message)?;
        Ok(admitted.map(|(queue, message)| Reservation::new(self.clone(), queue, message)))
    }

    /// Reserves room for a message, and calls `act` with it while its queue is locked.
    fn admit<T>(
        &self,
        to: &Address,
        publication: Publication,
        act: impl FnOnce(&mut State, QueuedMessage, &mut Deferred) -> T,
    ) -> Result<Result<(Arc<Queue>, T), Discarded>, ClientError> {
        let Publication {
            message,
            expires,
            session,
            principal,
            peer_address,
            ..
        } = publication;
        let expires_at = expires.and_then(deadline);
        if expires_at.is_some_and(|at| at <= Instant::now()) {
            self.check_open()?;
            return Ok(Err(Discarded::Expired));
        }
        let holder = Holder::new(principal, peer_address, session);
        let bytes = wire_size(&message);
        let reserved = self.0.bytes.take(&holder, bytes).map_err(bytes_error)?;
        let mut message = QueuedMessage::new(message, reserved, expires_at);
        let mut deferred = Deferred::default();
        let reserve = |state: &mut State| {
            if !state.reserve(bytes, &mut deferred) {
                // The message is dropped without the lock.
                return Err((state.policy.full_error(to), message));
            }
            if let (None, Some(default)) = (expires_at, state.policy.time_to_live) {
                message.expires_at = Instant::now().checked_add(default);
            }
            Ok(act(state, message, &mut deferred))
        };
        let found = if *to.scope() == Scope::Temporary {
            self.with_existing_queue(to, reserve)?
        } else {
            Some(self.with_queue(to, Some(&holder), reserve)?)
        };
        let Some((queue, room)) = found else {
            return Ok(Err(Discarded::NoQueue));
        };
        self.run_deferred(deferred, &queue);
        match room {
            Ok(result) => Ok(Ok((queue, result))),
            Err((error, _)) => Err(error),
        }
    }

    pub(super) fn check_open(&self) -> Result<(), ClientError> {
        if self.read().is_shut_down {
            Err(shut_down_error())
        } else {
            Ok(())
        }
    }

    /// Locks a queue and calls `act`. Returns the queue and the result. Creates the queue for `holder` if it does not
    /// exist. Without a holder, the queue is needed, and is created even beyond the limit.
    pub(super) fn with_queue<T>(
        &self,
        to: &Address,
        holder: Option<&Holder>,
        act: impl FnOnce(&mut State) -> T,
    ) -> Result<(Arc<Queue>, T), ClientError> {
        loop {
            let known = self.read().queues.get(to).cloned();
            let queue = match known {
                Some(queue) => queue,
                None => self.create(to, holder)?,
            };
            let result = match queue.lock_open() {
                Some(mut state) => act(&mut state),
                None => continue,
            };
            return Ok((queue, result));
        }
    }

    /// Locks a queue and calls `act`. Returns the queue and the result, or `None` if the queue does not exist.
    pub(super) fn with_existing_queue<T>(
        &self,
        to: &Address,
        act: impl FnOnce(&mut State) -> T,
    ) -> Result<Option<(Arc<Queue>, T)>, ClientError> {
        loop {
            let Some(queue) = self.read().queues.get(to).cloned() else {
                return self.check_open().map(|()| None);
            };
            let result = match queue.lock_open() {
                Some(mut state) => act(&mut state),
                None => continue,
            };
            return Ok(Some((queue, result)));
        }
    }

    fn create(&self, to: &Address, holder: Option<&Holder>) -> Result<Arc<Queue>, ClientError> {
        let mut registered = self.write();
        if registered.is_shut_down {
            return Err(shut_down_error());
        }
        if let Some(queue) = registered.queues.get(to) {
            return Ok(Arc::clone(queue));
        }
        let Shared {
            names, policies, ..
        } = &*self.0;
        let name = match holder {
            Some(holder) if !policies.is_dead_letter_queue(to) => {
                names.take(holder, 1).map_err(names_error)?
            }
            _ => names.take_needed(&Holder::Application, 1),
        };
        let queue = Arc::new(Queue::new(to.clone(), policies.of(to), name));
        registered.queues.insert(to.clone(), Arc::clone(&queue));
        (self.0.start_sweep)(self);
        Ok(queue)
    }

    pub(super) fn count_published(&self, to: &Address) {
        let activity = self.activity();
        activity.published.add(1);
        activity.events.emit(|| Event::Published {
            address: to.clone(),
        });
    }

    pub(super) fn config(&self) -> &MemoryConfig {
        &self.0.config
    }

    pub(super) fn policies(&self) -> &Policies {
        &self.0.policies
    }

    pub(super) fn names(&self) -> &Arc<Shares> {
        &self.0.names
    }

    pub(super) fn alarms(&self) -> &Arc<Alarms<Queue>> {
        &self.0.alarms
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.0.activity
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Registered> {
        let registered = self.0.registered.read();
        registered.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Registered> {
        let registered = self.0.registered.write();
        registered.unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes and removes a queue if `is_unused` returns true.
    pub(super) fn remove_if(&self, to: &Address, is_unused: impl Fn(&State) -> bool) {
        let mut registered = self.write();
        let Some(queue) = registered.queues.get(to) else {
            return;
        };
        let mut state = queue.lock();
        if !is_unused(&state) {
            return;
        }
        let mut wakers = Wakers::new();
        let messages = state.close(&mut wakers);
        drop(state);
        let queue = registered.queues.remove(to);
        drop(registered);
        if *to.scope() != Scope::Temporary {
            self.activity().dropped.add(messages.len());
        }
        // The messages of the queue are dropped here, without a lock.
        drop((queue, messages));
    }

    /// Returns true if no task of the periodic sweep exists. Then the caller must start one.
    pub(super) fn claim_sweep(&self) -> bool {
        !self.0.is_swept.swap(true, Ordering::Relaxed)
    }

    /// Records that the task of the periodic sweep has ended.
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
