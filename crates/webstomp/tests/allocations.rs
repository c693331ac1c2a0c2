//! What a frame costs in allocations, on the way from the peer's bytes to the answer's.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use webstomp::{
    Router, Session,
    frame::{Command, Frame, Version},
    socket::{Config, Peer, Socket},
};

/// So many requests are sent at once, as busy clients do.
const BATCH: usize = 16;

async fn handler() {}

#[test]
fn a_send_with_a_receipt_costs_at_most_three() {
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
    let request = masked(&request.to_bytes(Version::V1_2).unwrap());
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
    println!("{each:.2} allocations a SEND with its RECEIPT");
    assert!(each <= 3.0, "{each}");
    assert!(answers.ends_with(b"RECEIPT\nreceipt-id:7\n\n\0"));
}

/// The client's end of a WebSocket whose server is connected and runs these routes.
async fn connect(router: Router) -> DuplexStream {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let socket = Socket::over_websocket(server, b"", Peer::default(), &Config::default());
    let (_, _, connection) = Session::new(socket, webstomp::session::Config::default());
    tokio::spawn(connection.run(router.build().unwrap()));
    client
        .write_all(&masked(b"CONNECT\naccept-version:1.2\n\n\0"))
        .await
        .unwrap();
    let mut answer = [0; 256];
    let length = client.read(&mut answer).await.unwrap();
    assert!(answer[2..length].starts_with(b"CONNECTED\n"));
    assert!(client.read(&mut answer).now_or_never().is_none());
    client
}

/// A WebSocket text message as a client sends it, with a mask of zeros.
fn masked(payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0x81];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => message.push(0x80 | length),
        _ => {
            message.push(0x80 | 126);
            message.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    message.extend([0; 4]);
    message.extend(payload);
    message
}
