//! A reader that takes nothing, or little, beside a topic of 10,000 messages of 1 KiB a second: what is held for it is
//! bounded, it meets its policy, and its neighbours get everything.
//!
//! A short run; with `SOAK=1` in the environment, a minute of messages. The clock is the test's own.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::{Instant, sleep},
};
use webstomp::{
    ClientError, FromRequest, IntoSubscribeResponse, Message, Observe, Peer, Request, Router,
    Session, State, Topic,
    frame::{Command, Frame, Version},
    router::{Routes, map_error},
    session::{Config, DisconnectReason, MailboxConfig, Overflow},
    socket::Socket,
};
use wire::{Client, Heard, soak};

/// Messages a millisecond.
const RATE: usize = 10;

/// The bytes between a session and its peer.
const PIPE: usize = 64 << 10;

/// So many are published before what is held is counted, and so many in all.
const FIRST: usize = 3_000;

fn all() -> usize {
    soak(600_000, 6_000)
}

/// Things that messages are about.
const KEYS: usize = 50;

/// Who reads beside the healthy ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nobody,
    /// Takes nothing at all.
    Stuck,
    /// Takes a message each so often.
    Slow(Duration),
    /// Takes nothing for so long, and then everything.
    Rested(Duration),
}

#[derive(Clone)]
struct Stand {
    news: Topic<Message>,
    /// Why sessions ended, and when.
    ended: Arc<Mutex<Vec<(DisconnectReason, Instant)>>>,
}

struct Why(DisconnectReason);

impl<S> FromRequest<S> for Why {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        request.reason().map(Why).ok_or_else(ClientError::internal)
    }
}

impl Stand {
    fn routes(&self) -> Routes {
        async fn read(State(stand): State<Stand>) -> impl IntoSubscribeResponse {
            Observe(stand.news.subscribe())
        }
        async fn end(State(stand): State<Stand>, Why(reason): Why) {
            stand.ended.lock().unwrap().push((reason, Instant::now()));
        }
        Router::new()
            .subscribe("/news", read)
            .disconnect(end)
            .with_state(self.clone())
            .build()
            .unwrap()
    }

    /// Publishes at the full rate, or with `pause` after each few.
    async fn publish(&self, numbers: std::ops::Range<usize>, pause: Duration) {
        for number in numbers {
            let message = Message::new(format!("{number:08}{}", "x".repeat(1_016)));
            self.news
                .publish(message.with_key(key_of(number).to_string()))
                .unwrap();
            if number % RATE == RATE - 1 {
                sleep(pause).await;
            }
        }
    }
}

/// One subscriber.
async fn subscriber(routes: &Routes, config: &Arc<Config>, is_websocket: bool) -> Client {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let socket = match is_websocket {
        true => Socket::over_websocket(ours, b"", Peer::default(), &Default::default()),
        false => Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
    };
    let (_, _, connection) = Session::new(socket, Arc::clone(config));
    tokio::spawn(connection.run(routes.clone()));
    let mut client = Client::new(Box::new(theirs), is_websocket);
    client.connects(Version::V1_2).await;
    client
        .asks("SUBSCRIBE\nid:0\ndestination:/news\nreceipt:1\n\n\0", "1")
        .await;
    client
}

/// What a message is about.
fn key_of(number: usize) -> usize {
    number % KEYS
}

fn number_of(message: &Frame) -> usize {
    std::str::from_utf8(&message.body[..8])
        .unwrap()
        .parse()
        .unwrap()
}

fn dropped_before(message: &Frame) -> usize {
    message
        .headers
        .get("dropped-messages")
        .map_or(0, |count| count.parse().unwrap())
}

/// Gets everything, in order.
async fn read_all(mut client: Client) {
    for number in 0..all() {
        let message = client.gets(Command::Message).await;
        assert_eq!(
            (number_of(&message), dropped_before(&message)),
            (number, 0),
            "a healthy reader"
        );
    }
}

/// What a reader got.
#[derive(Debug, Default)]
struct Got {
    messages: usize,
    /// As it was told.
    dropped: usize,
    /// The last of each key.
    last: HashMap<usize, usize>,
    is_in_order: bool,
    /// What it was told at the end.
    error: Option<String>,
    close: Option<u16>,
}

/// Reads as slowly as is told, until all is accounted for, or the end.
async fn read(mut client: Client, beside: Beside) -> Got {
    let mut got = Got {
        is_in_order: true,
        ..Got::default()
    };
    match beside {
        Beside::Stuck => sleep(Duration::from_secs(1_000)).await,
        Beside::Rested(time) => sleep(time).await,
        _ => {}
    }
    let mut before = None;
    while got.messages + got.dropped < all() {
        if let Beside::Slow(pause) = beside {
            sleep(pause).await;
        }
        match client.hear().await {
            Heard::Frame(frame) if frame.command == Command::Message => {
                let number = number_of(&frame);
                got.messages += 1;
                got.dropped += dropped_before(&frame);
                got.is_in_order &= before.replace(number) < Some(number);
                let last = got.last.insert(key_of(number), number);
                assert!(last < Some(number), "of one key in order");
            }
            Heard::Frame(frame) => {
                assert_eq!(frame.command, Command::Error);
                got.error = frame.headers.get("message").map(str::to_owned);
            }
            Heard::Close(code) => got.close = Some(code),
            Heard::End | Heard::Reset => break,
        }
    }
    got
}

/// What happened.
struct Outcome {
    /// Bytes that were held when the first messages had been published, and the most that were until then.
    held: i64,
    most: u64,
    got: Option<Got>,
    /// Why and how soon the one beside was left, if it was.
    left: Option<(DisconnectReason, Duration)>,
    /// Bytes that were held at the end.
    stay: i64,
}

/// Four healthy readers, and another beside them; on a thread of its own, which has no spare buffers of another play.
fn play(overflow: Overflow, beside: Beside, is_websocket: bool) -> Outcome {
    thread::spawn(move || play_here(overflow, beside, is_websocket))
        .join()
        .unwrap()
}

fn play_here(overflow: Overflow, beside: Beside, is_websocket: bool) -> Outcome {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let stand = Stand {
        news: Topic::with_mailboxes(MailboxConfig::default().overflow(overflow)),
        ended: Arc::default(),
    };
    let mut config = Config::default();
    config.error_mapper = Some(webstomp::session::ErrorMapper::new(map_error));
    let config = Arc::new(config);
    let (start, healthy, other) = runtime.block_on(join(&stand, &config, beside, is_websocket));
    let mut got = None;
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            stand.publish(0..FIRST, Duration::from_millis(1)).await;
            sleep(Duration::from_millis(50)).await;
        });
    });
    let rest = allocation_counter::measure(|| {
        // In a short run, fewer a second: it takes as long until a stall is noticed.
        let pause = Duration::from_millis(soak(1, 35) as u64);
        runtime.block_on(async {
            stand.publish(FIRST..all(), pause).await;
            for reader in healthy {
                reader.await.unwrap();
            }
        });
        got = other.map(|other| runtime.block_on(other).unwrap());
        leave(&runtime, &config);
    });
    let left = stand
        .ended
        .lock()
        .unwrap()
        .iter()
        .find(|(reason, _)| *reason == DisconnectReason::Timeout)
        .copied();
    let left = left.map(|(reason, at)| (reason, at - start));
    Outcome {
        held: counted.bytes_current,
        most: counted.bytes_max,
        got,
        left,
        stay: counted.bytes_current + rest.bytes_current,
    }
}

type Readers = (Instant, Vec<JoinHandle<()>>, Option<JoinHandle<Got>>);

async fn join(stand: &Stand, config: &Arc<Config>, beside: Beside, is_websocket: bool) -> Readers {
    let routes = stand.routes();
    let mut healthy = Vec::new();
    for number in 0..4 {
        healthy.push(tokio::spawn(read_all(
            subscriber(&routes, config, number % 2 == 0).await,
        )));
    }
    let other = match beside {
        Beside::Nobody => None,
        _ => Some(tokio::spawn(read(
            subscriber(&routes, config, is_websocket).await,
            beside,
        ))),
    };
    (Instant::now(), healthy, other)
}

/// Waits until the readers' sessions know that these have gone.
fn leave(runtime: &Runtime, config: &Config) {
    runtime.block_on(wire::until("nobody is there", || {
        config.sessions.is_empty()
    }));
}

/// As little as is still something.
const LITTLE: Duration = Duration::from_secs(1);

/// Less than comes.
const LESS: Duration = Duration::from_millis(5);

/// Longer than it takes to fill everything, and not yet too long.
const NAP: Duration = Duration::from_secs(9);

/// What all readers have in common who do not keep up.
fn outcome(
    overflow: Overflow,
    beside: Beside,
    is_websocket: bool,
    nobody: &Outcome,
) -> (Got, Outcome) {
    let mut outcome = play(overflow, beside, is_websocket);
    let (config, mailbox) = (Config::default(), MailboxConfig::default());
    // What is unsent, what waits in the mailbox, and as much that its stream has taken from there.
    let documented = config.max_outbound_bytes + 2 * mailbox.max_bytes;
    let held = outcome.held - nobody.held;
    assert!(
        held > i64::try_from(documented).unwrap() / 2,
        "it is counted: {held}"
    );
    // In memory, a message is there as it was given and as it is written, with a few words of its own. And where some of
    // what was unsent has been taken, its buffer has room for as much again.
    let allowed = if matches!(beside, Beside::Slow(_)) {
        documented * 5 / 2
    } else {
        documented * 3 / 2
    };
    assert!(
        held <= i64::try_from(allowed).unwrap(),
        "{held} bytes are held for {beside:?}"
    );
    // While a buffer grows, the smaller one is there as well.
    let most = outcome.most - nobody.most;
    assert!(
        most <= u64::try_from(3 * documented).unwrap(),
        "{most} bytes at most are held for {beside:?}"
    );
    // A thread keeps one buffer for whoever writes next.
    assert!(outcome.stay <= 64 << 10, "{} bytes stay", outcome.stay);
    let got = outcome.got.take().unwrap();
    println!(
        "{overflow:?}, {beside:?}: {held} bytes held, {most} at most, of which {documented} are documented; of {} \
         messages {} came and {} were told to be dropped; left {:?}, told {:?}",
        all(),
        got.messages,
        got.dropped,
        outcome.left,
        got.error
    );
    (got, outcome)
}

/// Who takes nothing is cut after ten seconds, whatever the policy.
fn a_stuck_one_is_cut(overflow: Overflow, nobody: &Outcome) {
    for is_websocket in [false, true] {
        let (got, Outcome { left, .. }) = outcome(overflow, Beside::Stuck, is_websocket, nobody);
        let (reason, after) = left.expect("it is cut");
        assert_eq!(reason, DisconnectReason::Timeout);
        let stall = Config::default().write_timeout;
        assert!(
            after >= stall && after <= stall + Duration::from_secs(1),
            "{after:?}"
        );
        assert!(got.messages <= PIPE / 1_024, "what was on its way");
    }
}

#[test]
fn who_does_not_keep_up_is_disconnected() {
    let overflow = Overflow::Disconnect;
    let nobody = play(overflow, Beside::Nobody, false);
    a_stuck_one_is_cut(overflow, &nobody);
    for (beside, is_websocket) in [(Beside::Slow(LITTLE), false), (Beside::Rested(NAP), true)] {
        let (got, Outcome { left, .. }) = outcome(overflow, beside, is_websocket, &nobody);
        assert_eq!(
            left.map(|(reason, _)| reason),
            Some(DisconnectReason::Timeout)
        );
        assert_eq!(
            got.error.as_deref(),
            Some("slow-consumer"),
            "{beside:?} is told why"
        );
        assert_eq!(got.close, is_websocket.then_some(1008));
        // Until then, nothing is missing.
        assert_eq!(got.dropped, 0);
        assert!(got.is_in_order && got.last.values().max() == Some(&(got.messages - 1)));
    }
}

#[test]
fn or_loses_the_oldest_and_is_told_how_many() {
    let overflow = Overflow::DropOldest;
    let nobody = play(overflow, Beside::Nobody, false);
    a_stuck_one_is_cut(overflow, &nobody);
    for (beside, is_websocket) in [(Beside::Slow(LESS), false), (Beside::Rested(NAP), true)] {
        let (got, Outcome { left, .. }) = outcome(overflow, beside, is_websocket, &nobody);
        assert!(left.is_none() && got.error.is_none(), "{beside:?} stays");
        assert_eq!(got.messages + got.dropped, all());
        assert!(got.dropped > 0 && got.is_in_order);
        assert_eq!(
            got.last.values().max(),
            Some(&(all() - 1)),
            "the newest comes"
        );
    }
}

#[test]
fn or_all_but_the_latest_of_each_key() {
    let overflow = Overflow::Conflate;
    let nobody = play(overflow, Beside::Nobody, false);
    a_stuck_one_is_cut(overflow, &nobody);
    let mut latest = HashMap::new();
    for number in 0..all() {
        latest.insert(key_of(number), number);
    }
    for (beside, is_websocket) in [(Beside::Slow(LESS), false), (Beside::Rested(NAP), true)] {
        let (got, Outcome { left, .. }) = outcome(overflow, beside, is_websocket, &nobody);
        assert!(left.is_none() && got.error.is_none(), "{beside:?} stays");
        assert_eq!(got.messages + got.dropped, all());
        assert!(got.dropped > 0);
        assert_eq!(got.last, latest, "the newest of each key comes");
    }
}
