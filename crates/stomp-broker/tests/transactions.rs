//! Transactions over sessions: all of their messages, or none.

mod clients;

use clients::{Client, answer, in_transaction, open, send, transaction};
use stomp_broker::{Broker, QueueOverflow};
use stomp_frame::Command;

#[tokio::test(start_paused = true)]
async fn committed_messages_arrive_in_order_and_aborted_ones_never() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut bob) = (Client::of(&broker).await, Client::of(&broker).await);
    bob.subscribes("0", "/topic/a").await;
    bob.consumes("1", "/queue/a").await;
    for end in [Command::Abort, Command::Commit] {
        ann.asks(transaction(Command::Begin)).await;
        for number in 0..6 {
            let destination = if number < 3 { "/topic/a" } else { "/queue/a" };
            ann.asks(in_transaction(send(
                destination,
                &format!("{end} {number}"),
            )))
            .await;
        }
        bob.gets_nothing().await;
        ann.asks(transaction(end)).await;
    }
    let mut bodies = [const { Vec::new() }; 2];
    for _ in 0..6 {
        let message = bob.gets(Command::Message).await;
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
    bob.gets_nothing().await;
    assert_eq!(broker.statistics().published, 6);
}

#[tokio::test(start_paused = true)]
async fn one_refused_message_cancels_its_transaction_and_releases_its_room() {
    let mut config = open();
    config.max_queue_messages = 3;
    let broker = Broker::new(config).unwrap();
    let (mut ann, mut bob) = (Client::of(&broker).await, Client::of(&broker).await);
    bob.subscribes("0", "/topic/a").await;
    for refused in [
        ("/queue/a", "queue-full"),
        ("/elsewhere", "not-found"),
        ("/topic/*", "bad-destination"),
    ] {
        ann.asks(transaction(Command::Begin)).await;
        for destination in [
            "/topic/a", "/queue/a", "/queue/a", "/queue/a", refused.0, "/topic/a",
        ] {
            ann.asks(in_transaction(send(destination, "1"))).await;
        }
        ann.is_refused(transaction(Command::Commit), refused.1)
            .await;
    }
    bob.gets_nothing().await;
    assert_eq!(broker.statistics().published, 0);
    for _ in 0..3 {
        ann.sends("/queue/a", "2").await;
    }
    ann.is_refused(send("/queue/a", "2"), "queue-full").await;
    bob.consumes("1", "/queue/a").await;
    for _ in 0..3 {
        bob.gets_message("2").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_ack_and_a_send_take_effect_together() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut worker) = (Client::of(&broker).await, Client::of(&broker).await);
    ann.sends("/queue/in", "job").await;
    worker.consumes("0", "/queue/in").await;
    let message = worker.gets_message("job").await;
    worker.asks(transaction(Command::Begin)).await;
    worker
        .asks(in_transaction(send("/queue/out", "done")))
        .await;
    worker
        .asks(in_transaction(answer(Command::Ack, &message)))
        .await;
    worker.breaks_off().await;
    ann.consumes("0", "/queue/out").await;
    ann.gets_nothing().await;
    let mut worker = Client::of(&broker).await;
    worker.consumes("0", "/queue/in").await;
    let message = worker.gets_message("job").await;
    assert_eq!(message.headers.get("redelivered"), Some("true"));
    worker.asks(transaction(Command::Begin)).await;
    worker
        .asks(in_transaction(send("/queue/out", "done")))
        .await;
    worker
        .asks(in_transaction(answer(Command::Ack, &message)))
        .await;
    worker.asks(transaction(Command::Commit)).await;
    ann.gets_message("done").await;
    worker.breaks_off().await;
    ann.consumes("1", "/queue/in").await;
    ann.gets_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_messages_are_evicted_only_by_a_commit() {
    let mut config = open();
    (config.max_queue_messages, config.queue_overflow) = (2, QueueOverflow::DropOldest);
    let broker = Broker::new(config).unwrap();
    let mut ann = Client::of(&broker).await;
    ann.sends("/queue/a", "1").await;
    ann.sends("/queue/a", "2").await;
    for (end, code) in [("/elsewhere", Some("not-found")), ("/topic/a", None)] {
        ann.asks(transaction(Command::Begin)).await;
        ann.asks(in_transaction(send("/queue/a", "3"))).await;
        ann.asks(in_transaction(send(end, ""))).await;
        match code {
            Some(code) => ann.is_refused(transaction(Command::Commit), code).await,
            None => ann.asks(transaction(Command::Commit)).await,
        }
        assert_eq!(broker.statistics().dead_lettered, u64::from(code.is_none()));
    }
    ann.consumes("0", "/queue/a").await;
    ann.gets_message("2").await;
    ann.gets_message("3").await;
}
