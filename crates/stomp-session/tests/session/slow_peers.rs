//! Peers that read slowly, or not at all.

use crate::support::*;
use futures_util::{StreamExt, stream};
use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use stomp_frame::Version;
use stomp_session::{
    BacklogConfig, BoxError, CloseCode, Config, Delivery, DisconnectReason, Message, Overflow,
    Peer, Request, Response, Session, Topic,
};
use stomp_socket::Socket;
use stomp_testing::Client;
use tokio::{
    io::BufStream,
    time::{Instant, advance, sleep, timeout},
};
use tower::service_fn;

/// Publishes `count` messages of a thousand bytes.
fn publish(topic: &Topic<String>, count: usize) {
    (0..count).for_each(|_| topic.publish("x".repeat(1_000)).unwrap());
}

/// A connected client with a subscription of `topic`, over a pipe of this size.
async fn subscribe_to(
    topic: &Topic<String>,
    config: Config,
    is_websocket: bool,
    pipe: usize,
    connect: Frame,
) -> (Session, Client) {
    let (session, _, connection, mut client) = if is_websocket {
        websocket_pair(config, pipe)
    } else {
        pair(config, pipe)
    };
    let topic = topic.clone();
    let handler = streaming(move |_| topic.subscribe());
    let service = service_fn(move |request| ready(handler(&request)));
    tokio::spawn(connection.run(service));
    client.connect_with(connect).await;
    client.receipt(subscribe("0", "/a")).await;
    (session, client)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_sent_a_bounded_amount_and_then_disconnected() {
    const MESSAGE: usize = 1_000;
    let (session, _, connection, mut client) = pair(Config::default(), PIPE);
    let (polls, reasons) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (counted, seen) = (Arc::clone(&polls), Arc::clone(&reasons));
    let service = service_fn(move |request: Request| {
        seen.lock().unwrap().extend(request.reason());
        ready(Ok::<_, BoxError>(match request.command() {
            Command::Subscribe => {
                let polls = Arc::clone(&counted);
                let endless = stream::repeat_with(move || {
                    polls.fetch_add(1, Ordering::Relaxed);
                    Message::new(vec![b'x'; MESSAGE])
                });
                // Finite, so that the test ends even if it fails.
                Response::observe(endless.take(10_000).chain(stream::pending()))
            }
            _ => Response::Done,
        }))
    });
    let connection = tokio::spawn(connection.run(service));
    client.send(connect(Version::V1_2)).await;
    client.send(subscribe("0", "/endless")).await;

    let started = Instant::now();
    sleep(Duration::from_secs(5)).await;
    let polled = polls.load(Ordering::Relaxed);
    let room = PIPE + Config::default().max_outbound_bytes;
    assert!(polled > 10, "{polled}");
    assert!(
        polled * MESSAGE < room + 2 * MESSAGE,
        "{polled} messages of {MESSAGE} bytes in {room}"
    );

    finished(connection).await;
    assert_eq!(
        started.elapsed().as_secs(),
        Config::default().write_timeout.as_secs()
    );
    assert_eq!(polls.load(Ordering::Relaxed), polled);
    assert_eq!(
        Arc::strong_count(&polls),
        1,
        "the session still holds the stream"
    );
    assert_eq!(*reasons.lock().unwrap(), [DisconnectReason::Timeout]);
    assert!(session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_read_from_a_peer_that_reads_nothing() {
    let (_, _, connection, mut client) = pair(Config::default(), PIPE);
    let connection =
        tokio::spawn(connection.run(service_fn(|_| ready(Ok::<_, BoxError>(Response::Done)))));
    client.send(connect(Version::V1_2)).await;
    let receipt = "7".repeat(1_000);
    let request = send("/a", "").with_header("receipt", &receipt);
    let mut sent = 0;
    while let Ok(Ok(())) = timeout(Duration::from_secs(1), client.try_send(request.clone())).await {
        sent += 1;
        assert!(
            sent * receipt.len() < Config::default().max_outbound_bytes + 3 * PIPE,
            "the session has read {sent} requests"
        );
    }
    finished(connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_stays_connected() {
    let streams = |_: &str| {
        stream::iter(0..2_000)
            .map(|_| Ok(Message::new(vec![b'x'; 1_000]).into()))
            .boxed()
    };
    let (_, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.send(subscribe("0", "/a")).await;
    for number in 0..2_000 {
        if number % 40 == 0 {
            advance(Duration::from_secs(9)).await;
        }
        client.expect(Command::Message).await;
    }
    client.receipt(send("/b", "")).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_and_steadily_stays_connected_beyond_the_write_timeout() {
    let topic = unbounded_topic();
    let (_, mut client) = subscribe_to(
        &topic,
        Config::default(),
        true,
        4_096,
        connect(Version::V1_2),
    )
    .await;
    publish(&topic, 300);
    // Altogether this takes three times the timeout.
    for _ in 0..300 {
        sleep(Config::default().write_timeout / 100).await;
        client.expect(Command::Message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_write_timeout_does_not_run_while_nothing_is_queued() {
    let topic = unbounded_topic();
    let (_, mut client) = subscribe_to(
        &topic,
        Config::default(),
        true,
        100_000,
        connect(Version::V1_2),
    )
    .await;
    publish(&topic, 180);
    for _ in 0..180 {
        client.expect(Command::Message).await;
    }
    sleep(Config::default().write_timeout * 2).await;
    publish(&topic, 1);
    client.expect(Command::Message).await;
}

#[tokio::test(start_paused = true)]
async fn heart_beats_of_a_peer_that_reads_slowly_are_received() {
    let topic = unbounded_topic();
    let mut config = Config::default();
    config.write_timeout = Duration::from_secs(100);
    let connect = connect(Version::V1_2).with_header("heart-beat", "1000,0");
    let (_, mut client) = subscribe_to(&topic, config, true, 4_096, connect).await;
    publish(&topic, 300);
    for number in 0..300 {
        if number % 9 == 0 {
            client.send_heart_beat().await;
        }
        sleep(Duration::from_millis(100)).await;
        client.expect(Command::Message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_disconnects_its_subscriber() {
    let config = Config::default().backlog(BacklogConfig::default().max_messages(256));
    let (session, mut client, connection) = start(config, accept).await;
    client.receipt(subscribe("0", "/a")).await;
    for number in 0..=256 {
        session.message("/a", number.to_string()).unwrap();
    }
    client.expect_error("slow-consumer").await;
    client.expect_end().await;
    drop(client);
    finished(connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_of_a_topic_disconnects_its_subscriber() {
    let topic = Topic::with_backlogs(BacklogConfig::default().max_messages(4));
    let shared = topic.clone();
    let streams = move |_: &str| shared.subscribe();
    let (_, mut client, connection) = start(Config::default(), streaming(streams)).await;
    client.receipt(subscribe("0", "/a")).await;
    for text in ["one", "two", "three", "four"] {
        topic.publish(text).unwrap();
    }
    for text in ["one", "two", "three", "four"] {
        client.expect_message_for("0", text).await;
    }
    // A session that was not polled meanwhile may have twice the bounds. A publisher that does not wait delivers its
    // messages itself when as many as that wait.
    for _ in 0..16 {
        topic.publish("more").unwrap();
    }
    client.expect_error("slow-consumer").await;
    client.expect_end().await;
    drop(client);
    finished(connection).await;
    assert_eq!(topic.subscribers(), 0);
}

/// Like TLS, a buffered stream accepts more than it can pass on, and needs more than one flush.
#[tokio::test(start_paused = true)]
async fn a_buffered_stream_is_flushed_to_the_last_byte() {
    let (near, far) = tokio::io::duplex(16);
    let far = BufStream::new(far);
    let socket = Socket::over_byte_stream(far, Peer::default(), &Default::default());
    let (_session, _, connection) = Session::new(socket, Config::default());
    tokio::spawn(connection.run(service_fn(|_| ready(Ok::<_, BoxError>(Response::Done)))));
    let mut client = Client::over_byte_stream(near);
    client.connect(Version::V1_2).await;
}

/// Receives until the end of the connection, with a pause before each frame.
async fn receive_slowly(client: &mut Client, pause: Duration) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        sleep(pause).await;
        match client.next_frame().await {
            Some(frame) => frames.push(frame),
            None => return frames,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_receipt_for_disconnect_arrives_behind_a_backlog() {
    let topic = unbounded_topic();
    let (_session, mut client) = subscribe_to(
        &topic,
        Config::default(),
        false,
        4_096,
        connect(Version::V1_2),
    )
    .await;
    publish(&topic, 60);
    settle().await;
    let receipt = client.request(disconnect()).await;
    // Altogether this takes longer than the server waits for a peer that has received everything.
    let frames = receive_slowly(&mut client, Config::default().linger_timeout / 20).await;
    let last = frames.last().unwrap();
    assert_eq!(
        last.headers.get("receipt-id"),
        Some(&*receipt),
        "{} frames",
        frames.len()
    );
}

#[tokio::test(start_paused = true)]
async fn messages_that_had_room_before_a_close_reach_a_slow_peer() {
    let config = Config::default().max_outbound_bytes(1_000);
    let topic = unbounded_topic();
    let (session, mut client) =
        subscribe_to(&topic, config, false, 256, connect(Version::V1_2)).await;
    session.message("/a", "first").unwrap();
    session.message("/a", "x".repeat(2_000)).unwrap();
    settle().await;
    session.message("/a", "without room").unwrap();
    session.close(CloseCode::Away);
    let frames = receive_slowly(&mut client, Duration::from_millis(100)).await;
    assert_eq!(frames.last().unwrap().body, "x".repeat(2_000));
}

#[tokio::test(start_paused = true)]
async fn infinite_timeouts_are_accepted() {
    let mut config = Config::default();
    config.connect_timeout = Duration::MAX;
    config.handler_timeout = Duration::MAX;
    config.write_timeout = Duration::MAX;
    config.close_timeout = Duration::MAX;
    config.linger_timeout = Duration::MAX;
    config.ping_interval = Duration::MAX;
    config.ping_timeout = Duration::MAX;
    let topic = unbounded_topic();
    let (_, mut client) = subscribe_to(&topic, config, true, 4_096, connect(Version::V1_2)).await;
    publish(&topic, 10);
    sleep(Duration::from_secs(1 << 20)).await;
    for _ in 0..10 {
        client.expect(Command::Message).await;
    }
    client.receipt(disconnect()).await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_handles_count_in_the_budget_of_a_session_without_credit() {
    const SUBSCRIPTIONS: usize = 20;
    let mailbox = BacklogConfig::default().overflow(Overflow::DropOldest);
    let config = Config::default()
        .backlog(mailbox)
        .max_total_backlog_bytes(10_000);
    let handler = streaming(|_| {
        // Only deliveries whose outcome somebody waits for need credit, and the deliveries behind them.
        let first = Delivery::new(Message::new("first")).on_settled(|_| {});
        stream::iter([Ok(first)]).chain(stream::pending()).boxed()
    });
    let (session, mut client, _) = start(config, handler).await;
    let mut first = Vec::new();
    for id in 0..SUBSCRIPTIONS {
        let subscribe = subscribe_with_ack(&id.to_string(), &format!("/{id}"), "client");
        client
            .send(subscribe.with_header("prefetch-count", "1"))
            .await;
        first.push(client.expect_message("first").await);
    }
    for _ in 0..10 {
        for id in 0..SUBSCRIPTIONS {
            let sent = session.message(&format!("/{id}"), "x".repeat(1_000));
            sent.unwrap();
            settle().await;
        }
    }
    // At most ten messages are in the budget, and each mailbox holds one in any case.
    let mut dropped = 0;
    for message in &first {
        client.send(ack(message)).await;
        let next = client.expect(Command::Message).await;
        let count = next.headers.get("dropped-messages");
        dropped += count.map_or(0, |count| count.parse().unwrap());
    }
    assert!(
        dropped >= 10 * SUBSCRIPTIONS - SUBSCRIPTIONS - 10,
        "{dropped}"
    );
}
