//! Sessions that idle, in great numbers, behind a service that serves two requests at a time.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod wire;

use futures_util::future::join_all;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Barrier;
use tower::{Layer, limit::GlobalConcurrencyLimitLayer};
use webstomp::{
    Peer, Router, Session, State,
    frame::{Command, Version},
    session::Config,
    socket::Socket,
};
use wire::{Client, Random, soak, until};

const SESSIONS: usize = 100;

/// What calls there are.
#[derive(Clone)]
struct Calls {
    /// Two calls that wait for each other: they end only if both run.
    pair: Arc<Barrier>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    farewells: Arc<AtomicUsize>,
}

/// A call that ends when another has begun.
async fn meet(State(calls): State<Calls>) {
    let running = calls.running.fetch_add(1, Ordering::SeqCst) + 1;
    calls.most.fetch_max(running, Ordering::SeqCst);
    calls.pair.wait().await;
    calls.running.fetch_sub(1, Ordering::SeqCst);
}

async fn farewell(State(calls): State<Calls>) {
    calls.farewells.fetch_add(1, Ordering::SeqCst);
}

async fn sink() {}

async fn asks(client: &mut Client, destination: &str) {
    client
        .asks(
            format!("SEND\ndestination:{destination}\nreceipt:9\n\n\0"),
            "9",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_idles_holds_no_permit() {
    let zero = || Arc::new(AtomicUsize::new(0));
    let calls = Calls {
        pair: Arc::new(Barrier::new(2)),
        running: zero(),
        most: zero(),
        farewells: zero(),
    };
    let routes = Router::new()
        .send("/meet", meet)
        .send("/sink", sink)
        .disconnect(farewell)
        .with_state(calls.clone());
    let service = GlobalConcurrencyLimitLayer::new(2).layer(routes.build().unwrap());
    let config = Arc::new(Config::default());
    let reach = |number: usize| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let is_websocket = number % 2 == 0;
        let socket = match is_websocket {
            true => Socket::over_websocket(ours, b"", Peer::default(), &Default::default()),
            false => Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        };
        let (_, _, connection) = Session::new(socket, Arc::clone(&config));
        tokio::spawn(connection.run(service.clone()));
        Client::new(Box::new(theirs), is_websocket)
    };
    let mut clients: Vec<_> = (0..SESSIONS).map(reach).collect();
    join_all(
        clients
            .iter_mut()
            .map(|client| client.connects(Version::V1_2)),
    )
    .await;
    // All at once: each is served though only two can be.
    join_all(clients.iter_mut().map(|client| asks(client, "/meet"))).await;
    // Two of them, while all others idle that were served before.
    let mut random = Random(2);
    let rounds = soak(10_000, 1_000);
    for _ in 0..rounds {
        let at = random.below(SESSIONS - 1);
        let (before, after) = clients.split_at_mut(at + 1);
        let (first, other) = (before.last_mut().unwrap(), random.below(after.len()));
        tokio::join!(asks(first, "/meet"), asks(&mut after[other], "/meet"));
    }
    assert_eq!(calls.most.load(Ordering::SeqCst), 2, "the limit holds");
    // A third of them goes, one way or the other; the rest is served.
    let leaving = clients.split_off(SESSIONS * 2 / 3);
    for (number, mut client) in leaving.into_iter().enumerate() {
        if number % 2 == 0 {
            client.say("DISCONNECT\nreceipt:bye\n\n\0").await;
            client.gets(Command::Receipt).await;
        }
    }
    join_all(clients.iter_mut().map(|client| asks(client, "/sink"))).await;
    until("all that went are known to", || {
        config.sessions.len() == clients.len()
    })
    .await;
    assert_eq!(
        calls.farewells.load(Ordering::SeqCst),
        SESSIONS - clients.len()
    );
    println!(
        "{} requests of {SESSIONS} sessions, two at a time",
        SESSIONS + 2 * rounds
    );
}
