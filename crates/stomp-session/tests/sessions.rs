//! Who is connected, how they are found, and what ends with them.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_session::{
    BoxError, CloseCode, Config, Connected, Delivery, Message, Peer, Principal, Request, Response,
    Session, Sessions, Settlement,
};
use stomp_socket::{Inbound, Outbound, Socket};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tower::service_fn;

struct Client {
    socket: Socket,
    connection: JoinHandle<()>,
}

impl Client {
    /// A client of a service that names it by its `login`, and agrees to everything.
    async fn connect(config: Arc<Config>, login: &str) -> Client {
        let service = service_fn(
            async |request: Request| match request.headers().get("login") {
                Some(login) => Ok(Response::Connected(Connected::from(Principal::new(login)))),
                None => Ok::<_, BoxError>(Response::Done),
            },
        );
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let socket = Socket::over_byte_stream(ours, Peer::default(), &Default::default());
        let (_, _, connection) = Session::new(socket, config);
        let connection = tokio::spawn(connection.run(service));
        let socket = Socket::over_byte_stream(theirs, Peer::default(), &Default::default());
        let mut client = Client { socket, connection };
        let connect = Frame::new(Command::Connect)
            .with_header("accept-version", "1.2")
            .with_header("login", login);
        client.send(connect).await;
        assert_eq!(client.next().await.unwrap().command, Command::Connected);
        client.socket.resume(Version::V1_2, Limits::default());
        client
    }

    async fn send(&mut self, frame: Frame) {
        self.socket.send(Outbound::Frame(frame)).await.unwrap();
    }

    async fn subscribe(&mut self, destination: &str, ack: &str) {
        let frame = Frame::new(Command::Subscribe)
            .with_header("id", "0")
            .with_header("destination", destination);
        self.send(frame.with_header("ack", ack).with_header("receipt", "s"))
            .await;
        assert_eq!(self.next().await.unwrap().command, Command::Receipt);
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            match timeout(Duration::from_secs(100), self.socket.next())
                .await
                .unwrap()?
            {
                Inbound::Frame(frame) => return Some(frame),
                Inbound::End(_) => return None,
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_found_while_they_are_connected() {
    let config = Arc::new(Config::default());
    let sessions = config.sessions.clone();
    let mut ann = Client::connect(Arc::clone(&config), "ann").await;
    let ann_too = Client::connect(Arc::clone(&config), "ann").await;
    let bob = Client::connect(Arc::clone(&config), "bob").await;
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions.all().len(), 3);
    let anns = sessions.for_principal(&Principal::new("ann"));
    assert_eq!(anns.len(), 2);
    let [first, second] = [anns[0].id(), anns[1].id()];
    assert_ne!(first, second);
    assert_eq!(
        sessions.get(first).unwrap().principal(),
        Some(&Principal::new("ann"))
    );
    assert!(sessions.for_principal(&Principal::new("eve")).is_empty());

    assert!(
        sessions
            .send(&Principal::new("ann"), "/notices", "nobody subscribed")
            .is_err()
    );
    ann.subscribe("/notices", "auto").await;
    sessions
        .send(&Principal::new("ann"), "/notices", "hello")
        .unwrap();
    assert_eq!(ann.next().await.unwrap().body, "hello");

    assert_eq!(sessions.close(&Principal::new("ann"), CloseCode::Policy), 2);
    for client in [ann, ann_too] {
        let Client { socket, connection } = client;
        drop(socket);
        connection.await.unwrap();
    }
    assert_eq!(sessions.len(), 1);
    assert!(sessions.get(first).is_none());
    assert!(sessions.for_principal(&Principal::new("ann")).is_empty());
    bob.connection.abort();
    assert!(bob.connection.await.unwrap_err().is_cancelled());
    assert!(sessions.is_empty(), "dropping a connection is an end, too");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_let_in_is_in_no_registry() {
    let sessions = Sessions::default();
    let mut config = Config::default();
    config.sessions = sessions.clone();
    let service = service_fn(async |_| Err::<Response, BoxError>("nobody".into()));
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (_, _, connection) = Session::new(
        Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        config,
    );
    let connection = tokio::spawn(connection.run(service));
    let mut client = Client {
        socket: Socket::over_byte_stream(theirs, Peer::default(), &Default::default()),
        connection,
    };
    client.send(Frame::new(Command::Connect)).await;
    assert_eq!(client.next().await.unwrap().command, Command::Error);
    assert!(sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_id_is_told_to_the_client() {
    let config = Arc::new(Config::default());
    let mut client = Client::connect(Arc::clone(&config), "ann").await;
    let id = config.sessions.all()[0].id();
    client
        .send(Frame::new(Command::Disconnect).with_header("receipt", "1"))
        .await;
    assert_eq!(client.next().await.unwrap().command, Command::Receipt);
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (session, mut requests, connection) = Session::new(
        Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        config,
    );
    tokio::spawn(connection);
    let mut socket = Socket::over_byte_stream(theirs, Peer::default(), &Default::default());
    socket
        .send(Outbound::Frame(Frame::new(Command::Connect)))
        .await
        .unwrap();
    requests.next().await.unwrap().1.ok();
    let Some(Inbound::Frame(connected)) = socket.next().await else {
        panic!()
    };
    assert_eq!(
        connected.headers.get("session"),
        Some(&*session.id().to_string())
    );
    assert_ne!(session.id(), id);
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_logged_in_with_expires_unless_it_is_renewed() {
    let config = Arc::new(Config::default());
    let mut client = Client::connect(Arc::clone(&config), "ann").await;
    client.subscribe("/a", "auto").await;
    let session = config.sessions.all().remove(0);
    let start = Instant::now();
    session.expires_at((start + Duration::from_secs(10)).into_std());
    tokio::time::sleep(Duration::from_secs(9)).await;
    session.expires_at((start + Duration::from_secs(20)).into_std());
    let error = client.next().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    assert_eq!(error.headers.get("message"), Some("credentials-expired"));
    assert!(session.message("/a", "too late").is_err());
    assert_eq!(client.next().await, None);
}

/// What a client with this many acknowledged messages leaves behind, and how it ends.
async fn settlements(
    acks: usize,
    end: impl AsyncFnOnce(Client, Session),
) -> Vec<(usize, Settlement)> {
    let settled = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&settled);
    let streams = service_fn(move |request: Request| {
        let log = Arc::clone(&log);
        async move {
            if request.command() != Command::Subscribe {
                return Ok::<_, BoxError>(Response::Done);
            }
            Ok(Response::observe(futures_util::stream::iter((0..6).map(
                move |number| {
                    let log = Arc::clone(&log);
                    let delivery = Delivery::new(Message::new(number.to_string()));
                    delivery.on_settled(move |settlement| {
                        log.lock().unwrap().push((number, settlement))
                    })
                },
            ))))
        }
    });
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let socket = Socket::over_byte_stream(ours, Peer::default(), &Default::default());
    let (session, _, connection) = Session::new(socket, Config::default());
    let connection = tokio::spawn(connection.run(streams));
    let mut client = Client {
        socket: Socket::over_byte_stream(theirs, Peer::default(), &Default::default()),
        connection,
    };
    client
        .send(Frame::new(Command::Connect).with_header("accept-version", "1.2"))
        .await;
    assert_eq!(client.next().await.unwrap().command, Command::Connected);
    client.socket.resume(Version::V1_2, Limits::default());
    let subscribe = Frame::new(Command::Subscribe)
        .with_header("id", "0")
        .with_header("destination", "/queue");
    client
        .send(
            subscribe
                .with_header("ack", "client-individual")
                .with_header("prefetch-count", "3"),
        )
        .await;
    for _ in 0..acks {
        let message = client.next().await.unwrap();
        let id = message.headers.get("ack").unwrap();
        client
            .send(
                Frame::new(Command::Ack)
                    .with_header("id", id)
                    .with_header("receipt", "a"),
            )
            .await;
        while client.next().await.unwrap().command != Command::Receipt {}
    }
    tokio::task::yield_now().await;
    end(client, session).await;
    let settled = settled.lock().unwrap();
    settled.clone()
}

#[tokio::test(start_paused = true)]
async fn each_delivery_is_settled_once_however_its_session_ends() {
    use Settlement::{Abandoned, Acked};
    let expected = [(0, Acked), (1, Abandoned), (2, Abandoned), (3, Abandoned)];
    let closed = settlements(1, async |client, session| {
        session.close(CloseCode::Normal);
        drop(client.socket);
        client.connection.await.unwrap();
    });
    assert_eq!(closed.await, expected);
    let lost = settlements(1, async |client, _| {
        drop(client.socket);
        client.connection.await.unwrap();
    });
    assert_eq!(lost.await, expected);
    let dropped = settlements(1, async |client, _| {
        client.connection.abort();
        assert!(client.connection.await.unwrap_err().is_cancelled());
    });
    assert_eq!(dropped.await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_handles_send_waits_for_credit_too() {
    let mut config = Config::default();
    config.max_unacked_messages = 1;
    let config = Arc::new(config);
    let mut client = Client::connect(Arc::clone(&config), "ann").await;
    client.subscribe("/a", "client").await;
    let session = config.sessions.all().remove(0);
    for text in ["one", "two", "three"] {
        session.message("/a", text).unwrap();
    }
    for text in ["one", "two", "three"] {
        let message = client.next().await.unwrap();
        assert_eq!(message.body, text);
        let silence = timeout(Duration::from_secs(1), client.socket.next()).await;
        assert!(
            !matches!(silence, Ok(Some(Inbound::Frame(_)))),
            "{silence:?}"
        );
        client
            .send(Frame::new(Command::Ack).with_header("id", message.headers.get("ack").unwrap()))
            .await;
    }
    session.message("/a", "four").unwrap();
    assert_eq!(client.next().await.unwrap().body, "four");
}
