//! Names of queues: when a queue begins and ends to exist.

use super::{
    support::{broker_with, connect, statistics_of},
    two_clients,
};
use stomp_broker::{MemoryConfig, QueueSettings};
use stomp_testing::frames::{send, unsubscribe};

#[tokio::test(start_paused = true)]
async fn a_queue_that_never_had_a_message_goes_with_its_last_consumer() {
    let (broker, mut one, mut two) = two_clients(MemoryConfig::default()).await;
    let queues = || statistics_of(&broker).destinations.len();
    one.consume("0", "/queue/q").await;
    two.consume("0", "/queue/q").await;
    one.receipt(unsubscribe("0")).await;
    assert_eq!(queues(), 1, "it has another consumer");
    two.receipt(unsubscribe("0")).await;
    assert_eq!(queues(), 0);
    two.consume("1", "/queue/q").await;
    one.publish_numbers(0..1).await;
    let message = two.expect_numbers([0], false).await.remove(0);
    two.ack(&message).await;
    two.receipt(unsubscribe("1")).await;
    assert_eq!(queues(), 1, "it had a message");
}

#[tokio::test(start_paused = true)]
async fn a_declared_queue_without_messages_stays_when_its_consumers_go() {
    let broker = broker_with(MemoryConfig::default());
    broker
        .declare("/queue/q", QueueSettings::default())
        .await
        .unwrap();
    let mut client = connect(&broker).await;
    client.consume("0", "/queue/q").await;
    client.receipt(unsubscribe("0")).await;
    assert_eq!(statistics_of(&broker).destinations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_subscribes_to_each_name_once_holds_no_names() {
    let mut config = MemoryConfig::default();
    config.max_destinations = 3;
    let (broker, mut client, mut other) = two_clients(config).await;
    for number in 0..20 {
        let id = number.to_string();
        client.consume(&id, &format!("/queue/{number}")).await;
        client.receipt(unsubscribe(&id)).await;
    }
    other.receipt(send("/queue/q", "1")).await;
    broker.publish("/queue/r", "1").await.unwrap();
}
