//! Delivery: the order of messages and the turns of consumers.

use super::{
    clients::{Client, answer, open, send, subscribe, unsubscribe},
    two_clients,
};
use std::time::Duration;
use stomp_frame::Command;
use tokio::time::advance;

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
    // With `ack:auto`, a message that was sent counts as acknowledged.
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
async fn a_burst_is_divided_equally_among_the_consumers() {
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
async fn a_consumer_without_credit_gets_nothing() {
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

/// The session of the notified consumer does not poll it: another subscription has used up the credit.
#[tokio::test(start_paused = true)]
async fn a_notified_consumer_that_does_not_poll_is_passed_over() {
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
