//! Sessions whose peers have left while a request is being handled.

use crate::support::*;
use futures_util::{StreamExt, future::poll_fn};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use stomp_session::{CloseCode, Config, Message, ObserveError, Peer, Response, Session};
use stomp_socket::{Permit, Socket};
use stomp_testing::Client;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_closed_session_leaves_the_registry_before_its_handlers_end() {
    let config = Arc::new(Config::default());
    let (session, mut requests, connection, mut client) = pair(Arc::clone(&config), PIPE);
    tokio::spawn(connection);
    log_in(&mut requests, &mut client).await;
    client.request(subscribe("0", "/a")).await;
    requests.next().await.unwrap().1.ok();
    client.request(send("/slow", "")).await;
    let (_, responder) = requests.next().await.unwrap();
    assert_eq!((config.sessions.len(), session.is_closed()), (1, false));

    session.close(CloseCode::Policy);
    assert_eq!((config.sessions.len(), session.is_closed()), (0, true));
    assert!(is_not_subscribed(session.message("/a", "too late")));
    responder.ok();
    accept_next(&mut requests, Command::Unsubscribe).await;
    accept_next(&mut requests, Command::Disconnect).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_leaves_the_registry_before_its_disconnect_handler_runs() {
    type End = fn(&mut Client) -> futures_util::future::BoxFuture<'_, ()>;
    let ends: [(&str, End); 3] = [
        ("DISCONNECT", |client| {
            Box::pin(async { client.send(disconnect()).await })
        }),
        ("the end of the stream", |client| {
            Box::pin(client.shutdown())
        }),
        ("a fault", |client| {
            Box::pin(async { client.send_bytes("FAULT\n\n\0").await })
        }),
    ];
    for (name, end) in ends {
        let config = Arc::new(Config::default());
        let (session, mut requests, connection, mut client) = pair(Arc::clone(&config), PIPE);
        tokio::spawn(connection);
        log_in(&mut requests, &mut client).await;
        assert_eq!(config.sessions.len(), 1);
        end(&mut client).await;
        let (request, _responder) = requests.next().await.unwrap();
        assert_eq!(request.command(), Command::Disconnect, "{name}");
        assert_eq!(
            (config.sessions.len(), session.is_closed()),
            (0, true),
            "{name}"
        );
    }
}

/// Counts the connections that hold it.
struct CountedPermit(Arc<AtomicUsize>);

impl CountedPermit {
    fn new(count: &Arc<AtomicUsize>) -> Box<CountedPermit> {
        count.fetch_add(1, Ordering::Relaxed);
        Box::new(CountedPermit(Arc::clone(count)))
    }
}

impl Permit for CountedPermit {
    fn connected(&mut self) -> bool {
        true
    }

    fn poll_revoked(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for CountedPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_its_connection_counts_against_the_limit_of_connections() {
    let count = Arc::new(AtomicUsize::new(0));
    let (near, far) = tokio::io::duplex(PIPE);
    let socket = Socket::over_websocket(far, b"", Peer::default(), &Default::default());
    let socket = socket.with_permit(CountedPermit::new(&count));
    let (_session, mut requests, connection) = Session::new(socket, Config::default());
    let connection = tokio::spawn(connection);
    let mut client = Client::over_websocket(near);
    log_in(&mut requests, &mut client).await;
    client.request(send("/slow", "")).await;
    let (_, responder) = requests.next().await.unwrap();
    client.send_close(None).await;
    client.expect_end().await;
    drop(client);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(count.load(Ordering::Relaxed), 1);
    drop(responder);
    requests.next().await.unwrap().1.ok();
    finished(connection).await;
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_subscription_are_bounded_until_they_end_or_are_detached() {
    let config = Config::default().max_streams(2);
    let (session, mut client, _) = start(config, accept).await;
    client.receipt(subscribe("0", "/a")).await;
    let observe = || session.observe("/a", futures_util::stream::pending::<Message>());
    let (first, second) = (observe().unwrap(), observe().unwrap());
    assert!(matches!(
        observe(),
        Err(ObserveError::TooManyStreams { max: 2, .. })
    ));
    first.unhook();
    let third = observe().unwrap();
    settle().await;
    assert!(observe().is_err());
    second.unhook();
    third.unhook();
    let ending = || {
        let mut items = 1;
        let one = poll_fn(move |_| Poll::Ready(std::mem::take(&mut items)));
        session.observe("/a", futures_util::stream::once(one).map(|_| "item"))
    };
    for _ in 0..10 {
        drop(ending().unwrap());
        client.expect_message("item").await;
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_peer_is_not_counted_as_having_received_its_messages() {
    let settled = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&settled);
    let (deliver, queue) = tokio::sync::mpsc::unbounded_channel::<usize>();
    let mut queue = Some(queue);
    let (near, far) = tokio::io::duplex(PIPE);
    let socket = Socket::over_websocket(far, b"", Peer::default(), &Default::default());
    let (_, mut requests, connection) = Session::new(socket, Config::default());
    tokio::spawn(connection);
    let mut client = Client::over_websocket(near);
    log_in(&mut requests, &mut client).await;
    client.send(subscribe("0", "/queue")).await;
    let queue = queue.take().unwrap();
    let stream = futures_util::stream::unfold(queue, |mut queue| async {
        Some((queue.recv().await?, queue))
    });
    let deliveries = stream.map(move |number| {
        let log = Arc::clone(&log);
        let delivery = stomp_session::Delivery::new(Message::new(number.to_string()));
        delivery.on_settled(move |settlement| log.lock().unwrap().push((number, settlement)))
    });
    requests
        .next()
        .await
        .unwrap()
        .1
        .respond(Response::observe(deliveries));
    client.request(send("/slow", "")).await;
    let (_, _responder) = requests.next().await.unwrap();
    deliver.send(1).unwrap();
    client.expect_message("1").await;
    client.send_close(None).await;
    settle().await;
    assert!(deliver.send(2).is_err(), "the stream is still held");
    assert_eq!(
        *settled.lock().unwrap(),
        [(1, stomp_session::Settlement::Acked)]
    );
}
