//! An app that counts the beginnings and ends of its sessions and deliveries.

use futures_util::{StreamExt, stream};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::task::yield_now;
use webstomp::{
    BoxError, IntoSubscribeResponse, Observe, Router, State, Topic,
    session::{Delivery, Message, Settlement},
};

#[derive(Clone, Default)]
pub(crate) struct TestApp {
    news: Topic<String>,
    pub(crate) counts: Arc<Counts>,
}

/// Counts of events in all sessions.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connects: AtomicUsize,
    pub(crate) disconnects: AtomicUsize,
    /// Deliveries that were created.
    pub(crate) created: AtomicUsize,
    pub(crate) settled: AtomicUsize,
    /// Deliveries that were settled by an `ACK`.
    pub(crate) acknowledged: AtomicUsize,
}

fn increment(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

/// Lets other tasks run, so that clients can leave meanwhile.
async fn yield_often() {
    for _ in 0..20 {
        yield_now().await;
    }
}

impl TestApp {
    pub(crate) fn router(&self) -> Router {
        async fn connect(State(app): State<TestApp>) {
            increment(&app.counts.connects);
        }
        async fn disconnect(State(app): State<TestApp>) {
            increment(&app.counts.disconnects);
        }
        async fn read(State(app): State<TestApp>) -> impl IntoSubscribeResponse {
            Observe(app.news.subscribe())
        }
        async fn read_late(State(app): State<TestApp>) -> impl IntoSubscribeResponse {
            yield_often().await;
            Observe(app.news.subscribe())
        }
        async fn jobs(State(app): State<TestApp>) -> impl IntoSubscribeResponse {
            let jobs = stream::repeat_with(move || app.job()).take(1_000);
            Observe(jobs.chain(stream::pending()))
        }
        async fn flood() -> impl IntoSubscribeResponse {
            Observe(stream::repeat_with(|| Message::new(vec![b'x'; 1_000])))
        }
        async fn publish(State(app): State<TestApp>, text: String) -> Result<(), BoxError> {
            app.news.publish(text)
        }
        Router::new()
            .connect(connect)
            .disconnect(disconnect)
            .subscribe("/news", read)
            .subscribe("/late", read_late)
            .subscribe("/jobs", jobs)
            .subscribe("/flood", flood)
            .send("/news", publish)
            .send("/think", yield_often)
            .with_state(self.clone())
    }

    fn job(&self) -> Delivery {
        increment(&self.counts.created);
        let counts = Arc::clone(&self.counts);
        Delivery::new(Message::new("a job")).on_settled(move |settlement| {
            increment(&counts.settled);
            if settlement == Settlement::Acked {
                increment(&counts.acknowledged);
            }
        })
    }

    /// Checks that every session and every delivery that began has ended.
    pub(crate) fn check(&self) {
        assert_eq!(self.news.subscribers(), 0);
        let counts = &self.counts;
        assert_eq!(
            get(&counts.connects),
            get(&counts.disconnects),
            "connects and disconnects"
        );
        assert_eq!(
            get(&counts.created),
            get(&counts.settled),
            "deliveries created and settled"
        );
    }
}
