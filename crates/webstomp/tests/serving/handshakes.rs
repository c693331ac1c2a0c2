//! WebSocket handshakes, and HTTP requests that are not handshakes.

use crate::{get, mount, open, serve, shop, upgrade};
use stomp_testing::{frames, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use webstomp::{
    App,
    frame::{HeartBeat, Version},
    session::Config,
};

const SUBPROTOCOL: &str = "sec-websocket-protocol";

#[tokio::test]
async fn the_handshake_selects_the_highest_version() {
    let address = serve(App::new()).await;
    for offer in ["v12.stomp", "v10.stomp, v11.stomp, v12.stomp, mqtt"] {
        let mut client = upgrade(address, &[(SUBPROTOCOL, offer)]).await.unwrap();
        let selected = format!("\r\n{SUBPROTOCOL}: v12.stomp\r\n");
        let head = client.response_head().to_ascii_lowercase();
        assert!(head.contains(&selected), "{head}");
        let connected = client.connect(Version::V1_2).await;
        assert_eq!(connected.headers.get("version"), Some("1.2"));
    }
}

#[tokio::test]
async fn the_handshake_selects_no_version_if_none_is_offered() {
    let client = open(serve(App::new()).await).await;
    let head = client.response_head().to_ascii_lowercase();
    assert!(!head.contains(SUBPROTOCOL), "{head}");
}

#[tokio::test]
async fn a_plain_http_request_gets_426_with_an_explanation() {
    let response = get(serve(App::new()).await, "/").await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\nupgrade: websocket"), "{head}");
    assert_eq!(body, "This address speaks STOMP over WebSocket.\n");
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_connect() {
    let address = serve(App::new()).await;
    let foreign = [("origin", "https://evil.example")];
    let response = upgrade(address, &foreign).await.unwrap_err();
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    let own = [("origin", "http://localhost")];
    assert!(upgrade(address, &own).await.is_ok());
}

/// A client may send its first frames before it has got the response to its handshake.
#[tokio::test]
async fn frames_right_after_the_handshake_are_handled() {
    let frames =
        "CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:/sink\nreceipt:7\n\n\0DISCONNECT\n\n\0";
    let message = stomp_testing::websocket::frame(0x81, frames.as_bytes());
    let handshake = "GET /stomp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let bytes = [handshake.as_bytes(), &message].concat();
    for address in [serve(shop()).await, mount(shop()).await] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(&1000_u16.to_be_bytes()) {
            let length = soon(stream.read_buf(&mut answer)).await.unwrap();
            assert_ne!(length, 0, "{}", answer.escape_ascii());
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let connected = answer.find("CONNECTED\nversion:1.2\n");
        let receipt = answer.find("RECEIPT\nreceipt-id:7\n");
        assert!(connected.is_some() && connected < receipt, "{answer}");
    }
}

#[tokio::test]
async fn the_configured_heart_beats_are_negotiated_with_the_client() {
    let config = Config::default().heart_beat(HeartBeat {
        send: 5_000,
        receive: 7_000,
    });
    for (app, own) in [
        (App::new(), "1000,1000"),
        (App::new().session_config(config), "5000,7000"),
    ] {
        let address = serve(app).await;
        for (wish, expected) in [
            (Some("1,1"), own),
            (Some("10000,10000"), "10000,10000"),
            (Some("10000, 10000"), "10000,10000"),
            (Some("0,0"), "0,0"),
            (None, "0,0"),
        ] {
            let mut frame = frames::connect(Version::V1_2);
            if let Some(wish) = wish {
                frame = frame.with_header("heart-beat", wish);
            }
            let connected = open(address).await.connect_with(frame).await;
            let heart_beat = connected.headers.get("heart-beat");
            assert_eq!(heart_beat, Some(expected), "for {wish:?}");
        }
    }
}
