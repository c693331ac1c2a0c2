//! STOMP clients of a broker, over in-memory streams.

#![allow(dead_code, reason = "no test program uses all helpers")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use stomp_broker::{Allow, Broker, Config, EngineFuture};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_session::{BoxError, Connected, Peer, Principal, Request, Response, Session};
use stomp_socket::{Inbound, Outbound, Socket};
use tokio::{task::JoinHandle, time::timeout};
use tower::Service;

/// Broker settings under which all clients may send.
pub(crate) fn open() -> Config {
    let mut config = Config::default();
    config.send = Allow::Everybody;
    config
}

/// A connected client, and the task of its session.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) connection: JoinHandle<()>,
    receipts: u64,
}

impl Client {
    /// Connects to a broker without other services.
    pub(crate) async fn of(broker: &Broker) -> Client {
        Client::with(broker.clone(), Arc::default()).await
    }

    /// Connects under the name of a principal.
    pub(crate) async fn named(broker: &Broker, name: &str) -> Client {
        Client::with(Named(broker.clone(), Principal::new(name)), Arc::default()).await
    }

    /// Connects to any service.
    pub(crate) async fn with<S>(service: S, config: Arc<stomp_session::Config>) -> Client
    where
        S: Service<Request, Response = Response, Error = BoxError, Future: Send> + Send + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (_, _, connection) = Session::new(
            Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
            config,
        );
        let connection = tokio::spawn(connection.run(service));
        let socket = Socket::over_byte_stream(theirs, Peer::default(), &Default::default());
        let mut client = Client {
            socket,
            connection,
            receipts: 0,
        };
        client
            .send(Frame::new(Command::Connect).with_header("accept-version", "1.2"))
            .await;
        client.gets(Command::Connected).await;
        client.socket.resume(Version::V1_2, Limits::default());
        client
    }

    /// Sends a frame. Returns false if the connection has ended.
    pub(crate) async fn try_send(&mut self, frame: Frame) -> bool {
        self.socket.send(Outbound::Frame(frame)).await.is_ok()
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        assert!(self.try_send(frame).await);
    }

    /// The next frame. `None` if the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            match timeout(Duration::from_secs(1_000), self.socket.next())
                .await
                .expect("neither a frame nor an end arrived in time")?
            {
                Inbound::Frame(frame) => return Some(frame),
                Inbound::End(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) async fn gets(&mut self, command: Command) -> Frame {
        let frame = self
            .next()
            .await
            .unwrap_or_else(|| panic!("the connection ended instead of a {command}"));
        assert_eq!(frame.command, command, "{frame:?} {:?}", frame.body);
        frame
    }

    pub(crate) async fn gets_message(&mut self, body: &str) -> Frame {
        let message = self.gets(Command::Message).await;
        assert_eq!(message.body, body, "{message:?}");
        message
    }

    pub(crate) async fn gets_error(&mut self, code: &str) -> Frame {
        let error = self.gets(Command::Error).await;
        assert_eq!(error.headers.get("message"), Some(code), "{error:?}");
        error
    }

    /// Sends a frame. Checks that the next frame is its receipt.
    pub(crate) async fn asks(&mut self, frame: Frame) {
        let receipt = self.receipt();
        self.send(frame.with_header("receipt", &receipt)).await;
        assert_eq!(
            self.gets(Command::Receipt).await.headers.get("receipt-id"),
            Some(&*receipt)
        );
    }

    /// Sends a frame. Checks that the next frame is an error for it.
    pub(crate) async fn is_refused(&mut self, frame: Frame, code: &str) {
        let receipt = self.receipt();
        self.send(frame.with_header("receipt", &receipt)).await;
        assert_eq!(
            self.gets_error(code).await.headers.get("receipt-id"),
            Some(&*receipt)
        );
    }

    fn receipt(&mut self) -> String {
        self.receipts += 1;
        format!("r{}", self.receipts)
    }

    /// Checks that no frame arrives.
    pub(crate) async fn gets_nothing(&mut self) {
        let item = timeout(Duration::from_millis(1), self.socket.next()).await;
        assert!(item.is_err(), "{item:?}");
    }

    pub(crate) async fn subscribes(&mut self, id: &str, destination: &str) {
        self.asks(subscribe(id, destination)).await;
    }

    pub(crate) async fn consumes(&mut self, id: &str, destination: &str) {
        self.asks(subscribe(id, destination).with_header("ack", "client-individual"))
            .await;
    }

    pub(crate) async fn sends(&mut self, destination: &str, body: &str) {
        self.asks(send(destination, body)).await;
    }

    pub(crate) async fn acks(&mut self, message: &Frame) {
        self.asks(answer(Command::Ack, message)).await;
    }

    /// Refuses a message, without a receipt: the message may return before that.
    pub(crate) async fn nacks(&mut self, message: &Frame) {
        self.send(answer(Command::Nack, message)).await;
    }

    /// Breaks the connection, without DISCONNECT.
    pub(crate) async fn breaks_off(self) {
        self.connection.abort();
        let _ = self.connection.await;
    }
}

pub(crate) fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with_header("id", id)
        .with_header("destination", destination)
}

pub(crate) fn unsubscribe(id: &str) -> Frame {
    Frame::new(Command::Unsubscribe).with_header("id", id)
}

pub(crate) fn send(destination: &str, body: &str) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", destination)
        .with_body(body.to_owned())
}

pub(crate) fn answer(command: Command, message: &Frame) -> Frame {
    Frame::new(command).with_header(
        "id",
        message
            .headers
            .get("ack")
            .expect("the message needs no ACK"),
    )
}

pub(crate) fn in_transaction(frame: Frame) -> Frame {
    frame.with_header("transaction", "t")
}

pub(crate) fn transaction(command: Command) -> Frame {
    in_transaction(Frame::new(command))
}

/// A broker that accepts every client under one name.
#[derive(Clone)]
struct Named(Broker, Principal);

impl Service<Request> for Named {
    type Response = Response;
    type Error = BoxError;
    type Future = EngineFuture<Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> EngineFuture<Response> {
        match request.command() {
            Command::Connect => EngineFuture::ready(Ok::<_, BoxError>(Response::Connected(
                Connected::from(self.1.clone()),
            ))),
            _ => self.0.call(request),
        }
    }
}

/// A pseudo-random generator: the same numbers for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // Xorshift, by Marsaglia.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// Returns the second size if `SOAK=1` is set, else the first.
pub(crate) fn size(usual: usize, soak: usize) -> usize {
    if std::env::var_os("SOAK").is_some_and(|value| value == "1") {
        soak
    } else {
        usual
    }
}
