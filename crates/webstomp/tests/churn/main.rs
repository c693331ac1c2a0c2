//! Starts and ends many sessions, orderly and abruptly, in all states, and checks that no task and no memory remains.
//!
//! The usual run is short; with `SOAK=1` in the environment, there are 20,000 sessions.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod app;
#[path = "../transports/mod.rs"]
mod transports;

use app::{TestApp, get};
use futures_util::{StreamExt, stream};
use std::ops::Range;
use stomp_testing::{Client, Received, Rng, TIMEOUT, frames, until, usual_or_soak};
use tokio::runtime::{Builder, Handle};
use transports::{Server, Transport, next};
use webstomp::{
    frame::{Command, Frame, Version},
    session::Config,
};

/// The seed of random numbers. Each session adds its own number to it.
const SEED: u64 = 6;

/// The number of sessions that are open at the same time.
const CONCURRENT: usize = 32;

/// The way in which a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Disconnect,
    Fin,
    Reset,
}

/// The state of a session when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opened,
    HalfOfConnect,
    ConnectUnanswered,
    HalfOfSubscribe,
    HalfOfSend,
    Subscribed,
    SubscribeUnanswered,
    SendUnanswered,
    InTransactions,
    /// No delivery is acknowledged, but the `ACK` of one is in an open transaction.
    AcknowledgedInTransaction,
    /// One delivery is acknowledged, and the others are not.
    Acknowledged,
    /// An endless stream sends messages, and the client does not read them.
    Flooded,
}

const PHASES: [Phase; 12] = [
    Phase::Opened,
    Phase::HalfOfConnect,
    Phase::ConnectUnanswered,
    Phase::HalfOfSubscribe,
    Phase::HalfOfSend,
    Phase::Subscribed,
    Phase::SubscribeUnanswered,
    Phase::SendUnanswered,
    Phase::InTransactions,
    Phase::AcknowledgedInTransaction,
    Phase::Acknowledged,
    Phase::Flooded,
];

/// The number of combinations of a phase and an end. So many sessions in a row cover each of them once.
const CASES: usize = PHASES.len() * 3;

/// A config in which the server waits for clients that read late: on a loaded machine, a client may need seconds to read
/// the megabytes of an endless stream before the close.
fn patient() -> Config {
    Config::default()
        .linger_timeout(TIMEOUT)
        .close_timeout(TIMEOUT)
}

/// Runs the session with this number, from its connection to its end.
async fn run_session(server: &Server, number: usize) {
    let mut rng = Rng::with_seed(SEED + number as u64);
    let is_websocket = rng.bool();
    let end = [End::Disconnect, End::Fin, End::Reset][number % 3];
    let phase = PHASES[number / 3 % PHASES.len()];
    let transport = if is_websocket {
        Transport::TcpWebSocket
    } else {
        Transport::Tcp
    };
    let mut client = match end {
        End::Reset => server.open_resetting(is_websocket, number).await,
        _ => server.open(transport, number).await,
    };
    if end != End::Disconnect && stop_before_connected(&mut client, phase).await {
        return;
    }
    let versions = [Version::V1_0, Version::V1_1, Version::V1_2];
    client.connect(versions[rng.usize(..3)]).await;
    enter(&mut client, phase).await;
    match end {
        End::Disconnect => disconnect(&mut client, phase).await,
        End::Fin => {
            send_half_of_frame(&mut client, phase).await;
            client.shutdown().await;
            // If the client does not read the rest, dropping it resets the connection.
            if rng.bool() {
                while let Received::Frame(_) = next(&mut client).await {}
            }
        }
        End::Reset => send_half_of_frame(&mut client, phase).await,
    }
}

/// Brings the session into a phase before `CONNECTED` and returns true, or returns false if the phase is a later one.
async fn stop_before_connected(client: &mut Client, phase: Phase) -> bool {
    let bytes = match phase {
        Phase::Opened => "",
        Phase::HalfOfConnect => "CONNECT\naccept-ver",
        Phase::ConnectUnanswered => "CONNECT\naccept-version:1.2\n\n\0",
        _ => return false,
    };
    if !bytes.is_empty() {
        client.send_bytes(bytes).await;
    }
    true
}

/// Sends half of a frame if the phase ends with one.
async fn send_half_of_frame(client: &mut Client, phase: Phase) {
    let bytes = match phase {
        Phase::HalfOfSubscribe => "SUBSCRIBE\nid:half\ndestination:/ne",
        Phase::HalfOfSend => "SEND\ndestination:/news\ncontent-length:100\n\nhalf of",
        _ => return,
    };
    client.send_bytes(bytes).await;
}

/// Sends a `DISCONNECT`, and waits for its receipt and the close.
async fn disconnect(client: &mut Client, phase: Phase) {
    let id = client.request(frames::disconnect()).await;
    loop {
        match next(client).await {
            Received::Frame(frame) if frame.command == Command::Message => {}
            Received::Frame(frame) if frame.command == Command::Receipt => {
                assert_eq!(frame.headers.get("receipt-id"), Some(&*id));
                break;
            }
            other => panic!("{phase:?}: expected a RECEIPT, received {other:?}"),
        }
    }
    client.expect_close(1000).await;
}

/// Brings a connected session into the phase.
async fn enter(client: &mut Client, phase: Phase) {
    match phase {
        Phase::Subscribed => client.receipt(frames::subscribe("n", "/news")).await,
        Phase::SubscribeUnanswered => client.send(frames::subscribe("s", "/late")).await,
        Phase::SendUnanswered => {
            for _ in 0..2 {
                client.send(frames::send("/think", "")).await;
            }
        }
        Phase::InTransactions => {
            client.send(frames::transaction(Command::Begin, "t")).await;
            let held = frames::send("/think", "held").with_header("transaction", "t");
            client.send(held).await;
            client
                .receipt(frames::transaction(Command::Begin, "u"))
                .await;
        }
        Phase::AcknowledgedInTransaction => acknowledge(client, true).await,
        Phase::Acknowledged => acknowledge(client, false).await,
        Phase::Flooded => {
            client.send(frames::subscribe("f", "/flood")).await;
            client.expect(Command::Message).await;
        }
        _ => client.receipt(frames::send("/news", "hello")).await,
    }
}

/// Subscribes to jobs, and acknowledges the first of them.
async fn acknowledge(client: &mut Client, is_in_transaction: bool) {
    let mode = match client.version() {
        Version::V1_0 => "client",
        _ => "client-individual",
    };
    client.send(frames::transaction(Command::Begin, "t")).await;
    client
        .send(frames::subscribe_with_ack("j", "/jobs", mode))
        .await;
    let message = client.expect(Command::Message).await;
    let (name, header) = match client.version() {
        Version::V1_2 => ("id", "ack"),
        _ => ("message-id", "message-id"),
    };
    let mut ack = Frame::new(Command::Ack)
        .with_header(name, message.headers.get(header).unwrap())
        .with_header("subscription", "j");
    if is_in_transaction {
        ack = ack.with_header("transaction", "t");
    }
    client.send(ack).await;
}

/// Runs the sessions with these numbers, and checks that nothing remains of them: only `tasks` tasks still run.
async fn churn(server: &Server, app: &TestApp, numbers: Range<usize>, tasks: usize) {
    stream::iter(numbers)
        .for_each_concurrent(CONCURRENT, |number| run_session(server, number))
        .await;
    until("the tasks of all sessions have ended", || {
        Handle::current().metrics().num_alive_tasks() == tasks
    })
    .await;
    assert_eq!(server.sessions().len(), 0);
    app.check();
}

#[test]
fn ended_sessions_leave_no_tasks_and_no_memory() {
    const WARM_UP: usize = 10 * CASES;
    let count = usual_or_soak(720, 20_000);
    // A single thread, because allocations are counted by thread.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let app = TestApp::default();
    let server = runtime.block_on(Server::start(|| app.router(), patient()));
    // Until the server has started its own tasks.
    runtime.block_on(tokio::task::yield_now());
    let tasks = runtime.metrics().num_alive_tasks();
    runtime.block_on(churn(&server, &app, 0..WARM_UP, tasks));
    let live = allocation_counter::measure(|| {
        runtime.block_on(churn(&server, &app, WARM_UP..WARM_UP + count, tasks));
    });
    // The runtime releases sockets in batches of 16, so up to 16 allocations may belong to earlier or later sessions.
    // Its queues keep their size. If a single case leaked an allocation, there would be more than 16.
    assert!(
        live.count_current.abs() < 16 && count / CASES > 16,
        "{live:?}"
    );
    // A queue that grew in the warm-up may have shrunk since, so there may also be fewer bytes than before.
    assert!(live.bytes_current <= 8 << 10, "{live:?}");
    let counts = &app.counts;
    let (created, acknowledged) = (get(&counts.created), get(&counts.acknowledged));
    assert!(
        acknowledged > 0 && acknowledged < created,
        "{acknowledged} of {created} deliveries were acknowledged"
    );
    println!(
        "{} connections, {} sessions, {created} deliveries; {} allocations of {} MB in the last {count}, of which {} \
         allocations of {} bytes remain",
        WARM_UP + count,
        get(&counts.connects),
        live.count_total,
        live.bytes_total / 1_000_000,
        live.count_current,
        live.bytes_current
    );
}
