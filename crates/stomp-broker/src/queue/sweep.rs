//! The periodic sweep of all queues: it expires messages, passes over late consumers, and removes idle queues.

use super::{
    Deferred, Queue, State,
    registry::{Queues, WeakQueues},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time between two sweeps. If nothing else happens in a queue, an expired message stays in memory for up to this
/// time. A notified consumer that does not poll delays a message by up to twice this time.
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
        runtime.spawn(Sweeper(queues.downgrade()).run());
    }
}

/// The task of the sweep. It ends when there are no more queues, or when the registry is dropped.
struct Sweeper(WeakQueues);

impl Sweeper {
    async fn run(self) {
        loop {
            sleep(PERIOD).await;
            let Some(queues) = self.0.upgrade() else {
                return;
            };
            sweep_all(&queues).await;
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
