//! The messages of a `COMMIT` go into one transaction of the engine.

use crate::{
    scripted::Scripted,
    support::{Client, connect, connect_to},
};
use std::sync::Arc;
use stomp_broker::{Address, Broker, Capabilities, Engine, Memory, MemoryConfig, Publication};
use stomp_frame::Command;
use stomp_session::{Message, Request};
use stomp_testing::frames::{send, transaction};
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

#[tokio::test(start_paused = true)]
async fn brokers_of_one_session_have_transactions_of_their_own() {
    let engines = [(); 2].map(|()| Scripted::new(Capabilities::all()));
    let [topics, queues] = engines.each_ref().map(Scripted::broker);
    let service = tower::service_fn(move |request: Request| {
        let is_topic = request.destination().as_str().starts_with("/topic/");
        let mut broker: Broker = if is_topic { &topics } else { &queues }.clone();
        broker.call(request)
    });
    let mut client = connect_to(service, Arc::default()).await;
    commit(&mut client, &["/topic/a", "/queue/a", "/topic/b"]).await;
    let [topics, queues] = engines.map(|engine| engine.take_calls());
    assert_eq!(
        topics,
        ["begin", "prepare /topic/a", "prepare /topic/b", "commit"]
    );
    assert_eq!(queues, ["begin", "prepare /queue/a", "commit"]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_time_completes() {
    let mut engine = Scripted::new(Capabilities::all());
    let commits = Arc::new(Notify::new());
    engine.commits = Some(Arc::clone(&commits));
    let broker = engine.broker();
    let (mut ann, mut bob) = (connect(&broker).await, connect(&broker).await);
    bob.subscribe("0", "/topic/a").await;
    commit(&mut ann, &["/topic/a"]).await;
    bob.expect_nothing().await;
    commits.notify_one();
    bob.expect_message("1").await;
}

#[tokio::test(start_paused = true)]
async fn an_in_memory_transaction_that_is_dropped_releases_its_room() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 2;
    let engine = Memory::new(config).unwrap();
    let queue = Address::queue("a");
    let publication = || Publication::new(Message::new("1"));
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
