//! Transactions over sessions: all of their messages, or none.

mod support;

use stomp_broker::{Broker, MemoryConfig, QueueOverflow};
use stomp_frame::Command;
use stomp_testing::frames::{ack, send, transaction};
use support::{broker_with, connect, open, statistics_of};

#[tokio::test(start_paused = true)]
async fn committed_messages_arrive_in_order_and_aborted_ones_never() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut bob) = (connect(&broker).await, connect(&broker).await);
    bob.subscribe("0", "/topic/a").await;
    bob.consume("1", "/queue/a").await;
    for end in [Command::Abort, Command::Commit] {
        ann.receipt(transaction(Command::Begin, "t")).await;
        for number in 0..6 {
            let destination = if number < 3 { "/topic/a" } else { "/queue/a" };
            ann.receipt(
                send(destination, &format!("{end} {number}")).with_header("transaction", "t"),
            )
            .await;
        }
        bob.expect_nothing().await;
        ann.receipt(transaction(end, "t")).await;
    }
    let mut bodies = [const { Vec::new() }; 2];
    for _ in 0..6 {
        let message = bob.expect(Command::Message).await;
        assert!(!message.headers.contains("transaction"));
        let subscription: usize = message
            .headers
            .get("subscription")
            .unwrap()
            .parse()
            .unwrap();
        bodies[subscription].push(String::from_utf8(message.body.to_vec()).unwrap());
    }
    assert_eq!(bodies[0], ["COMMIT 0", "COMMIT 1", "COMMIT 2"]);
    assert_eq!(bodies[1], ["COMMIT 3", "COMMIT 4", "COMMIT 5"]);
    bob.expect_nothing().await;
    assert_eq!(statistics_of(&broker).published, 6);
}

#[tokio::test(start_paused = true)]
async fn one_refused_message_cancels_its_transaction_and_releases_its_room() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 3;
    let broker = broker_with(config);
    let (mut ann, mut bob) = (connect(&broker).await, connect(&broker).await);
    bob.subscribe("0", "/topic/a").await;
    for refused in [
        ("/queue/a", "queue-full"),
        ("/elsewhere", "not-found"),
        ("/topic/*", "bad-destination"),
    ] {
        ann.receipt(transaction(Command::Begin, "t")).await;
        for destination in [
            "/topic/a", "/queue/a", "/queue/a", "/queue/a", refused.0, "/topic/a",
        ] {
            ann.receipt(send(destination, "1").with_header("transaction", "t"))
                .await;
        }
        ann.expect_refusal(transaction(Command::Commit, "t"), refused.1)
            .await;
    }
    bob.expect_nothing().await;
    assert_eq!(statistics_of(&broker).published, 0);
    for _ in 0..3 {
        ann.publish("/queue/a", "2").await;
    }
    ann.expect_refusal(send("/queue/a", "2"), "queue-full")
        .await;
    bob.consume("1", "/queue/a").await;
    for _ in 0..3 {
        bob.expect_message("2").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_ack_and_a_send_take_effect_together() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut worker) = (connect(&broker).await, connect(&broker).await);
    ann.publish("/queue/in", "job").await;
    worker.consume("0", "/queue/in").await;
    let message = worker.expect_message("job").await;
    worker.receipt(transaction(Command::Begin, "t")).await;
    worker
        .receipt(send("/queue/out", "done").with_header("transaction", "t"))
        .await;
    worker
        .receipt(ack(&message).with_header("transaction", "t"))
        .await;
    worker.break_connection().await;
    ann.consume("0", "/queue/out").await;
    ann.expect_nothing().await;
    let mut worker = connect(&broker).await;
    worker.consume("0", "/queue/in").await;
    let message = worker.expect_message("job").await;
    assert_eq!(message.headers.get("redelivered"), Some("true"));
    worker.receipt(transaction(Command::Begin, "t")).await;
    worker
        .receipt(send("/queue/out", "done").with_header("transaction", "t"))
        .await;
    worker
        .receipt(ack(&message).with_header("transaction", "t"))
        .await;
    worker.receipt(transaction(Command::Commit, "t")).await;
    ann.expect_message("done").await;
    worker.break_connection().await;
    ann.consume("1", "/queue/in").await;
    ann.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_messages_are_evicted_only_by_a_commit() {
    let mut config = MemoryConfig::default();
    (config.queues.max_messages, config.queues.overflow) = (2, QueueOverflow::DropOldest);
    let broker = broker_with(config);
    let mut ann = connect(&broker).await;
    ann.publish("/queue/a", "1").await;
    ann.publish("/queue/a", "2").await;
    for (end, code) in [("/elsewhere", Some("not-found")), ("/topic/a", None)] {
        ann.receipt(transaction(Command::Begin, "t")).await;
        ann.receipt(send("/queue/a", "3").with_header("transaction", "t"))
            .await;
        ann.receipt(send(end, "").with_header("transaction", "t"))
            .await;
        let commit = transaction(Command::Commit, "t");
        match code {
            Some(code) => drop(ann.expect_refusal(commit, code).await),
            None => ann.receipt(commit).await,
        }
        assert_eq!(
            statistics_of(&broker).dead_lettered,
            u64::from(code.is_none())
        );
    }
    ann.consume("0", "/queue/a").await;
    ann.expect_message("2").await;
    ann.expect_message("3").await;
}
