//! A whole app and its clients, in memory: every frame goes through the HTTP upgrade and a WebSocket.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::time::Duration;
use tokio::{io::DuplexStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use webstomp::{
    App,
    frame::{Command, Frame, Version},
    server::Upgrade,
};

/// An app, mounted on a server that has no port.
pub(crate) struct Server(Upgrade);

impl Server {
    pub(crate) fn new(app: App) -> Server {
        Server(app.into_service().unwrap())
    }

    /// A client that is connected.
    pub(crate) async fn client(&self) -> Client {
        self.client_as("").await
    }

    /// A client that is connected, with this login.
    pub(crate) async fn client_as(&self, login: &str) -> Client {
        let mut client = self.open().await;
        let connect = Frame::new(Command::Connect)
            .with_header("accept-version", "1.2")
            .with_header("host", "localhost");
        client.send(connect.with_header("login", login)).await;
        client.gets(Command::Connected).await;
        client
    }

    /// A client that has said nothing yet.
    pub(crate) async fn open(&self) -> Client {
        let (near, far) = tokio::io::duplex(64 << 10);
        let service = TowerToHyperService::new(self.0.clone());
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        tokio::spawn(serving.with_upgrades());
        Client(client_async("ws://localhost/", near).await.unwrap().0)
    }
}

/// A client that speaks STOMP 1.2.
pub(crate) struct Client(WebSocketStream<DuplexStream>);

impl Client {
    pub(crate) async fn send(&mut self, frame: Frame) {
        let bytes = frame.to_bytes(Version::V1_2).unwrap();
        self.0
            .send(Message::text(String::from_utf8(bytes.to_vec()).unwrap()))
            .await
            .unwrap();
    }

    /// The next frame, or none if the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.0.next().await?.unwrap() {
                Message::Text(text) if text.as_str() != "\n" => {
                    return Some(Frame::parse(text.as_str().to_owned(), Version::V1_2).unwrap());
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) async fn gets(&mut self, command: Command) -> Frame {
        let frame = timeout(Duration::from_secs(1_000), self.next())
            .await
            .expect("it comes");
        let frame = frame.unwrap_or_else(|| panic!("the end, and no {command}"));
        assert_eq!(frame.command, command, "{frame:?} {:?}", frame.body);
        frame
    }

    /// Sends a frame and gets its receipt, and nothing before it.
    pub(crate) async fn asks(&mut self, frame: Frame) {
        self.begins(frame).await;
        self.is_answered().await;
    }

    /// Sends a frame that asks for a receipt.
    pub(crate) async fn begins(&mut self, frame: Frame) {
        self.send(frame.with_header("receipt", "7")).await;
    }

    /// Gets the receipt.
    pub(crate) async fn is_answered(&mut self) {
        assert_eq!(
            self.gets(Command::Receipt).await.headers.get("receipt-id"),
            Some("7")
        );
    }

    /// Sends a frame and is told of an error that is about it, and has this code.
    pub(crate) async fn is_refused(&mut self, frame: Frame, code: &str) -> Frame {
        self.begins(frame).await;
        let error = self.gets(Command::Error).await;
        assert_eq!(error.headers.get("message"), Some(code), "{:?}", error.body);
        assert_eq!(error.headers.get("receipt-id"), Some("7"));
        error
    }

    /// Gets nothing, however long it waits.
    pub(crate) async fn waits(&mut self) {
        let next = timeout(Duration::from_secs(5), self.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

pub(crate) fn send(destination: &str, body: &'static str) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", destination)
        .with_body(body)
}

pub(crate) fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with_header("id", id)
        .with_header("destination", destination)
}
