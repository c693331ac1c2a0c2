//! Sessions and their clients, in memory.

use futures_util::{Stream, StreamExt, stream};
use std::{future::ready, sync::Arc};
use stomp_frame::Version;
use stomp_session::{
    BacklogConfig, BoxError, Config, Connection, Delivery, Message, NotSubscribed, Peer, Request,
    Requests, Response, Session, Topic,
};
use stomp_socket::Socket;
use stomp_testing::{Client, soon};
use tokio::task::{JoinHandle, yield_now};
use tower::Service;

pub(crate) use stomp_frame::{Command, Frame};
pub(crate) use stomp_testing::frames::*;

pub(crate) type Answer = Result<Response, BoxError>;

/// Bytes that one end of a connection can write before the other must read.
pub(crate) const PIPE: usize = 64 << 10;

/// A session over a byte stream, and its client, which is not connected yet.
pub(crate) fn pair(
    config: impl Into<Arc<Config>>,
    pipe: usize,
) -> (Session, Requests, Connection, Client) {
    let (near, far) = tokio::io::duplex(pipe);
    let socket = Socket::over_byte_stream(far, Peer::default(), &Default::default());
    let (session, requests, connection) = Session::new(socket, config);
    let client = Client::over_byte_stream(near);
    (session, requests, connection, client)
}

/// A session over a WebSocket, and its client, which is not connected yet.
pub(crate) fn websocket_pair(
    config: impl Into<Arc<Config>>,
    pipe: usize,
) -> (Session, Requests, Connection, Client) {
    let (near, far) = tokio::io::duplex(pipe);
    let socket = Socket::over_websocket(far, b"", Peer::default(), &Default::default());
    let (session, requests, connection) = Session::new(socket, config);
    (session, requests, connection, Client::over_websocket(near))
}

/// A session that runs `service`, and its client, which is not connected yet.
pub(crate) fn run<S>(
    config: impl Into<Arc<Config>>,
    service: S,
) -> (Session, Client, JoinHandle<()>)
where
    S: Service<Request, Response = Response, Error = BoxError, Future: Send> + Send + 'static,
{
    let (session, _, connection, client) = pair(config, PIPE);
    (session, client, tokio::spawn(connection.run(service)))
}

/// A session that answers each request with `handler`, and its connected client.
pub(crate) async fn start(
    config: impl Into<Arc<Config>>,
    handler: impl Fn(&Request) -> Answer + Send + 'static,
) -> (Session, Client, JoinHandle<()>) {
    let service = tower::service_fn(move |request| ready(handler(&request)));
    let (session, mut client, connection) = run(config, service);
    client.connect(Version::V1_2).await;
    (session, client, connection)
}

/// A session whose requests the test answers, and its connected client.
pub(crate) async fn start_with_requests() -> (Session, Requests, Client, JoinHandle<()>) {
    let (session, mut requests, connection, mut client) = pair(Config::default(), PIPE);
    let connection = tokio::spawn(connection);
    log_in(&mut requests, &mut client).await;
    (session, requests, client, connection)
}

/// Connects a client, and answers the requests for it.
pub(crate) async fn log_in(requests: &mut Requests, client: &mut Client) {
    client.send(connect(Version::V1_2)).await;
    accept_next(requests, Command::Connect).await;
    client.expect(Command::Connected).await;
    accept_next(requests, Command::Connected).await;
}

/// Answers the next request, which must have this command, with success.
pub(crate) async fn accept_next(requests: &mut Requests, command: Command) {
    let (request, responder) = requests.next().await.unwrap();
    assert_eq!(request.command(), command);
    responder.ok();
}

/// A handler that accepts everything.
pub(crate) fn accept(_: &Request) -> Answer {
    Ok(Response::Done)
}

/// A handler that answers `SUBSCRIBE` with the stream that `streams` returns for its destination.
pub(crate) fn streaming<S>(
    streams: impl Fn(&str) -> S + Send + 'static,
) -> impl Fn(&Request) -> Answer + Send
where
    S: Stream<Item = Result<Delivery, BoxError>> + Send + 'static,
{
    move |request| match request.command() {
        Command::Subscribe => Ok(Response::observe(streams(request.destination().as_str()))),
        _ => Ok(Response::Done),
    }
}

/// Waits until the task of a connection has finished.
pub(crate) async fn finished(connection: JoinHandle<()>) {
    soon(connection).await.unwrap();
}

/// Lets the other tasks run until they can do nothing more.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// A pointer that a stream holds. Its count shows if the stream is dropped.
pub(crate) type Held = Arc<()>;

/// A stream of these messages that never ends.
pub(crate) fn open_stream(texts: &[&'static str]) -> (impl Stream<Item = Message> + use<>, Held) {
    let (held, texts) = (Arc::new(()), texts.to_vec());
    let inside = Arc::clone(&held);
    let stream = stream::iter(texts)
        .chain(stream::pending())
        .map(move |text| {
            let _inside = &inside;
            Message::new(text)
        });
    (stream, held)
}

pub(crate) fn is_dropped(held: &Held) -> bool {
    Arc::strong_count(held) == 1
}

pub(crate) fn is_not_subscribed(result: Result<(), BoxError>) -> bool {
    result.is_err_and(|error| error.is::<NotSubscribed>())
}

/// A topic whose mailboxes never overflow.
pub(crate) fn unbounded_topic() -> Topic<String> {
    Topic::with_backlogs(
        BacklogConfig::default()
            .max_messages(usize::MAX)
            .max_bytes(usize::MAX),
    )
}
