//! Tests for the client. The servers only read and write bytes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use stomp_frame::{Command, Version};
use stomp_testing::{Client, Received, frames, websocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const CONNECTED: &[u8] = b"CONNECTED\nversion:1.2\n\n\0\n";

async fn read(server: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    server.read_buf(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_client_over_a_byte_stream_receives_frames_and_each_heart_beat() {
    let (near, mut server) = duplex(1024);
    let mut client = Client::over_byte_stream(near);
    server.write_all(CONNECTED).await.unwrap();
    client.connect(Version::V1_2).await;
    assert_eq!(client.version(), Version::V1_2);
    assert_eq!(
        read(&mut server).await,
        b"CONNECT\naccept-version:1.2\nhost:localhost\n\n\0"
    );
    let answer = b"\n\nMESSAGE\nsubscription:0\n\n7\0\n\nRECEIPT\nreceipt-id:receipt-1\n\n\0";
    server.write_all(answer).await.unwrap();
    assert!(matches!(client.receive().await, Received::HeartBeat));
    assert!(matches!(client.receive().await, Received::HeartBeat));
    client.expect_message_for("0", "7").await;
    client.receipt(frames::disconnect()).await;
    assert!(
        read(&mut server)
            .await
            .starts_with(b"DISCONNECT\nreceipt:receipt-1\n\n\0")
    );
    client.expect_nothing().await;
    drop(server);
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_over_a_websocket_masks_frames_and_answers_pings_and_closes() {
    let (near, mut server) = duplex(1024);
    let mut client = Client::over_websocket(near);
    client.send_bytes("hello").await;
    assert_eq!(
        read(&mut server).await,
        websocket::frame(websocket::FIN | websocket::TEXT, b"hello")
    );
    let mut bytes = vec![0x82, u8::try_from(CONNECTED.len()).unwrap()];
    bytes.extend(CONNECTED);
    bytes.extend(b"\x89\x01p\x88\x02\x03\xe9");
    for byte in bytes {
        server.write_all(&[byte]).await.unwrap();
    }
    client.expect(Command::Connected).await;
    assert!(matches!(client.receive().await, Received::HeartBeat));
    assert!(matches!(client.receive().await, Received::Ping));
    assert_eq!(
        read(&mut server).await,
        websocket::frame(websocket::FIN | websocket::PONG, b"p")
    );
    let server = tokio::spawn(async move { read(&mut server).await });
    client.expect_close(1001).await;
    assert_eq!(
        server.await.unwrap(),
        websocket::frame(websocket::FIN | websocket::CLOSE, b"\x03\xe9")
    );
}

#[tokio::test(start_paused = true)]
async fn upgrade_returns_the_response_if_the_handshake_is_refused() {
    let (near, mut server) = duplex(1024);
    server
        .write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\nfull")
        .await
        .unwrap();
    let refusal = Client::upgrade(near, "/stomp", &[("origin", "http://a")]).await;
    assert_eq!(
        refusal.unwrap_err(),
        "HTTP/1.1 503 Service Unavailable\r\n\r\nfull"
    );
    let request = String::from_utf8(read(&mut server).await).unwrap();
    assert!(request.starts_with("GET /stomp HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("origin: http://a\r\n\r\n"), "{request}");
}
