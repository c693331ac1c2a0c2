//! What is to be done with queues from time to time.

use super::{
    queue::{Leftovers, Queue, State},
    queues::Shared,
};
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How often queues are looked after. So long may a consumer that was called keep a message waiting, and an expired one
/// be in memory, if nothing else happens to its queue.
const PERIOD: Duration = Duration::from_secs(1);

/// After so many queues, others have their turn.
const CHUNK: usize = 64;

/// Begins to sweep, if nobody does. Called while the list of queues is locked; outside a runtime there is no sweeping.
pub(super) fn begin(shared: &Arc<Shared>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    if !shared.is_swept.swap(true, Ordering::Relaxed) {
        runtime.spawn(Sweeper(Arc::downgrade(shared)).run());
    }
}

/// The task. It ends with the last queue, or with all of them.
struct Sweeper(Weak<Shared>);

impl Sweeper {
    async fn run(self) {
        loop {
            sleep(PERIOD).await;
            let Some(shared) = self.0.upgrade() else {
                return;
            };
            sweep(&shared).await;
            let queues = shared.write();
            if queues.is_empty() {
                // Before the list is unlocked, for another may begin then.
                drop(self);
                return;
            }
        }
    }
}

impl Drop for Sweeper {
    /// Another may begin: the runtime may end before the queues do.
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.is_swept.store(false, Ordering::Relaxed);
        }
    }
}

async fn sweep(shared: &Arc<Shared>) {
    let queues: Vec<_> = shared.read().values().cloned().collect();
    let idle_before = Instant::now().checked_sub(shared.config.idle_timeout);
    for chunk in queues.chunks(CHUNK) {
        chunk
            .iter()
            .for_each(|queue| look_after(shared, queue, idle_before));
        tokio::task::yield_now().await;
    }
}

fn look_after(shared: &Arc<Shared>, queue: &Queue, idle_before: Option<Instant>) {
    let mut left = Leftovers::default();
    let mut state = queue.lock();
    state.sweep(&mut left);
    let is_abandoned = |state: &State| idle_before.is_some() && state.is_abandoned(idle_before);
    let may_go = is_abandoned(&state);
    drop(state);
    shared.deal_with(left, &queue.destination);
    if may_go {
        shared.remove_if(&queue.destination, is_abandoned);
    }
}
