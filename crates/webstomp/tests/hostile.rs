//! Sends much invalid input of all kinds over all transports, and checks that other sessions are not disturbed.
//!
//! The usual run is short; `SOAK=1` in the environment sends 100,000 frames.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod invalid;
mod transports;

use futures_util::{FutureExt, StreamExt, stream};
use invalid::{
    INVALID_FRAMES, InvalidFrame, TestApp, send_invalid_frame, send_violation, violations,
};
use std::{
    collections::{BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    sync::Mutex,
};
use stomp_testing::{Client, Received, Rng, frames, soon, usual_or_soak};
use tokio::{sync::watch, task::JoinHandle};
use transports::{Server, Transport, next};
use webstomp::frame::{Command, Version};

/// The seed of random numbers. Each invalid frame adds its own number to it.
const SEED: u64 = 5;

/// The number of clients that send invalid input at the same time.
const CONCURRENT: usize = 32;

/// Sessions that exchange messages while others send invalid input.
struct Bystanders {
    tick: watch::Sender<usize>,
    tasks: Vec<JoinHandle<usize>>,
}

impl Bystanders {
    /// Starts a bystander on each transport.
    async fn start(server: &Server) -> Bystanders {
        let (tick, ticks) = watch::channel(0);
        let mut tasks = Vec::new();
        for (transport, name) in Transport::ALL.into_iter().zip(["ann", "bob", "cat", "dan"]) {
            let client = server.connect(transport).await;
            tasks.push(tokio::spawn(exchange_news(client, name, ticks.clone())));
        }
        Bystanders { tick, tasks }
    }

    /// Lets each bystander exchange another message.
    fn tick(&self, number: usize) {
        self.tick.send_replace(number);
    }

    /// Ends the bystanders and returns the total number of their messages.
    async fn finish(self) -> usize {
        drop(self.tick);
        let mut exchanges = 0;
        for task in self.tasks {
            exchanges += soon(task).await.unwrap();
        }
        exchanges
    }
}

/// Publishes a message at each tick, and expects its receipt and the messages of all bystanders in order. Returns the
/// number of ticks.
async fn exchange_news(
    mut client: Client,
    name: &'static str,
    mut ticks: watch::Receiver<usize>,
) -> usize {
    client.receipt(frames::subscribe("n", "/news")).await;
    let (mut count, mut latest) = (0, HashMap::new());
    while ticks.changed().await.is_ok() {
        ticks.borrow_and_update();
        let news = format!("{name} {count}");
        let id = client.request(frames::send("/news", &news)).await;
        let (mut has_receipt, mut has_news) = (false, false);
        while !(has_receipt && has_news) {
            match next(&mut client).await {
                Received::Frame(frame) if frame.command == Command::Receipt => {
                    has_receipt = frame.headers.get("receipt-id") == Some(&id);
                }
                Received::Frame(frame) if frame.command == Command::Message => {
                    check_order(&frame.body, name, &mut latest);
                    has_news |= frame.body == *news;
                }
                other => panic!("{name} received {other:?}"),
            }
        }
        count += 1;
    }
    count
}

/// Checks that no message of an author is missing. `latest` holds the last number of each author.
fn check_order(body: &[u8], reader: &str, latest: &mut HashMap<String, usize>) {
    let text = std::str::from_utf8(body).unwrap();
    let (author, number) = text.split_once(' ').unwrap();
    let number: usize = number.parse().unwrap();
    if let Some(before) = latest.insert(author.to_owned(), number) {
        assert_eq!(number, before + 1, "{reader} misses news of {author}");
    }
}

/// The names of cases that failed.
#[derive(Default)]
struct Failures(Mutex<BTreeSet<String>>);

impl Failures {
    async fn note(&self, case: impl Future<Output = ()>, name: impl FnOnce() -> String) {
        if AssertUnwindSafe(case).catch_unwind().await.is_err() {
            self.0.lock().unwrap().insert(name());
        }
    }

    fn check(self) {
        let names = self.0.into_inner().unwrap();
        assert!(names.is_empty(), "these cases failed: {names:#?}");
    }
}

/// Returns the transport for a round. The first rounds use each transport once. Later rounds mostly use transports in
/// memory, which are cheap.
fn transport_of(round: usize) -> Transport {
    match round {
        0..4 => Transport::ALL[round],
        round if round % 5 == 0 => [Transport::Tcp, Transport::TcpWebSocket][round / 5 % 2],
        round => [Transport::Memory, Transport::MemoryWebSocket][round % 2],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_invalid_frames_are_answered_and_disturb_no_other_session() {
    let cases: Vec<(&InvalidFrame, Option<Version>)> = INVALID_FRAMES
        .iter()
        .flat_map(|frame| frame.versions.iter().map(move |version| (frame, *version)))
        .collect();
    let app = TestApp::new();
    let server = app.start().await;
    let bystanders = Bystanders::start(&server).await;
    let (count, failures) = (usual_or_soak(5_000, 100_000), Failures::default());
    stream::iter(0..count)
        .for_each_concurrent(CONCURRENT, async |number| {
            let (frame, version) = cases[number % cases.len()];
            let transport = transport_of(number / cases.len());
            let mut rng = Rng::with_seed(SEED + number as u64);
            let case = send_invalid_frame(&server, transport, frame, version, &mut rng);
            let name = || format!("{:?} in {version:?} over {transport}", frame.name);
            failures.note(case, name).await;
            bystanders.tick(number);
        })
        .await;
    failures.check();
    let exchanges = bystanders.finish().await;
    for transport in Transport::ALL {
        let mut client = server.connect(transport).await;
        client.receipt(frames::send("/sink", "")).await;
    }
    assert_eq!(app.forbidden_calls(), 0, "frames after an invalid one");
    assert!(
        exchanges >= 100,
        "the bystanders made {exchanges} exchanges"
    );
    println!(
        "{count} invalid frames of {} kinds, {} with versions, over four transports; {exchanges} exchanges of \
         bystanders meanwhile",
        INVALID_FRAMES.len(),
        cases.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_websocket_violations_are_answered_and_disturb_no_other_session() {
    let violations = violations();
    let app = TestApp::new();
    let server = app.start().await;
    let bystanders = Bystanders::start(&server).await;
    let (count, failures) = (usual_or_soak(500, 10_000), Failures::default());
    stream::iter(0..count)
        .for_each_concurrent(CONCURRENT, async |number| {
            let violation = &violations[number % violations.len()];
            let transport = [Transport::MemoryWebSocket, Transport::TcpWebSocket]
                [number / violations.len() % 2];
            let case = send_violation(&server, transport, violation, number);
            let name = || format!("{:?} over {transport}", violation.name);
            failures.note(case, name).await;
            bystanders.tick(number);
        })
        .await;
    failures.check();
    let exchanges = bystanders.finish().await;
    assert!(exchanges > 0, "the bystanders made no exchange");
    println!(
        "{count} violations of the WebSocket protocol of {} kinds; {exchanges} exchanges of bystanders meanwhile",
        violations.len()
    );
}
