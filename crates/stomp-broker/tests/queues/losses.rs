//! Deliveries that are lost with their consumer are no refusals.

use super::{
    support::{broker_with, connect, statistics_of},
    two_clients,
};
use stomp_broker::MemoryConfig;
use stomp_testing::frames::unsubscribe;

#[tokio::test(start_paused = true)]
async fn messages_survive_a_hundred_lost_connections() {
    let (broker, mut producer, _) = two_clients(MemoryConfig::default()).await;
    producer.publish_numbers(0..20).await;
    for loss in 0..100 {
        let mut consumer = connect(&broker).await;
        consumer.consume("0", "/queue/q").await;
        consumer.expect_numbers(0..20, loss > 0).await;
        consumer.break_connection().await;
    }
    producer.consume("0", "/queue/q").await;
    producer.expect_numbers(0..20, true).await;
    let statistics = statistics_of(&broker);
    assert_eq!((statistics.dead_lettered, statistics.dropped), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_unsubscribes_again_and_again_buries_no_message() {
    let broker = broker_with(MemoryConfig::default());
    let mut client = connect(&broker).await;
    client.publish_numbers(0..20).await;
    for round in 0..20 {
        client.consume("0", "/queue/q").await;
        client.expect_numbers(0..20, round > 0).await;
        client.receipt(unsubscribe("0")).await;
    }
    client.consume("0", "/queue/q").await;
    client.expect_numbers(0..20, true).await;
    assert_eq!(statistics_of(&broker).dead_lettered, 0);
}

#[tokio::test(start_paused = true)]
async fn losses_do_not_count_as_attempts_of_a_message_that_is_refused_later() {
    let mut config = MemoryConfig::default();
    config.queues.max_delivery_attempts = 2;
    let (broker, mut producer, _) = two_clients(config).await;
    producer.publish_numbers(0..1).await;
    for loss in 0..5 {
        let mut consumer = connect(&broker).await;
        consumer.consume("0", "/queue/q").await;
        consumer.expect_numbers([0], loss > 0).await;
        consumer.break_connection().await;
    }
    producer.consume("0", "/queue/q").await;
    for _ in 0..2 {
        let message = producer.expect_numbers([0], true).await.remove(0);
        producer.nack(&message).await;
    }
    producer.expect_nothing().await;
    assert_eq!(statistics_of(&broker).dead_lettered, 1);
}
