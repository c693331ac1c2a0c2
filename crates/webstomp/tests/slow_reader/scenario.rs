//! Runs a topic with healthy readers and a slow one, and reports the end of the slow reader and the memory that it
//! costs.

use crate::transports::{next, open_in_memory};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use stomp_testing::{Client, Received, frames, until, usual_or_soak};
use tokio::{
    runtime::Builder,
    task::JoinHandle,
    time::{Instant, sleep},
};
use webstomp::{
    DisconnectReason, IntoSubscribeResponse, Message, Observe, Router, State, Topic,
    frame::{Command, Frame, Version},
    router::{Routes, map_error},
    session::{BacklogConfig, Config, Overflow},
};

/// The number of messages that are published before the memory is measured. At the full rate, this takes 0.3 s.
const MEASURED: usize = 3_000;

/// The number of messages that are published between two pauses.
const BATCH: usize = 10;

/// The number of distinct keys of the messages.
const KEYS: usize = 50;

/// The number of healthy readers.
const HEALTHY: usize = 4;

/// The number of messages that are published in all.
pub(crate) fn total() -> usize {
    usual_or_soak(6_000, 600_000)
}

/// The key of the message with this number.
pub(crate) fn key_of(number: usize) -> usize {
    number % KEYS
}

/// A reader that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Reads nothing at all.
    Stuck,
    /// Pauses for this long before each message.
    Slow(Duration),
    /// Pauses once for this long, and then reads everything.
    Paused(Duration),
}

/// The messages that a slow reader got.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) messages: usize,
    /// The sum of its `dropped-messages` headers.
    pub(crate) dropped: usize,
    /// The number of the last message with each key.
    pub(crate) latest: HashMap<usize, usize>,
    pub(crate) is_in_order: bool,
    /// The code of the `ERROR` that it got.
    pub(crate) error: Option<String>,
    /// The status code of the close that it got.
    pub(crate) close: Option<u16>,
}

/// The bound of the backlog of each reader.
pub(crate) const BACKLOG_BYTES: usize = 256 << 10;

/// The result of a run.
pub(crate) struct Outcome {
    /// Bytes that were allocated while the first messages were published, and were still in use at the end of that
    /// time.
    pub(crate) held: i64,
    /// The maximum number of bytes that were allocated at any moment while the first messages were published.
    pub(crate) peak: u64,
    /// Bytes that were still allocated after all sessions had ended.
    pub(crate) leaked: i64,
    pub(crate) report: Option<Report>,
    /// The time after which the server disconnected the slow reader because of a timeout, if it did.
    pub(crate) timed_out_after: Option<Duration>,
}

#[derive(Clone)]
struct TestApp {
    news: Topic<Message>,
    ends: Arc<Mutex<Vec<(DisconnectReason, Instant)>>>,
    config: Arc<Config>,
}

impl TestApp {
    fn new(overflow: Overflow) -> TestApp {
        TestApp {
            news: Topic::with_backlogs(
                BacklogConfig::default()
                    .max_messages(256)
                    .max_bytes(BACKLOG_BYTES)
                    .overflow(overflow),
            ),
            ends: Arc::default(),
            config: Arc::new(Config::default().error_mapper(map_error)),
        }
    }

    fn routes(&self) -> Routes {
        async fn read(State(app): State<TestApp>) -> impl IntoSubscribeResponse {
            Observe(app.news.subscribe())
        }
        async fn note_end(State(app): State<TestApp>, reason: DisconnectReason) {
            app.ends.lock().unwrap().push((reason, Instant::now()));
        }
        Router::new()
            .subscribe("/news", read)
            .disconnect(note_end)
            .with_state(self.clone())
            .build()
            .unwrap()
    }

    /// Publishes messages of 1 KiB, with a pause after each batch.
    async fn publish(&self, numbers: Range<usize>, pause: Duration) {
        for number in numbers {
            let message = Message::new(format!("{number:08}{}", "x".repeat(1_016)));
            let message = message.with_key(key_of(number).to_string());
            self.news.publish(message).unwrap();
            if number % BATCH == BATCH - 1 {
                sleep(pause).await;
            }
        }
    }

    async fn subscriber(&self, routes: &Routes, is_websocket: bool) -> Client {
        let mut client = open_in_memory(routes.clone(), &self.config, is_websocket);
        client.connect(Version::V1_2).await;
        client.receipt(frames::subscribe("0", "/news")).await;
        client
    }

    async fn start_readers(&self, slow: Option<Reader>, is_websocket: bool) -> Readers {
        let routes = self.routes();
        let mut readers = Readers {
            start: Instant::now(),
            healthy: Vec::new(),
            slow: None,
        };
        for number in 0..HEALTHY {
            let client = self.subscriber(&routes, number % 2 == 0).await;
            readers.healthy.push(tokio::spawn(read_everything(client)));
        }
        if let Some(slow) = slow {
            let client = self.subscriber(&routes, is_websocket).await;
            readers.slow = Some(tokio::spawn(read_slowly(client, slow)));
        }
        readers
    }

    /// Returns the time at which a timeout first ended a session.
    fn timeout(&self) -> Option<Instant> {
        let ends = self.ends.lock().unwrap();
        let mut timeouts = ends
            .iter()
            .filter(|(reason, _)| *reason == DisconnectReason::Timeout);
        timeouts.next().map(|(_, at)| *at)
    }
}

/// The tasks of all readers.
struct Readers {
    start: Instant,
    healthy: Vec<JoinHandle<()>>,
    slow: Option<JoinHandle<Report>>,
}

fn number_of(message: &Frame) -> usize {
    let text = std::str::from_utf8(&message.body[..8]).unwrap();
    text.parse().unwrap()
}

fn dropped_before(message: &Frame) -> usize {
    let count = message.headers.get("dropped-messages");
    count.map_or(0, |count| count.parse().unwrap())
}

/// Expects every message, in order.
async fn read_everything(mut client: Client) {
    for number in 0..total() {
        let message = client.expect(Command::Message).await;
        assert_eq!(
            (number_of(&message), dropped_before(&message)),
            (number, 0),
            "the next message of a healthy reader, and the number dropped before it"
        );
    }
}

/// Reads until every message has arrived or was dropped, or until the connection ends.
async fn read_slowly(mut client: Client, reader: Reader) -> Report {
    let mut report = Report {
        is_in_order: true,
        ..Report::default()
    };
    match reader {
        Reader::Stuck => sleep(Duration::from_secs(1_000)).await,
        Reader::Paused(time) => sleep(time).await,
        Reader::Slow(_) => {}
    }
    let mut before = None;
    while report.messages + report.dropped < total() {
        if let Reader::Slow(pause) = reader {
            sleep(pause).await;
        }
        match next(&mut client).await {
            Received::Frame(frame) if frame.command == Command::Message => {
                let number = number_of(&frame);
                report.messages += 1;
                report.dropped += dropped_before(&frame);
                report.is_in_order &= before.replace(number) < Some(number);
                let last = report.latest.insert(key_of(number), number);
                assert!(last < Some(number), "messages of one key are in order");
            }
            Received::Frame(frame) => {
                assert_eq!(frame.command, Command::Error);
                report.error = frame.headers.get("message").map(str::to_owned);
            }
            Received::Close(code) => report.close = code,
            _ => break,
        }
    }
    report
}

/// Publishes to healthy readers and a slow one. Each run has its own thread, which has no spare buffers of another run.
pub(crate) fn run(overflow: Overflow, slow: Option<Reader>, is_websocket: bool) -> Outcome {
    thread::spawn(move || run_here(overflow, slow, is_websocket))
        .join()
        .unwrap()
}

fn run_here(overflow: Overflow, slow: Option<Reader>, is_websocket: bool) -> Outcome {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let app = TestApp::new(overflow);
    let readers = runtime.block_on(app.start_readers(slow, is_websocket));
    let mut report = None;
    let measured = allocation_counter::measure(|| {
        runtime.block_on(async {
            app.publish(0..MEASURED, Duration::from_millis(1)).await;
            sleep(Duration::from_millis(50)).await;
        });
    });
    let rest = allocation_counter::measure(|| {
        // The usual run has few messages left. The pause makes them last until the write timeout.
        let pause = Duration::from_millis(usual_or_soak(35, 1) as u64);
        runtime.block_on(async {
            app.publish(MEASURED..total(), pause).await;
            for reader in readers.healthy {
                reader.await.unwrap();
            }
        });
        report = readers.slow.map(|reader| runtime.block_on(reader).unwrap());
        runtime.block_on(until("all sessions have ended", || {
            app.config.sessions.is_empty()
        }));
    });
    Outcome {
        held: measured.bytes_current,
        peak: measured.bytes_max,
        leaked: measured.bytes_current + rest.bytes_current,
        report,
        timed_out_after: app.timeout().map(|at| at - readers.start),
    }
}
