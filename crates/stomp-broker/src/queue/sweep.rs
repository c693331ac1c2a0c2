//! The periodic sweep of all queues: it expires messages, passes over late consumers, and removes idle queues. Its task
//! also delivers delayed messages when they are due.

use super::{
    Deferred, Queue, State,
    alarms::Alarms,
    registry::{Queues, WeakQueues},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The time between two sweeps. If nothing else happens in a queue, an expired message stays in memory for up to this
/// time. Notified consumers that do not poll delay a message by up to twice this time, all together.
const PERIOD: Duration = Duration::from_secs(1);

/// The number of queues that a sweep visits before it yields to other tasks.
const CHUNK_SIZE: usize = 64;

/// Starts the task of the sweep, unless it exists. Does nothing outside a tokio runtime: queues work without the sweep.
///
/// The caller must hold the write lock of the registry, so that the existing task cannot end at the same time.
pub(crate) fn start(queues: &Queues) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    if queues.claim_sweep() {
        let sweeper = Sweeper(queues.downgrade(), Arc::clone(queues.alarms()));
        runtime.spawn(sweeper.run());
    }
}

/// The task of the sweep. It ends when there are no more queues, or when the registry is dropped.
struct Sweeper(WeakQueues, Arc<Alarms<Queue>>);

impl Sweeper {
    async fn run(self) {
        let mut next_sweep = Instant::now() + PERIOD;
        loop {
            self.1.wait_until(next_sweep).await;
            let Some(queues) = self.0.upgrade() else {
                return;
            };
            deliver_due(&queues).await;
            if Instant::now() < next_sweep {
                continue;
            }
            sweep_all(&queues).await;
            next_sweep = Instant::now() + PERIOD;
            let registered = queues.write();
            if registered.queues.is_empty() {
                // This happens under the lock, so that the next queue that is created starts a new task.
                drop(self);
                return;
            }
        }
    }
}

impl Drop for Sweeper {
    /// Allows a new task to start, also if the runtime of this task is dropped before the queues.
    fn drop(&mut self) {
        if let Some(queues) = self.0.upgrade() {
            queues.release_sweep();
        }
    }
}

/// Makes the delayed messages available that are due.
async fn deliver_due(queues: &Queues) {
    let due = queues.alarms().take_due(Instant::now());
    for chunk in due.chunks(CHUNK_SIZE) {
        for queue in chunk {
            let mut deferred = Deferred::default();
            let mut state = queue.lock();
            state.refresh(&mut deferred);
            state.alarm = None;
            queues.set_alarm(queue, &mut state);
            drop(state);
            queues.run_deferred(deferred, queue);
        }
        tokio::task::yield_now().await;
    }
}

async fn sweep_all(queues: &Queues) {
    let all: Vec<_> = queues.read().queues.values().cloned().collect();
    let idle_since = Instant::now().checked_sub(queues.config().idle_timeout);
    for chunk in all.chunks(CHUNK_SIZE) {
        chunk
            .iter()
            .for_each(|queue| sweep_one(queues, queue, idle_since));
        tokio::task::yield_now().await;
    }
}

impl Queues {
    /// Sets the alarm of a queue for its first delayed message, unless it is set for that time or earlier.
    pub(super) fn set_alarm(&self, queue: &Arc<Queue>, state: &mut State) {
        let due = state.backlog.next_due();
        let is_early = |at| state.alarm.as_ref().is_some_and(|alarm| alarm.at() <= at);
        match due {
            None => state.alarm = None,
            Some(at) if is_early(at) => {}
            Some(at) => state.alarm = Some(self.alarms().set(at, queue)),
        }
    }
}

fn sweep_one(queues: &Queues, queue: &Queue, idle_since: Option<Instant>) {
    let mut deferred = Deferred::default();
    let mut state = queue.lock();
    state.sweep(&mut deferred);
    let is_idle = |state: &State| idle_since.is_some_and(|time| state.is_idle_since(time));
    let is_removable = is_idle(&state);
    drop(state);
    queues.run_deferred(deferred, queue);
    if is_removable {
        queues.remove_if(&queue.destination, is_idle);
    }
}
