//! All queues.

use super::{
    consumer::Consumer,
    counts::Counts,
    queue::{Bounds, Leftovers, Queue, State},
    sweep,
    waiting::{Letter, Room},
    weight,
};
use crate::{
    Config, Destination, DestinationStatistics, Effect, QueueOverflow, Scope, Statistics,
    destination::prefix,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use stomp_session::{ClientError, Message};
use tokio::time::Instant;

/// All queues.
#[derive(Clone)]
pub(super) struct Queues(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) counts: Arc<Counts>,
    queues: RwLock<BTreeMap<Destination, Arc<Queue>>>,
    /// What all of them hold.
    bytes: Arc<AtomicUsize>,
    /// The queue of dead letters.
    dead_letters: Option<Destination>,
    /// A task sweeps.
    pub(super) is_swept: AtomicBool,
}

impl Queues {
    pub(super) fn new(config: Arc<Config>, counts: Arc<Counts>) -> Queues {
        let path = config.dead_letter_queue.as_deref();
        let dead_letters =
            path.map(|path| Destination::queue(path.trim_start_matches(prefix::QUEUE).to_owned()));
        Queues(Arc::new(Shared {
            config,
            counts,
            queues: RwLock::default(),
            bytes: Arc::default(),
            dead_letters,
            is_swept: AtomicBool::new(false),
        }))
    }

    pub(super) fn publish(&self, to: &Destination, message: Message) -> Result<(), ClientError> {
        if let Some(reservation) = self.make_room(to, message)? {
            reservation.publish();
        }
        Ok(())
    }

    pub(super) fn reserve(
        &self,
        to: &Destination,
        message: Message,
    ) -> Result<Effect, ClientError> {
        let reservation = self.make_room(to, message)?;
        Ok(Box::new(move || {
            reservation.into_iter().for_each(Reservation::publish)
        }))
    }

    /// Room for a message; `None` if it is accepted and gone, as it has expired or its temporary queue has.
    fn make_room(
        &self,
        to: &Destination,
        message: Message,
    ) -> Result<Option<Reservation>, ClientError> {
        let Shared {
            config,
            counts,
            bytes: all,
            ..
        } = &*self.0;
        let expires = expiry(&message)?;
        if expires.is_some_and(|at| at <= Instant::now()) {
            counts.published.add(1);
            counts.expired.add(1);
            return Ok(None);
        }
        let bytes = weight(&message);
        let room = Room::take(all, bytes, config.max_total_queue_bytes);
        let room = room.ok_or_else(|| full("All queues together hold no more."))?;
        let (bounds, mut left) = (self.0.bounds(to), Leftovers::default());
        let reserved = self.0.with_queue(to, |queue, state| {
            state
                .reserve(bytes, bounds, &mut left)
                .then(|| Arc::clone(queue))
        })?;
        self.0.deal_with(left, to);
        match reserved {
            None => {
                counts.published.add(1);
                counts.dropped.add(1);
                Ok(None)
            }
            Some(None) => Err(full("The queue holds no more.")),
            Some(Some(queue)) => {
                let letter = Letter {
                    message,
                    room,
                    attempts: 0,
                    refused_by: None,
                    expires,
                };
                Ok(Some(Reservation {
                    queues: self.clone(),
                    queue,
                    letter: Some(letter),
                }))
            }
        }
    }

    pub(super) fn subscribe(&self, to: &Destination) -> Result<Consumer, ClientError> {
        let joined = self.0.with_queue_for(to, true, |queue, state| {
            (Arc::clone(queue), state.line.join())
        })?;
        let (queue, id) = joined.ok_or_else(|| full("The queue is gone."))?;
        Ok(Consumer::new(self.clone(), queue, id))
    }

    /// Adds what there is to `statistics`.
    pub(super) fn list(&self, statistics: &mut Statistics) {
        for queue in self.0.read().values() {
            let state = queue.lock();
            if *queue.destination.scope() == Scope::Temporary {
                statistics.temporaries += 1;
                continue;
            }
            statistics.destinations.push(DestinationStatistics {
                subscribers: state.line.len(),
                published: queue.published.get(),
                waiting: state.waiting.len(),
                unsettled: state.unsettled,
                ..DestinationStatistics::new(queue.destination.clone())
            });
        }
    }
}

impl Shared {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Destination, Arc<Queue>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Destination, Arc<Queue>>> {
        self.queues.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to a queue, which is made if need be; `None` for a temporary one that is not there.
    fn with_queue<T>(
        self: &Arc<Self>,
        to: &Destination,
        act: impl FnMut(&Arc<Queue>, &mut State) -> T,
    ) -> Result<Option<T>, ClientError> {
        self.with_queue_for(to, *to.scope() != Scope::Temporary, act)
    }

    fn with_queue_for<T>(
        self: &Arc<Self>,
        to: &Destination,
        is_made: bool,
        mut act: impl FnMut(&Arc<Queue>, &mut State) -> T,
    ) -> Result<Option<T>, ClientError> {
        loop {
            let known = self.read().get(to).cloned();
            let queue = match known {
                Some(queue) => queue,
                None if is_made => self.make(to)?,
                None => return Ok(None),
            };
            let mut state = queue.lock();
            // One that is closed is not in the list any more.
            if !state.is_closed {
                return Ok(Some(act(&queue, &mut state)));
            }
        }
    }

    fn make(self: &Arc<Self>, to: &Destination) -> Result<Arc<Queue>, ClientError> {
        let mut queues = self.write();
        let most = self.config.max_destinations;
        if queues.len() >= most
            && !queues.contains_key(to)
            && self.dead_letters.as_ref() != Some(to)
        {
            let text = format!("There are at most {most} queues.");
            return Err(ClientError::new("too-many-destinations", text));
        }
        let queue = queues
            .entry(to.clone())
            .or_insert_with(|| Arc::new(Queue::new(to.clone())));
        sweep::begin(self);
        Ok(Arc::clone(queue))
    }

    fn bounds(&self, to: &Destination) -> Bounds {
        let overflow = if self.is_for_dead_letters(to) {
            QueueOverflow::DropOldest
        } else {
            self.config.queue_overflow
        };
        Bounds::of(&self.config, overflow)
    }

    fn is_for_dead_letters(&self, queue: &Destination) -> bool {
        self.dead_letters.as_ref() == Some(queue)
    }

    /// Wakes whoever is called, and deals with what a queue has no more use for. No lock may be held.
    pub(super) fn deal_with(self: &Arc<Self>, left: Leftovers, queue: &Destination) {
        let Leftovers {
            calls,
            expired,
            pushed_out,
            waker,
        } = left;
        drop(waker);
        calls.into_iter().for_each(std::task::Waker::wake);
        self.counts.expired.add(expired.len());
        for letter in pushed_out {
            self.bury(letter, "overflow", queue);
        }
    }

    /// Has a message among the dead letters, if there is a place for it.
    pub(super) fn bury(self: &Arc<Self>, letter: Letter, reason: &str, from: &Destination) {
        let dead_letters = self
            .dead_letters
            .as_ref()
            .filter(|to| *to != from && *from.scope() != Scope::Temporary);
        let Some(to) = dead_letters else {
            self.counts.dropped.add(1);
            return;
        };
        self.counts.dead_lettered.add(1);
        let (letter, bounds) = (letter.into_dead(reason, &from.to_string()), self.bounds(to));
        let (mut letter, mut left) = (Some(letter), Leftovers::default());
        let pushed = self.with_queue(to, |queue, state| {
            let bytes = letter.as_ref().map_or(0, |letter| letter.room.bytes);
            let has_room = state.reserve(bytes, bounds, &mut left);
            if let Some(letter) = letter.take().filter(|_| has_room) {
                queue.published.add(1);
                state.push(letter, bounds, &mut left);
            }
            has_room
        });
        if !matches!(pushed, Ok(Some(true))) {
            self.counts.dropped.add(1);
        }
        // What is pushed out there is dropped, so that this goes no deeper.
        self.deal_with(left, to);
    }

    /// Closes a queue that nobody needs.
    pub(super) fn remove_if(&self, to: &Destination, is_abandoned: impl Fn(&State) -> bool) {
        let mut queues = self.write();
        let Some(queue) = queues.get(to) else { return };
        let mut state = queue.lock();
        if !is_abandoned(&state) {
            return;
        }
        state.is_closed = true;
        drop(state);
        let queue = queues.remove(to);
        drop(queues);
        // Messages are dropped without a lock.
        drop(queue);
    }
}

/// Room for a message in its queue. Dropping it gives the room back.
struct Reservation {
    queues: Queues,
    queue: Arc<Queue>,
    letter: Option<Letter>,
}

impl Reservation {
    fn publish(mut self) {
        let Some(letter) = self.letter.take() else {
            return;
        };
        let Queues(shared) = &self.queues;
        let (bounds, mut left) = (shared.bounds(&self.queue.destination), Leftovers::default());
        self.queue.published.add(1);
        shared.counts.published.add(1);
        self.queue.lock().push(letter, bounds, &mut left);
        shared.deal_with(left, &self.queue.destination);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.queue.lock().release(&letter.room);
        }
    }
}

/// When a message expires: its header `expires`, in milliseconds since 1970; never with 0. The clock of the wall is looked
/// at once, so that it may be set without harm.
fn expiry(message: &Message) -> Result<Option<Instant>, ClientError> {
    let Some(value) = message.headers().get("expires") else {
        return Ok(None);
    };
    let malformed = |_| {
        ClientError::new(
            "bad-request",
            "The header expires is a number of milliseconds.",
        )
    };
    let at: u64 = value.parse().map_err(malformed)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let left = Duration::from_millis(at).saturating_sub(now);
    Ok(if at == 0 {
        None
    } else {
        Instant::now().checked_add(left)
    })
}

fn full(text: &'static str) -> ClientError {
    ClientError::new("queue-full", text)
}
