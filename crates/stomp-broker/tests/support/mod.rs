//! Clients of a broker, over in-memory streams.

#![allow(dead_code, reason = "no test program uses all helpers")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    task::{Context, Poll},
};
use stomp_broker::{
    Broker, Config, EngineFuture, Memory, MemoryConfig, Rules, Statistics, destination_syntax,
};
use stomp_frame::{Command, Frame, Version};
use stomp_session::{BoxError, Connected, Peer, Principal, Request, Response, Session};
use stomp_socket::Socket;
use stomp_testing::frames;
use tokio::task::JoinHandle;
use tower::Service;

/// Broker settings whose rules allow everything.
pub(crate) fn open() -> Config {
    Config::default().rules(Rules::open())
}

/// A broker whose rules allow everything, over an in-memory engine with these settings.
pub(crate) fn broker_with(memory: MemoryConfig) -> Broker {
    Broker::with_engine(open(), Memory::new(memory).unwrap()).unwrap()
}

/// The statistics of a broker with the in-memory engine, which are ready at once.
pub(crate) fn statistics_of(broker: &Broker) -> Statistics {
    broker.statistics().now_or_never().unwrap().unwrap()
}

/// A connected client, and the task of its session.
pub(crate) struct Client {
    client: stomp_testing::Client,
    session: JoinHandle<()>,
}

/// Connects to a broker without other services.
pub(crate) async fn connect(broker: &Broker) -> Client {
    connect_to(broker.clone(), Arc::default()).await
}

/// Connects under the name of a principal.
pub(crate) async fn connect_as(broker: &Broker, name: &str) -> Client {
    connect_to(Named(broker.clone(), Principal::new(name)), Arc::default()).await
}

/// Connects to any service, with these settings of the session.
pub(crate) async fn connect_to<S>(service: S, config: Arc<stomp_session::Config>) -> Client
where
    S: Service<Request, Response = Response, Error = BoxError, Future: Send> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    let socket = Socket::over_byte_stream(far, Peer::default(), &Default::default());
    let config = (*config).clone().destinations(destination_syntax());
    let (_, _, connection) = Session::new(socket, config);
    let session = tokio::spawn(connection.run(service));
    let mut client = stomp_testing::Client::over_byte_stream(near);
    client.connect(Version::V1_2).await;
    Client { client, session }
}

/// A client that is not connected yet, of any service.
pub(crate) fn open_socket<S>(service: S, is_websocket: bool) -> stomp_testing::Client
where
    S: Service<Request, Response = Response, Error = BoxError, Future: Send> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, socket) = if is_websocket {
        (
            stomp_testing::Client::over_websocket(near),
            Socket::over_websocket(far, b"", Peer::default(), &Default::default()),
        )
    } else {
        (
            stomp_testing::Client::over_byte_stream(near),
            Socket::over_byte_stream(far, Peer::default(), &Default::default()),
        )
    };
    let (_, _, connection) = Session::new(socket, Arc::<stomp_session::Config>::default());
    tokio::spawn(connection.run(service));
    client
}

/// Steps of most tests. Each awaits a receipt, unless its comment says otherwise.
impl Client {
    pub(crate) async fn publish(&mut self, destination: &str, body: &str) {
        self.receipt(frames::send(destination, body)).await;
    }

    pub(crate) async fn subscribe(&mut self, id: &str, destination: &str) {
        self.receipt(frames::subscribe(id, destination)).await;
    }

    /// Subscribes with `ack:client-individual`.
    pub(crate) async fn consume(&mut self, id: &str, destination: &str) {
        let mode = "client-individual";
        self.receipt(frames::subscribe_with_ack(id, destination, mode))
            .await;
    }

    pub(crate) async fn ack(&mut self, message: &Frame) {
        self.receipt(frames::ack(message)).await;
    }

    /// Refuses a message, without a receipt: the message may return before that.
    pub(crate) async fn nack(&mut self, message: &Frame) {
        self.send(frames::nack(message)).await;
    }

    /// Breaks the connection, without `DISCONNECT`, and waits until the session is dropped.
    pub(crate) async fn break_connection(self) {
        self.session.abort();
        let _ = self.session.await;
    }
}

impl Deref for Client {
    type Target = stomp_testing::Client;

    fn deref(&self) -> &stomp_testing::Client {
        &self.client
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut stomp_testing::Client {
        &mut self.client
    }
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
