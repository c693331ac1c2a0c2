//! Malformed frames of all kinds, in great numbers, over everything that STOMP is spoken on: each is answered by its
//! `ERROR` and the close that it deserves, and nobody else notices.
//!
//! A short run; with `SOAK=1` in the environment, 100,000 frames.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod malformed;
mod wire;

use futures_util::{FutureExt, StreamExt, stream};
use malformed::{KINDS, Kind};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{sync::watch, task::JoinHandle};
use webstomp::{
    BoxError, IntoSubscribeResponse, Observe, Router, State, Topic,
    frame::{Command, Limits, Version},
    session::{Config, MailboxConfig},
};
use wire::{
    BINARY, CLOSE, CONTINUATION, Client, FIN, Heard, PING, Random, Server, TEXT, Way, soak, soon,
};

/// What a run begins with.
const SEED: u64 = 5;

/// So many clients are at it at the same time.
const AT_ONCE: usize = 32;

#[derive(Clone)]
struct Office {
    news: Topic<String>,
    /// Calls that must not be.
    trespasses: Arc<AtomicUsize>,
}

impl Office {
    fn new() -> Office {
        Office {
            news: Topic::with_mailboxes(
                MailboxConfig::default()
                    .max_messages(1 << 20)
                    .max_bytes(1 << 30),
            ),
            trespasses: Arc::default(),
        }
    }

    fn router(&self) -> Router {
        async fn read(State(office): State<Office>) -> impl IntoSubscribeResponse {
            Observe(office.news.subscribe())
        }
        async fn tell(State(office): State<Office>, text: String) -> Result<(), BoxError> {
            office.news.publish(text)
        }
        async fn jobs() -> impl IntoSubscribeResponse {
            Observe(stream::iter(["one".to_owned(), "two".to_owned()]).chain(stream::pending()))
        }
        async fn trespass(State(office): State<Office>) {
            office.trespasses.fetch_add(1, Ordering::Relaxed);
        }
        async fn sink() {}
        async fn silence() {}
        Router::new()
            .subscribe("/news", read)
            .send("/news", tell)
            .subscribe("/jobs", jobs)
            .subscribe("/quiet/{number}", silence)
            .send("/sink", sink)
            .send("/forbidden", trespass)
            .with_state(self.clone())
    }

    async fn open(&self) -> Server {
        let mut config = Config::default();
        // Small, so that what is too large can be said often.
        config.limits = Limits::default()
            .max_frame_bytes(4_096)
            .max_head_bytes(1_024)
            .max_line_bytes(512)
            .max_headers(16);
        config.max_subscriptions = 4;
        config.max_transactions = 2;
        config.max_transaction_frames = 4;
        config.max_transaction_bytes = 3_000;
        Server::start(|| self.router(), config).await
    }
}

/// A client that goes about its business while others do not: with each tick it publishes, and gets its receipt and
/// all the news there are, in order. It tells how often.
async fn go_about(
    mut client: Client,
    name: &'static str,
    mut ticks: watch::Receiver<usize>,
) -> usize {
    client
        .asks("SUBSCRIBE\nid:n\ndestination:/news\nreceipt:s\n\n\0", "s")
        .await;
    let (mut count, mut authors) = (0, HashMap::new());
    while ticks.changed().await.is_ok() {
        ticks.borrow_and_update();
        client
            .say(format!(
                "SEND\ndestination:/news\nreceipt:{count}\n\n{name} {count}\0"
            ))
            .await;
        let (mut has_receipt, mut has_news) = (false, false);
        while !(has_receipt && has_news) {
            let Heard::Frame(frame) = client.hear().await else {
                panic!("{name} was left")
            };
            match frame.command {
                Command::Receipt => {
                    has_receipt = frame.headers.get("receipt-id") == Some(&*count.to_string())
                }
                Command::Message => {
                    let text = std::str::from_utf8(&frame.body).unwrap();
                    let (author, number) = text.split_once(' ').unwrap();
                    let number: usize = number.parse().unwrap();
                    if let Some(before) = authors.insert(author.to_owned(), number) {
                        assert_eq!(number, before + 1, "{name} misses news of {author}");
                    }
                    has_news |= author == name && number == count;
                }
                _ => panic!("{name} got {frame:?} {:?}", frame.body),
            }
        }
        count += 1;
    }
    count
}

/// Bystanders over everything, and what makes them go on.
async fn bystanders(server: &Server) -> (watch::Sender<usize>, Vec<JoinHandle<usize>>) {
    let (tick, ticks) = watch::channel(0);
    let mut tasks = Vec::new();
    for (way, name) in Way::ALL.into_iter().zip(["ann", "bob", "cat", "dan"]) {
        let client = server.connect(way, 0).await;
        tasks.push(tokio::spawn(go_about(client, name, ticks.clone())));
    }
    (tick, tasks)
}

/// Says one malformed frame, on a session of its own, and hears what is due.
async fn offend(
    server: &Server,
    way: Way,
    kind: &Kind,
    version: Option<Version>,
    random: &mut Random,
) {
    let mut client = server.reach(way, random.below(1_000)).await;
    if let Some(version) = version {
        client.connects(version).await;
        for number in 0..random.below(3) {
            let receipt = number.to_string();
            client
                .asks(
                    format!("SEND\ndestination:/sink\nreceipt:{receipt}\n\nfine\0"),
                    &receipt,
                )
                .await;
        }
    }
    for (before, messages) in [
        (kind.before, kind.messages),
        (kind.then, kind.more_messages),
    ] {
        client.say(before).await;
        for _ in 0..messages {
            client.gets(Command::Message).await;
        }
    }
    // What comes behind it is not listened to.
    let bytes = [
        &kind.bytes()[..],
        b"\nSEND\ndestination:/forbidden\nreceipt:no\n\n\0",
    ]
    .concat();
    if random.below(2) == 0 {
        client.say(&bytes).await;
    } else {
        client.say_in_pieces(&bytes, random).await;
    }
    let error = client.is_told(kind.code).await;
    assert_eq!(
        error.headers.get("receipt-id"),
        kind.receipt,
        "{:?}",
        error.body
    );
    assert!(!error.body.is_empty(), "a sentence for people");
    client.is_closed(kind.close).await;
}

/// What was not answered as it should be.
#[derive(Default)]
struct Misses(Mutex<BTreeSet<String>>);

impl Misses {
    async fn note(&self, case: impl Future<Output = ()>, name: impl FnOnce() -> String) {
        if AssertUnwindSafe(case).catch_unwind().await.is_err() {
            self.0.lock().unwrap().insert(name());
        }
    }

    fn are_none(&self) {
        assert!(
            self.0.lock().unwrap().is_empty(),
            "{:#?}",
            self.0.lock().unwrap()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_frame_is_answered_and_closed() {
    let names: HashSet<_> = KINDS.iter().map(|kind| kind.name).collect();
    assert!(
        names.len() == KINDS.len() && names.len() >= 40,
        "{} kinds, {} names",
        KINDS.len(),
        names.len()
    );
    let cases: Vec<_> = KINDS
        .iter()
        .flat_map(|kind| kind.versions.iter().map(move |version| (kind, *version)))
        .collect();
    let office = Office::new();
    let server = office.open().await;
    let (tick, bystanders) = bystanders(&server).await;
    let (count, misses) = (soak(100_000, 5_000), Misses::default());
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |number| {
            let (server, tick, misses) = (&server, &tick, &misses);
            let (kind, version) = cases[number % cases.len()];
            let round = number / cases.len();
            // Each case in each way; of many rounds, most in memory.
            let way = match round {
                0..4 => Way::ALL[round],
                round if round % 5 == 0 => [Way::Tcp, Way::TcpWebSocket][round / 5 % 2],
                round => [Way::Pipe, Way::PipeWebSocket][round % 2],
            };
            async move {
                let mut random = Random(SEED ^ number as u64);
                let offence = offend(server, way, kind, version, &mut random);
                misses
                    .note(offence, || {
                        format!("{:?} in {version:?} over {way:?}", kind.name)
                    })
                    .await;
                tick.send_replace(number);
            }
        })
        .await;
    misses.are_none();
    drop(tick);
    let mut undisturbed = 0;
    for bystander in bystanders {
        undisturbed += soon(bystander).await.unwrap();
    }
    for way in Way::ALL {
        let mut client = server.connect(way, 0).await;
        client
            .asks("SEND\ndestination:/sink\nreceipt:alive\n\n\0", "alive")
            .await;
    }
    assert_eq!(
        office.trespasses.load(Ordering::Relaxed),
        0,
        "frames behind a malformed one"
    );
    assert!(undisturbed >= 100, "{undisturbed}");
    println!(
        "{count} malformed frames of {} kinds in {} versions and four ways, all answered; {undisturbed} exchanges of \
         bystanders meanwhile",
        KINDS.len(),
        cases.len()
    );
}

/// What is no WebSocket, or not as RFC 6455 wants it: bytes, the code of `ERROR`, the code of the close.
fn violations() -> Vec<(&'static str, Vec<u8>, Option<&'static str>, u16)> {
    const MALFORMED: Option<&str> = Some("malformed-message");
    let frame = wire::websocket_frame;
    let text = |bytes: &[u8]| frame(FIN | TEXT, bytes);
    let unmasked = [&[FIN | TEXT, 1][..], b"\n"].concat();
    let reserved = |bit: u8| frame(FIN | bit | TEXT, b"\n");
    let declared =
        |length: u64| [&[FIN | BINARY, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    let mut all = vec![
        ("unmasked", unmasked, MALFORMED, 1002),
        ("RSV1, as of compression", reserved(0x40), MALFORMED, 1002),
        ("RSV2", reserved(0x20), MALFORMED, 1002),
        ("RSV3", reserved(0x10), MALFORMED, 1002),
        ("a ping in fragments", frame(PING, b""), MALFORMED, 1002),
        (
            "a ping too long",
            frame(FIN | PING, &[0; 126]),
            MALFORMED,
            1002,
        ),
        (
            "a continuation of nothing",
            frame(FIN | CONTINUATION, b""),
            MALFORMED,
            1002,
        ),
        (
            "a message inside another",
            [frame(TEXT, b"SEND"), text(b"\n")].concat(),
            MALFORMED,
            1002,
        ),
        (
            "a close of one byte",
            frame(FIN | CLOSE, &[3]),
            MALFORMED,
            1002,
        ),
        (
            "a close with no code that there is",
            frame(FIN | CLOSE, &999u16.to_be_bytes()),
            None,
            1002,
        ),
        ("text that is not UTF-8", text(b"SEND\xff"), MALFORMED, 1007),
        (
            "text cut within a character",
            text(b"\xc3"),
            MALFORMED,
            1007,
        ),
        (
            "fragments that are not UTF-8",
            [frame(TEXT, b"\xc3"), frame(FIN | CONTINUATION, b"(")].concat(),
            MALFORMED,
            1007,
        ),
        ("a surrogate", text(b"\xed\xa0\x80"), MALFORMED, 1007),
        (
            "a message too long",
            frame(FIN | BINARY, &[b'\n'; 5_121]),
            Some("too-large"),
            1009,
        ),
        (
            "a frame that says it will be too long",
            declared(5_121),
            Some("too-large"),
            1009,
        ),
        (
            "a frame that says it will be endless",
            declared(i64::MAX as u64),
            Some("too-large"),
            1009,
        ),
        (
            "fragments that are too long together",
            [
                frame(BINARY, &[b'\n'; 4_096]),
                frame(CONTINUATION, &[b'\n'; 1_025]),
            ]
            .concat(),
            Some("too-large"),
            1009,
        ),
        (
            "small fragments that are too long together",
            [
                frame(BINARY, b"\n"),
                frame(CONTINUATION, b"\n\n").repeat(2_561),
            ]
            .concat(),
            Some("too-large"),
            1009,
        ),
    ];
    for opcode in [3, 4, 5, 6, 7] {
        all.push((
            "a data frame of no kind",
            frame(FIN | opcode, b""),
            MALFORMED,
            1002,
        ));
    }
    for opcode in [0xb, 0xc, 0xd, 0xe, 0xf] {
        all.push((
            "a control frame of no kind",
            frame(FIN | opcode, b""),
            MALFORMED,
            1002,
        ));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_is_every_violation_of_the_websocket() {
    let violations = violations();
    let office = Office::new();
    let server = office.open().await;
    let (tick, bystanders) = bystanders(&server).await;
    let (count, misses) = (soak(10_000, 500), Misses::default());
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |number| {
            let (server, tick, misses) = (&server, &tick, &misses);
            let (name, bytes, code, close) = &violations[number % violations.len()];
            let way = [Way::PipeWebSocket, Way::TcpWebSocket][number / violations.len() % 2];
            let offence = async move {
                let mut client = server.connect(way, number).await;
                client.say_raw(bytes).await;
                if let Some(code) = code {
                    client.is_told(code).await;
                }
                client.is_closed(*close).await;
                tick.send_replace(number);
            };
            misses.note(offence, move || format!("{name:?} over {way:?}"))
        })
        .await;
    misses.are_none();
    drop(tick);
    for bystander in bystanders {
        assert!(soon(bystander).await.unwrap() > 0);
    }
    println!(
        "{count} violations of the WebSocket of {} kinds, all answered",
        violations.len()
    );
}
