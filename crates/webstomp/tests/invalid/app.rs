//! The app that gets invalid input.

use crate::transports::Server;
use futures_util::{StreamExt, stream};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use webstomp::{
    BoxError, IntoSubscribeResponse, Observe, Router, State, Topic,
    frame::Limits,
    session::{BacklogConfig, Config, Delivery, Message},
};

/// The state of the app.
#[derive(Clone)]
pub(crate) struct TestApp {
    news: Topic<String>,
    forbidden_calls: Arc<AtomicUsize>,
}

impl TestApp {
    pub(crate) fn new() -> TestApp {
        let mailboxes = BacklogConfig::default()
            .max_messages(1 << 20)
            .max_bytes(1 << 30);
        TestApp {
            news: Topic::with_backlogs(mailboxes),
            forbidden_calls: Arc::default(),
        }
    }

    fn router(&self) -> Router {
        async fn read(State(app): State<TestApp>) -> impl IntoSubscribeResponse {
            Observe(app.news.subscribe())
        }
        async fn publish(State(app): State<TestApp>, text: String) -> Result<(), BoxError> {
            app.news.publish(text)
        }
        async fn jobs() -> impl IntoSubscribeResponse {
            // The session checks the ACKs of deliveries that report their outcome.
            let jobs =
                ["one", "two"].map(|text| Delivery::new(Message::new(text)).on_settled(|_| {}));
            Observe(stream::iter(jobs).chain(stream::pending()))
        }
        async fn forbidden(State(app): State<TestApp>) {
            app.forbidden_calls.fetch_add(1, Ordering::Relaxed);
        }
        async fn sink() {}
        async fn silence() {}
        Router::new()
            .subscribe("/news", read)
            .send("/news", publish)
            .subscribe("/jobs", jobs)
            .subscribe("/quiet/{number}", silence)
            .send("/sink", sink)
            .send("/forbidden", forbidden)
            .with_state(self.clone())
    }

    /// Starts a server with small limits, so that input over a limit is cheap to send.
    pub(crate) async fn start(&self) -> Server {
        let limits = Limits::default()
            .max_frame_bytes(4_096)
            .max_head_bytes(1_024)
            .max_line_bytes(512)
            .max_headers(16);
        let config = Config::default()
            .limits(limits)
            .max_subscriptions(4)
            .max_transactions(2)
            .max_transaction_frames(4)
            .max_transaction_bytes(3_000);
        Server::start(|| self.router(), config).await
    }

    /// The number of handled frames that came after an invalid one.
    pub(crate) fn forbidden_calls(&self) -> usize {
        self.forbidden_calls.load(Ordering::Relaxed)
    }
}
