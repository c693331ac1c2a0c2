//! Queues, as clients see them.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod clients;

use clients::{Client, answer, open, send, subscribe, unsubscribe};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stomp_broker::{Broker, Config, QueueOverflow};
use stomp_frame::{Command, Frame};
use tokio::time::{Instant, advance};

/// A broker, and two clients of it.
async fn two_clients(config: Config) -> (Broker, Client, Client) {
    let broker = Broker::new(config).unwrap();
    let (one, two) = (Client::of(&broker).await, Client::of(&broker).await);
    (broker, one, two)
}

impl Client {
    async fn sends_numbers(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.sends("/queue/q", &number.to_string()).await;
        }
    }

    /// The next messages are these, with or without `redelivered`.
    async fn gets_numbers(
        &mut self,
        numbers: impl IntoIterator<Item = u32>,
        is_redelivered: bool,
    ) -> Vec<Frame> {
        let mut messages = Vec::new();
        for number in numbers {
            let message = self.gets_message(&number.to_string()).await;
            assert_eq!(
                message.headers.get("redelivered"),
                is_redelivered.then_some("true"),
                "{number}"
            );
            messages.push(message);
        }
        messages
    }
}

#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_consumer_in_order() {
    let (broker, mut producer, mut consumer) = two_clients(open()).await;
    producer.sends_numbers(0..3).await;
    consumer.consumes("0", "/queue/q").await;
    for message in consumer.gets_numbers(0..3, false).await {
        assert_eq!(message.headers.get("destination"), Some("/queue/q"));
        consumer.acks(&message).await;
    }
    consumer.breaks_off().await;
    let mut other = Client::of(&broker).await;
    other.subscribes("0", "/queue/q").await;
    other.gets_nothing().await;
    // Without acknowledgments, what is sent is done with.
    producer.sends_numbers(3..4).await;
    other.gets_numbers([3], false).await;
    other.breaks_off().await;
    producer.consumes("0", "/queue/q").await;
    producer.gets_nothing().await;
    assert_eq!(broker.statistics().delivered, 4);
}

#[tokio::test(start_paused = true)]
async fn consumers_take_turns() {
    let (broker, mut producer, mut one) = two_clients(open()).await;
    let mut two = Client::of(&broker).await;
    one.consumes("0", "/queue/q").await;
    two.consumes("0", "/queue/q").await;
    for number in (0..10).step_by(2) {
        producer.sends_numbers(number..number + 2).await;
        one.gets_numbers([number], false).await;
        two.gets_numbers([number + 1], false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_shared() {
    let (broker, mut producer, mut one) = two_clients(open()).await;
    let mut two = Client::of(&broker).await;
    one.consumes("0", "/queue/q").await;
    two.consumes("0", "/queue/q").await;
    for number in 0..30 {
        producer.send(send("/queue/q", &number.to_string())).await;
    }
    for client in [&mut one, &mut two] {
        for _ in 0..15 {
            client.gets(Command::Message).await;
        }
        client.gets_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_credit_gets_nothing() {
    let (_, mut busy, mut idle) = two_clients(open()).await;
    busy.asks(
        subscribe("0", "/queue/q")
            .with_header("ack", "client")
            .with_header("prefetch-count", "1"),
    )
    .await;
    busy.send(send("/queue/q", "0")).await;
    let message = busy.gets_message("0").await;
    for number in 1..4 {
        busy.sends("/queue/q", &number.to_string()).await;
    }
    busy.gets_nothing().await;
    idle.consumes("0", "/queue/q").await;
    idle.gets_numbers(1..4, false).await;
    busy.sends("/queue/q", "4").await;
    busy.sends("/queue/q", "5").await;
    idle.gets_numbers(4..6, false).await;
    idle.asks(unsubscribe("0")).await;
    busy.send(answer(Command::Ack, &message)).await;
    busy.gets_numbers([1], true).await;
}

/// It is called for a message, and its session does not come: other subscriptions have used up its credit.
#[tokio::test(start_paused = true)]
async fn who_is_called_and_does_not_come_is_passed_over() {
    let (broker, mut producer, mut other) = two_clients(open()).await;
    let mut config = stomp_session::Config::default();
    config.max_unacked_bytes = 1;
    let mut spent = Client::with(broker.clone(), config.into()).await;
    spent.consumes("0", "/queue/q").await;
    spent.consumes("1", "/queue/other").await;
    other.consumes("0", "/queue/q").await;
    producer.sends("/queue/other", "").await;
    spent.gets_message("").await;
    producer.sends_numbers(0..1).await;
    other.gets_nothing().await;
    advance(Duration::from_secs(3)).await;
    other.gets_numbers([0], false).await;
    producer.sends_numbers(1..2).await;
    other.gets_numbers([1], false).await;
    spent.gets_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_leaves_behind_goes_back_in_order() {
    let (_, mut producer, mut leaver) = two_clients(open()).await;
    leaver
        .asks(
            subscribe("0", "/queue/q")
                .with_header("ack", "client")
                .with_header("prefetch-count", "4"),
        )
        .await;
    producer.sends_numbers(0..6).await;
    let messages = leaver.gets_numbers(0..4, false).await;
    leaver.asks(answer(Command::Ack, &messages[0])).await;
    leaver.gets_numbers([4], false).await;
    leaver.breaks_off().await;
    producer.consumes("0", "/queue/q").await;
    producer.gets_numbers(1..5, true).await;
    producer.gets_numbers([5], false).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_comes_again_until_it_is_taken() {
    let (_, mut producer, mut consumer) = two_clients(open()).await;
    let start = Instant::now();
    consumer.consumes("0", "/queue/q").await;
    producer.sends_numbers(0..1).await;
    let message = consumer.gets_numbers([0], false).await.remove(0);
    consumer.nacks(&message).await;
    let message = consumer.gets_numbers([0], true).await.remove(0);
    consumer.nacks(&message).await;
    let message = consumer.gets_numbers([0], true).await.remove(0);
    consumer.acks(&message).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "nobody had to sweep");
    consumer.gets_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_one_refuses_is_for_another() {
    let (broker, mut producer, mut one) = two_clients(open()).await;
    one.consumes("0", "/queue/q").await;
    producer.sends_numbers(0..2).await;
    let messages = one.gets_numbers(0..2, false).await;
    let mut two = Client::of(&broker).await;
    two.consumes("0", "/queue/q").await;
    for message in &messages {
        one.nacks(message).await;
    }
    let messages = two.gets_numbers(0..2, true).await;
    one.gets_nothing().await;
    two.nacks(&messages[0]).await;
    one.gets_numbers([0], true).await;
    two.gets_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_too_often_is_a_dead_letter() {
    let mut config = open();
    config.max_delivery_attempts = 3;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    consumer.consumes("0", "/queue/q").await;
    producer
        .asks(
            send("/queue/q", "bad")
                .with_header("original-destination", "/queue/forged")
                .with_header("a", "b"),
        )
        .await;
    for _ in 0..3 {
        let message = consumer.gets_message("bad").await;
        consumer.nacks(&message).await;
    }
    consumer.gets_nothing().await;
    producer.consumes("0", "/queue/dead-letters").await;
    for attempt in 0..3 {
        let message = producer.gets_message("bad").await;
        assert_eq!(
            message.headers.get("original-destination"),
            Some("/queue/q")
        );
        assert_eq!(message.headers.get("dead-letter-reason"), Some("rejected"));
        assert_eq!(message.headers.get("a"), Some("b"));
        assert_eq!(message.headers.contains("redelivered"), attempt > 0);
        producer.nacks(&message).await;
    }
    producer.gets_nothing().await;
    let statistics = broker.statistics();
    assert_eq!(
        (statistics.dead_lettered, statistics.dropped),
        (1, 1),
        "who dies twice is dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_kills_its_consumers_is_a_dead_letter_too() {
    let mut config = open();
    (config.max_delivery_attempts, config.dead_letter_queue) = (2, None);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.sends_numbers(0..2).await;
    for is_redelivered in [false, true] {
        consumer
            .asks(
                subscribe("0", "/queue/q")
                    .with_header("ack", "client")
                    .with_header("prefetch-count", "1"),
            )
            .await;
        consumer.gets_numbers([0], is_redelivered).await;
        consumer.breaks_off().await;
        consumer = Client::of(&broker).await;
    }
    consumer.consumes("0", "/queue/q").await;
    consumer.gets_numbers([1], false).await;
    assert_eq!(broker.statistics().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_whoever_sends() {
    let mut config = open();
    config.max_queue_messages = 2;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.sends_numbers(0..2).await;
    producer
        .is_refused(send("/queue/q", "2"), "queue-full")
        .await;
    consumer.consumes("0", "/queue/q").await;
    let messages = consumer.gets_numbers(0..2, false).await;
    producer
        .is_refused(send("/queue/q", "2"), "queue-full")
        .await;
    consumer.acks(&messages[0]).await;
    producer.sends_numbers(2..3).await;
    producer
        .is_refused(send("/queue/q", "3"), "queue-full")
        .await;
    assert!(
        broker
            .publish("/queue/q", "3")
            .await
            .unwrap_err()
            .to_string()
            .starts_with("queue-full")
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_full_of_bytes_too_and_so_may_be_all_together() {
    let large = "x".repeat(1_000);
    let mut config = open();
    (config.max_queue_bytes, config.max_total_queue_bytes) = (2_500, 4_000);
    let (_, mut producer, mut consumer) = two_clients(config).await;
    for queue in ["/queue/a", "/queue/a", "/queue/b"] {
        producer.sends(queue, &large).await;
    }
    let one_by_one = subscribe("0", "/queue/a")
        .with_header("ack", "client")
        .with_header("prefetch-count", "1");
    consumer.asks(one_by_one).await;
    for queue in ["/queue/a", "/queue/a", "/queue/c"] {
        let message = consumer.gets_message(&large).await;
        for full in ["/queue/a", "/queue/c"] {
            producer.is_refused(send(full, &large), "queue-full").await;
        }
        consumer.acks(&message).await;
        producer.sends(queue, &large).await;
    }
    // This one has room, but not all together.
    producer
        .is_refused(send("/queue/a", &large), "queue-full")
        .await;
}

#[tokio::test(start_paused = true)]
async fn or_the_oldest_are_dead_letters() {
    let mut config = open();
    (config.max_queue_messages, config.queue_overflow) = (2, QueueOverflow::DropOldest);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.sends_numbers(0..5).await;
    consumer.consumes("0", "/queue/dead-letters").await;
    for message in consumer.gets_numbers(1..3, false).await {
        assert_eq!(message.headers.get("dead-letter-reason"), Some("overflow"));
    }
    let statistics = broker.statistics();
    assert_eq!(
        (statistics.dead_lettered, statistics.dropped),
        (3, 1),
        "the queue of dead letters is bounded too"
    );
    consumer.consumes("1", "/queue/q").await;
    consumer.gets_numbers(3..5, false).await;
    producer
        .is_refused(send("/queue/q", "5"), "queue-full")
        .await;
}

fn in_millis(millis: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    (i64::try_from(now).unwrap() + millis).to_string()
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_given_to_nobody() {
    let mut config = open();
    config.max_queue_messages = 4;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    for expires in [
        in_millis(-1),
        "1".to_owned(),
        in_millis(60_000),
        "0".to_owned(),
        in_millis(600_000),
    ] {
        producer
            .asks(send("/queue/q", &expires).with_header("expires", &expires))
            .await;
    }
    producer
        .is_refused(
            send("/queue/q", "").with_header("expires", "soon"),
            "bad-request",
        )
        .await;
    assert_eq!(broker.statistics().expired, 2);
    advance(Duration::from_secs(61)).await;
    consumer.consumes("0", "/queue/q").await;
    let first = consumer.gets_message("0").await;
    assert_eq!(first.headers.get("expires"), Some("0"));
    consumer.gets(Command::Message).await;
    consumer.gets_nothing().await;
    assert_eq!(broker.statistics().expired, 3);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_takes_no_room() {
    let mut config = open();
    config.max_queue_messages = 1;
    let (broker, mut producer, _) = two_clients(config).await;
    producer
        .asks(send("/queue/q", "0").with_header("expires", &in_millis(500)))
        .await;
    producer
        .is_refused(send("/queue/q", "1"), "queue-full")
        .await;
    advance(Duration::from_millis(501)).await;
    producer
        .asks(send("/queue/q", "1").with_header("expires", &in_millis(500)))
        .await;
    advance(Duration::from_secs(3)).await;
    tokio::task::yield_now().await;
    assert_eq!(broker.statistics().expired, 2, "nobody had to look");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_empty_and_idle_is_gone() {
    let mut config = open();
    config.idle_timeout = Duration::from_secs(10);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    let queues = || broker.statistics().destinations.len();
    let pass = async |seconds| {
        for _ in 0..seconds {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    };
    producer.sends_numbers(0..1).await;
    pass(60).await;
    assert_eq!(queues(), 1, "it is not empty");
    consumer.consumes("0", "/queue/q").await;
    let message = consumer.gets_message("0").await;
    consumer.acks(&message).await;
    pass(60).await;
    assert_eq!(queues(), 1, "it has a consumer");
    consumer.asks(unsubscribe("0")).await;
    pass(5).await;
    assert_eq!(queues(), 1, "it is not idle for long");
    pass(10).await;
    assert_eq!(queues(), 0);
    // It may be there again, and be gone again.
    producer.sends_numbers(1..2).await;
    consumer.subscribes("1", "/queue/q").await;
    consumer.gets_numbers([1], false).await;
    consumer.asks(unsubscribe("1")).await;
    pass(15).await;
    assert_eq!(queues(), 0);
}
