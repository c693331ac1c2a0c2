//! Many idle sessions behind a service that serves two requests at a time.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod transports;

use futures_util::future::join_all;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use stomp_testing::{Client, frames, seeded, until, usual_or_soak};
use tokio::sync::Barrier;
use tower::{Layer, limit::GlobalConcurrencyLimitLayer};
use transports::open_in_memory;
use webstomp::{Router, State, frame::Version, router::SessionService, session::Config};

const SESSIONS: usize = 100;

/// The state of the handlers: it counts their calls.
#[derive(Clone)]
struct Calls {
    /// Lets two calls wait for each other. None ends unless both run at the same time.
    pair: Arc<Barrier>,
    running: Arc<AtomicUsize>,
    max_running: Arc<AtomicUsize>,
    disconnects: Arc<AtomicUsize>,
}

impl Calls {
    fn new() -> Calls {
        Calls {
            pair: Arc::new(Barrier::new(2)),
            running: Arc::default(),
            max_running: Arc::default(),
            disconnects: Arc::default(),
        }
    }

    /// Returns a service with these handlers, which serves two requests at a time.
    fn service(&self) -> impl SessionService + Clone + use<> {
        let routes = Router::new()
            .send("/pair", meet)
            .send("/sink", sink)
            .disconnect(disconnect)
            .with_state(self.clone())
            .build()
            .unwrap();
        GlobalConcurrencyLimitLayer::new(2).layer(routes)
    }
}

/// Ends when another call waits here too.
async fn meet(State(calls): State<Calls>) {
    let running = calls.running.fetch_add(1, Ordering::SeqCst) + 1;
    calls.max_running.fetch_max(running, Ordering::SeqCst);
    calls.pair.wait().await;
    calls.running.fetch_sub(1, Ordering::SeqCst);
}

async fn disconnect(State(calls): State<Calls>) {
    calls.disconnects.fetch_add(1, Ordering::SeqCst);
}

async fn sink() {}

/// Sends to a destination from all clients at once, and waits for all receipts.
async fn send_from_all(clients: &mut [Client], destination: &str) {
    let receipts = clients
        .iter_mut()
        .map(|client| client.receipt(frames::send(destination, "")));
    join_all(receipts).await;
}

/// Sends from two random clients at once. The handlers of both requests wait for each other.
async fn send_from_pair(clients: &mut [Client], rng: &mut stomp_testing::Rng) {
    let at = rng.usize(1..clients.len());
    let (before, after) = clients.split_at_mut(at);
    let (first, second) = (rng.usize(..before.len()), rng.usize(..after.len()));
    tokio::join!(
        before[first].receipt(frames::send("/pair", "")),
        after[second].receipt(frames::send("/pair", ""))
    );
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_hold_no_permits_of_a_concurrency_limit() {
    let calls = Calls::new();
    let service = calls.service();
    let config = Arc::new(Config::default());
    let mut clients: Vec<_> = (0..SESSIONS)
        .map(|number| open_in_memory(service.clone(), &config, number % 2 == 0))
        .collect();
    join_all(clients.iter_mut().map(|c| c.connect(Version::V1_2))).await;

    send_from_all(&mut clients, "/pair").await;
    let mut rng = seeded(2);
    let rounds = usual_or_soak(1_000, 10_000);
    for _ in 0..rounds {
        send_from_pair(&mut clients, &mut rng).await;
    }
    let max_running = calls.max_running.load(Ordering::SeqCst);
    assert_eq!(max_running, 2, "calls that ran at the same time");

    // A third of the sessions ends, with or without DISCONNECT. The others are still served.
    let leaving = clients.split_off(SESSIONS * 2 / 3);
    for (number, mut client) in leaving.into_iter().enumerate() {
        if number % 2 == 0 {
            client.receipt(frames::disconnect()).await;
        }
    }
    send_from_all(&mut clients, "/sink").await;
    until("the sessions that ended are gone", || {
        config.sessions.len() == clients.len()
    })
    .await;
    let disconnects = calls.disconnects.load(Ordering::SeqCst);
    assert_eq!(disconnects, SESSIONS - clients.len());
    println!(
        "{} requests of {SESSIONS} sessions, two at a time",
        SESSIONS + 2 * rounds
    );
}
