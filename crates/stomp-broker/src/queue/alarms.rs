//! The times at which queues have delayed messages to deliver.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// The alarms of all queues of an engine. One timer serves all of them.
pub(super) struct Alarms<T> {
    set: Mutex<Set<T>>,
    /// Notified when the first alarm becomes earlier.
    changed: Notify,
}

struct Set<T> {
    alarms: BTreeMap<(Instant, u64), Weak<T>>,
    next_number: u64,
}

/// An alarm that is set. Dropping it cancels it.
pub(super) struct Alarm<T> {
    alarms: Arc<Alarms<T>>,
    key: (Instant, u64),
}

impl<T> Alarms<T> {
    /// Sets an alarm for a queue.
    pub(super) fn set(self: &Arc<Self>, at: Instant, queue: &Arc<T>) -> Alarm<T> {
        let mut set = self.lock();
        let is_first = set.first().is_none_or(|first| at < first);
        let key = (at, set.next_number);
        set.next_number += 1;
        set.alarms.insert(key, Arc::downgrade(queue));
        drop(set);
        if is_first {
            self.changed.notify_one();
        }
        Alarm {
            alarms: Arc::clone(self),
            key,
        }
    }

    /// Waits until this time, or until an alarm before it is due.
    pub(super) async fn wait_until(&self, time: Instant) {
        loop {
            let first = self.lock().first();
            let until = first.map_or(time, |first| first.min(time));
            if timeout_at(until, self.changed.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Removes all alarms that are due, and returns their queues.
    pub(super) fn take_due(&self, now: Instant) -> Vec<Arc<T>> {
        let mut due = Vec::new();
        let mut set = self.lock();
        while let Some(entry) = set.alarms.first_entry().filter(|it| it.key().0 <= now) {
            due.push(entry.remove());
        }
        drop(set);
        due.iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Set<T>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Alarms<T> {
    fn default() -> Self {
        Alarms {
            set: Mutex::new(Set {
                alarms: BTreeMap::new(),
                next_number: 0,
            }),
            changed: Notify::new(),
        }
    }
}

impl<T> Set<T> {
    fn first(&self) -> Option<Instant> {
        self.alarms.first_key_value().map(|((at, _), _)| *at)
    }
}

impl<T> Alarm<T> {
    pub(super) fn at(&self) -> Instant {
        self.key.0
    }
}

impl<T> Drop for Alarm<T> {
    fn drop(&mut self) {
        self.alarms.lock().alarms.remove(&self.key);
    }
}

impl<T> fmt::Debug for Alarm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.at()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_first_alarm_that_is_not_cancelled() {
        let (alarms, queue) = (Arc::<Alarms<u8>>::default(), Arc::new(7));
        let start = Instant::now();
        let after = move |seconds| start + Duration::from_secs(seconds);
        let cancelled = alarms.set(after(1), &queue);
        let kept = alarms.set(after(3), &queue);
        let waits = tokio::spawn({
            let alarms = Arc::clone(&alarms);
            async move { alarms.wait_until(after(60)).await }
        });
        tokio::task::yield_now().await;
        let earlier = alarms.set(after(2), &queue);
        waits.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        drop(cancelled);
        assert_eq!(alarms.take_due(Instant::now()), []);
        alarms.wait_until(after(60)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        assert_eq!(alarms.take_due(Instant::now()), [Arc::clone(&queue)]);
        drop((earlier, queue));
        alarms.wait_until(after(60)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        assert_eq!(alarms.take_due(Instant::now()), [], "the queue is gone");
        drop(kept);
        assert!(alarms.lock().alarms.is_empty());
    }
}
