//! The messages of a `COMMIT` go into one transaction of the engine.

use crate::{
    scripted::{CommitAnswer, Empty, Scripted},
    support::{Client, connect, connect_to, open},
};
use futures_util::{FutureExt, StreamExt};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};
use stomp_broker::{
    Address, Broker, Capabilities, Engine, Memory, MemoryConfig, Publication, QueueOverflow,
    QueueSettings,
};
use stomp_frame::{Command, Frame};
use stomp_session::{CloseCode, Message, Request};
use stomp_testing::frames::{ack, send, transaction};
use tokio::sync::Notify;
use tower::Service;

async fn begin(client: &mut Client, destinations: &[&str]) {
    client.receipt(transaction(Command::Begin, "t")).await;
    for destination in destinations {
        client
            .receipt(send(destination, "1").with_header("transaction", "t"))
            .await;
    }
}

async fn commit(client: &mut Client, destinations: &[&str]) {
    begin(client, destinations).await;
    client.receipt(transaction(Command::Commit, "t")).await;
}

#[tokio::test(start_paused = true)]
async fn each_commit_is_one_transaction_of_the_engine() {
    let engine = Scripted::new(Capabilities::all());
    let mut client = connect(&engine.broker()).await;
    for _ in 0..2 {
        commit(&mut client, &["/topic/a", "/queue/b", "/topic/a"]).await;
        assert_eq!(
            engine.take_calls(),
            [
                "begin",
                "prepare /topic/a",
                "prepare /queue/b",
                "prepare /topic/a",
                "commit",
            ]
        );
    }
    commit(&mut client, &[]).await;
    assert!(engine.take_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_rolls_its_transaction_back() {
    let engine = Scripted::new(Capabilities::all());
    let mut client = connect(&engine.broker()).await;
    let refused = [
        "begin",
        "prepare /queue/a",
        "prepare /queue/refused",
        "roll back",
    ];
    for _ in 0..2 {
        begin(&mut client, &["/queue/a", "/queue/refused", "/queue/a"]).await;
        client
            .expect_refusal(transaction(Command::Commit, "t"), "queue-full")
            .await;
        assert_eq!(engine.take_calls(), refused);
    }
    begin(&mut client, &["/queue/a", "/elsewhere"]).await;
    client
        .expect_refusal(transaction(Command::Commit, "t"), "not-found")
        .await;
    assert_eq!(
        engine.take_calls(),
        ["begin", "prepare /queue/a", "roll back"]
    );
    commit(&mut client, &["/queue/a"]).await;
    assert_eq!(engine.take_calls(), ["begin", "prepare /queue/a", "commit"]);
}

/// A client whose topics are those of the first engine, and whose queues are those of the second.
async fn connect_to_both(engines: &[Scripted; 2]) -> Client {
    let [topics, queues] = engines.each_ref().map(Scripted::broker);
    let service = tower::service_fn(move |request: Request| {
        let is_topic = request.destination().as_str().starts_with("/topic/");
        let mut broker: Broker = if is_topic { &topics } else { &queues }.clone();
        broker.call(request)
    });
    connect_to(service, Arc::default()).await
}

#[tokio::test(start_paused = true)]
async fn brokers_of_one_session_have_transactions_of_their_own() {
    let engines = [(); 2].map(|()| Scripted::new(Capabilities::all()));
    let mut client = connect_to_both(&engines).await;
    commit(&mut client, &["/topic/a", "/queue/a", "/topic/b"]).await;
    let [topics, queues] = engines.map(|engine| engine.take_calls());
    assert_eq!(
        topics,
        ["begin", "prepare /topic/a", "prepare /topic/b", "commit"]
    );
    assert_eq!(queues, ["begin", "prepare /queue/a", "commit"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_another_broker_has_committed_is_an_unknown_outcome() {
    let mut engines = [(); 2].map(|()| Scripted::new(Capabilities::all()));
    engines[1].commits = CommitAnswer::Refused;
    let mut client = connect_to_both(&engines).await;
    for (destinations, code) in [
        (["/topic/a", "/queue/a"], "engine-unavailable"),
        // Nothing is committed before the refusal.
        (["/queue/a", "/topic/a"], "queue-full"),
    ] {
        begin(&mut client, &destinations).await;
        client
            .expect_refusal(transaction(Command::Commit, "t"), code)
            .await;
    }
}

/// A client with a message of `/queue/jobs`, whose acknowledgment is part of its open transaction `t`, as is a message
/// to `/topic/a`. Returns the client and the message.
async fn begin_with_ack(broker: &Broker) -> (Client, Frame) {
    begin_with_ack_as(connect(broker).await, broker).await
}

async fn begin_with_ack_as(mut client: Client, broker: &Broker) -> (Client, Frame) {
    client.consume("0", "/queue/jobs").await;
    broker.publish("/queue/jobs", "dig").await.unwrap();
    let job = client.expect_message("dig").await;
    begin(&mut client, &["/topic/a"]).await;
    client
        .receipt(ack(&job).with_header("transaction", "t"))
        .await;
    (client, job)
}

async fn unacknowledged(broker: &Broker) -> usize {
    let statistics = broker.statistics().await.unwrap();
    let destinations = statistics.destinations.iter();
    destinations.map(|it| it.unacknowledged).sum()
}

#[tokio::test(start_paused = true)]
async fn the_receipt_and_the_acknowledgments_of_a_commit_follow_the_answer_of_the_engine() {
    let mut engine = Scripted::new(Capabilities::all());
    let notify = Arc::new(Notify::new());
    engine.commits = CommitAnswer::When(Arc::clone(&notify));
    let broker = engine.broker();
    let mut bob = connect(&broker).await;
    bob.subscribe("0", "/topic/a").await;
    let (mut ann, job) = begin_with_ack(&broker).await;
    let id = ann.request(transaction(Command::Commit, "t")).await;
    ann.expect_nothing().await;
    bob.expect_nothing().await;
    assert_eq!(unacknowledged(&broker).await, 1);

    notify.notify_one();
    ann.expect_receipt(&id).await;
    bob.expect_message("1").await;
    assert_eq!(unacknowledged(&broker).await, 0);
    ann.send(ack(&job)).await;
    ann.expect_error("already-settled").await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_an_error_and_its_acknowledgments_count_as_not_sent() {
    for (answer, code) in [
        (CommitAnswer::Refused, "queue-full"),
        (CommitAnswer::Lost, "engine-unavailable"),
        (CommitAnswer::Never, "timeout"),
    ] {
        let mut engine = Scripted::new(Capabilities::all());
        engine.commits = answer;
        let broker = engine.broker();
        let mut bob = connect(&broker).await;
        bob.subscribe("0", "/topic/a").await;
        let (mut ann, job) = begin_with_ack(&broker).await;
        // The error names the receipt of the COMMIT.
        ann.expect_refusal(transaction(Command::Commit, "t"), code)
            .await;
        bob.expect_nothing().await;
        assert_eq!(unacknowledged(&broker).await, 1, "{code}");
        ann.ack(&job).await;
        assert_eq!(unacknowledged(&broker).await, 0, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_still_completes_if_its_session_ends_meanwhile() {
    let mut engine = Scripted::new(Capabilities::all());
    let notify = Arc::new(Notify::new());
    engine.commits = CommitAnswer::When(Arc::clone(&notify));
    let broker = engine.broker();
    let mut bob = connect(&broker).await;
    bob.subscribe("0", "/topic/a").await;
    let mut ann = connect(&broker).await;
    begin(&mut ann, &["/topic/a"]).await;
    ann.send(transaction(Command::Commit, "t")).await;
    ann.expect_nothing().await;
    ann.shutdown().await;
    bob.expect_nothing().await;
    notify.notify_one();
    bob.expect_message("1").await;
}

#[tokio::test(start_paused = true)]
async fn commit_of_a_session_that_is_closed_settles_its_acks() {
    for (answer, is_settled) in [
        (CommitAnswer::When(Arc::default()), true),
        (CommitAnswer::Never, false),
    ] {
        let mut engine = Scripted::new(Capabilities::all());
        engine.commits = answer.clone();
        let broker = engine.broker();
        let mut bob = connect(&broker).await;
        bob.subscribe("0", "/topic/a").await;
        let session = Arc::new(OnceLock::new());
        let (own, mut inner) = (Arc::clone(&session), broker.clone());
        let service = tower::service_fn(move |request: Request| {
            own.get_or_init(|| request.session().clone());
            inner.call(request)
        });
        let client = connect_to(service, Arc::default()).await;
        let (mut ann, _) = begin_with_ack_as(client, &broker).await;
        ann.send(transaction(Command::Commit, "t")).await;
        ann.expect_nothing().await;
        session.get().unwrap().close(CloseCode::Away);
        // Another worker would get the job if it went back to its queue.
        bob.consume("1", "/queue/jobs").await;
        bob.expect_nothing().await;
        assert_eq!(unacknowledged(&broker).await, 1);
        if let CommitAnswer::When(notify) = answer {
            notify.notify_one();
            bob.expect_message("1").await;
            bob.expect_nothing().await;
        } else {
            tokio::time::sleep(Duration::from_secs(61)).await;
            bob.expect_message("dig").await;
        }
        assert_eq!(unacknowledged(&broker).await, usize::from(!is_settled));
    }
}

/// Two engines without any data have the same address.
#[tokio::test(start_paused = true)]
async fn brokers_are_told_apart_even_if_their_engines_have_no_size() {
    let brokers = [(); 2].map(|()| Broker::with_engine(open(), Empty).unwrap());
    let service = tower::service_fn(move |request: Request| {
        let [one, other] = &brokers;
        let is_one = request.destination().as_str() == "/topic/a";
        let mut broker = if is_one { one } else { other }.clone();
        broker.call(request)
    });
    let mut client = connect_to(service, Arc::default()).await;
    begin(&mut client, &["/topic/a", "/topic/b"]).await;
    // Each transaction takes one message only.
    client.receipt(transaction(Command::Commit, "t")).await;
    begin(&mut client, &["/topic/a", "/topic/a"]).await;
    client
        .expect_refusal(transaction(Command::Commit, "t"), "queue-full")
        .await;
}

fn publication(body: &'static str) -> Publication {
    Publication::new(Message::new(body))
}

async fn bodies(engine: &Memory, queue: &Address) -> Vec<String> {
    let messages = engine.browse(queue, usize::MAX).await.unwrap();
    let bodies = messages.iter().map(|message| message.body().to_vec());
    bodies
        .map(|body| String::from_utf8(body).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_dropped_evicts_nothing() {
    let drop_oldest = QueueSettings::default()
        .max_messages(3)
        .overflow(QueueOverflow::DropOldest);
    let engine = Memory::new(MemoryConfig::default().queues(drop_oldest)).unwrap();
    let queue = Address::queue("a");
    engine.publish(&queue, publication("1")).await.unwrap();
    let mut transaction = engine.begin();
    for _ in 0..5 {
        let prepared = transaction.prepare(&queue, publication("never")).await;
        prepared.unwrap();
    }
    engine.publish(&queue, publication("2")).await.unwrap();
    drop(transaction);
    assert_eq!(bodies(&engine, &queue).await, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn reject_never_evicts_after_declare() {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let queue = Address::queue("a");
    for body in ["1", "2", "3"] {
        engine.publish(&queue, publication(body)).await.unwrap();
    }
    let mut transaction = engine.begin();
    let prepared = transaction.prepare(&queue, publication("4")).await;
    prepared.unwrap();
    let two = QueueSettings::default().max_messages(2);
    engine.declare(&queue, two).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bodies(&engine, &queue).await, ["1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn expired_or_absent_in_a_dropped_transaction_counts_nothing() {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let mut events = engine.events();
    for (is_committed, published) in [(false, 0), (true, 2)] {
        let mut transaction = engine.begin();
        let expired = publication("1").expires(Some(SystemTime::UNIX_EPOCH));
        let prepared = transaction.prepare(&Address::queue("a"), expired).await;
        prepared.unwrap();
        let absent = Address::temporary("~0123456789abcdef0123456789abcdef");
        let prepared = transaction.prepare(&absent, publication("2")).await;
        prepared.unwrap();
        if is_committed {
            transaction.commit().await.unwrap();
        } else {
            drop(transaction);
        }
        let statistics = engine.statistics().await.unwrap();
        assert_eq!(statistics.published, published);
        assert_eq!(statistics.expired, published / 2);
        assert_eq!(statistics.dropped, published / 2);
        let event = events.next().now_or_never();
        assert_eq!(event.is_some(), is_committed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_in_memory_transaction_that_is_dropped_releases_its_room() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 2;
    let engine = Memory::new(config).unwrap();
    let queue = Address::queue("a");
    let publication = || publication("1");
    for _ in 0..3 {
        let mut transaction = engine.begin();
        for _ in 0..2 {
            transaction.prepare(&queue, publication()).await.unwrap();
        }
        let full = transaction.prepare(&queue, publication()).await;
        assert!(full.unwrap_err().to_string().starts_with("queue-full"));
        assert!(engine.publish(&queue, publication()).await.is_err());
    }
    engine.publish(&queue, publication()).await.unwrap();
}
