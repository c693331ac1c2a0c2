//! The number of allocations for one frame, from the bytes of the request to the bytes of the answer.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use stomp_testing::websocket::{FIN, TEXT, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use webstomp::{
    Router, Session,
    frame::{Command, Frame, Version},
    session::Config,
    socket::{Peer, Socket},
};

/// The number of requests that the client sends at once, as busy clients do.
const BATCH: usize = 16;

async fn handler() {}

/// Returns the allocations of a `SEND` with its `RECEIPT`.
fn allocations_of_a_send(config: Config) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let routes = Router::new().send("/echo", handler);
    let mut client = runtime.block_on(connect(routes, config));
    let request = Frame::new(Command::Send)
        .with_header("destination", "/echo")
        .with_header("receipt", "7")
        .with_header("content-type", "application/json")
        .with_header("trace-id", "0af7651916cd43dd8448eb211c80319c")
        .with_body(r#"{"order":1234567,"article":"a-1","count":12,"price":"12.50"}"#);
    let request = frame(FIN | TEXT, &request.to_bytes(Version::V1_2).unwrap());
    let requests = request.repeat(BATCH);
    let answer = 2 + b"RECEIPT\nreceipt-id:7\n\n\0".len();
    let mut answers = vec![0; answer * BATCH];
    let mut exchange = |times: usize| {
        runtime.block_on(async {
            for _ in 0..times {
                client.write_all(&requests).await.unwrap();
                client.read_exact(&mut answers).await.unwrap();
            }
        });
    };
    exchange(10);
    let rounds: usize = std::env::var("ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100);
    let counted = allocation_counter::measure(|| exchange(rounds));
    assert!(answers.ends_with(b"RECEIPT\nreceipt-id:7\n\n\0"));
    counted.count_total as f64 / (rounds * BATCH) as f64
}

#[test]
fn a_send_with_a_receipt_makes_at_most_three_allocations() {
    let each = allocations_of_a_send(Config::default());
    println!("{each:.2} allocations for a SEND with its RECEIPT");
    assert!(each <= 3.0, "{each} allocations");
}

#[test]
fn spans_of_requests_that_are_disabled_allocate_nothing() {
    // The span of the session is enabled, those of requests are not.
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::sink)
        .with_max_level(tracing::Level::INFO)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let each = allocations_of_a_send(Config::default());
    assert!(each <= 3.0, "{each} allocations");
}

#[test]
fn a_monitor_allocates_nothing() {
    struct Silent;
    impl webstomp::session::Monitor for Silent {}
    let each = allocations_of_a_send(Config::default().monitor(Silent));
    assert!(each <= 3.0, "{each} allocations");
}

#[cfg(feature = "metrics")]
mod metrics {
    use super::*;
    use ::metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };
    use std::sync::{Arc, atomic::AtomicU64};
    use webstomp::session::SessionMetrics;

    /// A recorder whose handles allocate nothing.
    struct Atomics;

    struct Sum;

    impl HistogramFn for Sum {
        fn record(&self, _: f64) {}
    }

    impl Recorder for Atomics {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(AtomicU64::new(0)))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(AtomicU64::new(0)))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(Sum))
        }
    }

    #[test]
    fn metrics_allocate_nothing_for_a_request() {
        let _guard = ::metrics::set_default_local_recorder(&Atomics);
        let each = allocations_of_a_send(Config::default().monitor(SessionMetrics::new()));
        assert!(each <= 3.0, "{each} allocations");
    }
}

/// Runs a session of these routes, and returns the client's end of its WebSocket, connected.
async fn connect(router: Router, config: Config) -> DuplexStream {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let socket = Socket::over_websocket(server, b"", Peer::default(), &Default::default());
    let (_, _, connection) = Session::new(socket, config);
    tokio::spawn(connection.run(router.build().unwrap()));
    client
        .write_all(&frame(FIN | TEXT, b"CONNECT\naccept-version:1.2\n\n\0"))
        .await
        .unwrap();
    let mut answer = [0; 256];
    let length = client.read(&mut answer).await.unwrap();
    assert!(answer[2..length].starts_with(b"CONNECTED\n"));
    assert!(client.read(&mut answer).now_or_never().is_none());
    client
}
