//! Ids of sessions, messages and deliveries.

use crate::support::*;
use futures_util::{StreamExt, stream};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};
use stomp_frame::Version;
use stomp_session::{Config, Delivery, Message, Settlement};
use stomp_testing::{Client, usual_or_soak};

/// Starts a session whose subscriptions receive one message, and adds their settlements to `log`. Returns its client,
/// which has received the message.
async fn consumer(
    version: Version,
    message: Message,
    log: &Arc<Mutex<HashMap<Settlement, usize>>>,
) -> (Client, Frame) {
    let log = Arc::clone(log);
    let queue = streaming(move |_| {
        let log = Arc::clone(&log);
        let delivery = Delivery::new(message.clone()).on_settled(move |settlement| {
            *log.lock().unwrap().entry(settlement).or_default() += 1;
        });
        stream::iter([Ok(delivery)])
            .chain(stream::pending())
            .boxed()
    });
    let service = tower::service_fn(move |request| std::future::ready(queue(&request)));
    let (_, mut client, _) = run(Config::default(), service);
    client.connect(version).await;
    client
        .send(subscribe_with_ack("0", "/queue", "client"))
        .await;
    let received = client.expect(Command::Message).await;
    (client, received)
}

/// The frame that acknowledges a message.
fn ack(version: Version, received: &Frame) -> Frame {
    let (from, to) = match version {
        Version::V1_2 => ("ack", "id"),
        _ => ("message-id", "message-id"),
    };
    Frame::new(Command::Ack)
        .with_header(to, received.headers.get(from).unwrap())
        .with_header("subscription", "0")
}

#[tokio::test(start_paused = true)]
async fn acks_of_earlier_sessions_settle_nothing() {
    let count = usual_or_soak(999, 9_999);
    let log = Arc::default();
    let mut earlier: BTreeMap<Version, Frame> = BTreeMap::new();
    let versions = Version::ALL.into_iter().cycle().take(count);
    for version in versions {
        let message = Message::new("work");
        let (mut client, received) = consumer(version, message, &log).await;
        if let Some(earlier) = earlier.insert(version, received) {
            client.send(ack(version, &earlier)).await;
            let error = client.expect(Command::Error).await;
            assert_eq!(error.headers.get("message"), Some("unknown-delivery"));
            client.expect_end().await;
        }
    }
    settle().await;
    assert_eq!(
        *log.lock().unwrap(),
        HashMap::from([(Settlement::Abandoned, count)])
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_id_is_the_same_in_each_session_and_version() {
    let log = Arc::default();
    let message = Message::new("work");
    for version in Version::ALL.repeat(2) {
        let (mut client, received) = consumer(version, message.clone(), &log).await;
        let id = message.id().to_string();
        assert_eq!(received.headers.get("message-id"), Some(&*id), "{version}");
        client.receipt(ack(version, &received)).await;
    }
    settle().await;
    assert_eq!(
        *log.lock().unwrap(),
        HashMap::from([(Settlement::Acked, 6)])
    );
}

#[tokio::test(start_paused = true)]
async fn an_ack_id_of_one_session_does_not_begin_like_that_of_another() {
    let log = Arc::default();
    let mut beginnings = BTreeSet::new();
    for _ in 0..100 {
        let (_, received) = consumer(Version::V1_2, Message::new("work"), &log).await;
        let id = received.headers.get("ack").unwrap();
        let (beginning, rest) = id.split_once('.').unwrap();
        assert!(beginning.len() >= 8 && rest == "1.1", "{id}");
        assert!(beginnings.insert(beginning.to_owned()), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_id_does_not_tell_how_many_sessions_there_are() {
    let mut ids = Vec::new();
    for _ in 0..100 {
        let (session, mut client, _) = run(
            Config::default(),
            tower::service_fn(|request| std::future::ready(accept(&request))),
        );
        client.send(connect(Version::V1_2)).await;
        let connected = client.expect(Command::Connected).await;
        let id = connected.headers.get("session").unwrap();
        assert_eq!(id, session.id().to_string());
        ids.push(id.to_owned());
    }
    // Neighbours have no long beginning or end in common.
    let common = |(one, other): (u8, u8)| one == other;
    for pair in ids.windows(2) {
        let pairs = || pair[0].bytes().zip(pair[1].bytes());
        assert!(
            pairs().take_while(|pair| common(*pair)).count() < 8,
            "{pair:?}"
        );
        assert!(
            pairs().rev().take_while(|pair| common(*pair)).count() < 8,
            "{pair:?}"
        );
    }
}
