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
    socket::{Config, Peer, Socket},
};

/// The number of requests that the client sends at once, as busy clients do.
const BATCH: usize = 16;

async fn handler() {}

#[test]
fn a_send_with_a_receipt_makes_at_most_three_allocations() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut client = runtime.block_on(connect(Router::new().send("/echo", handler)));
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
    let each = counted.count_total as f64 / (rounds * BATCH) as f64;
    println!("{each:.2} allocations for a SEND with its RECEIPT");
    assert!(each <= 3.0, "{each} allocations");
    assert!(answers.ends_with(b"RECEIPT\nreceipt-id:7\n\n\0"));
}

/// Runs a session of these routes, and returns the client's end of its WebSocket, connected.
async fn connect(router: Router) -> DuplexStream {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let socket = Socket::over_websocket(server, b"", Peer::default(), &Config::default());
    let (_, _, connection) = Session::new(socket, webstomp::session::Config::default());
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
