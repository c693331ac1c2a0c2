//! Bounds of queues, and the policies of full ones.

use super::{
    run::{Run, expect_refusal},
    test::{Outcome, Test},
};
use crate::{Address, Capabilities, QueueOverflow, QueueSettings};
use stomp_session::Settlement;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a full queue refuses messages until one is acknowledged", has_bounds => messages;
    "a message that returns to a full queue has room", has_bounds => returned;
    "a queue is full of bytes, but an empty one accepts any message", has_bounds => bytes;
    "a full queue that drops its oldest messages accepts new ones", has_bounds => drop_oldest;
    "a full queue without waiting messages refuses new ones", has_bounds => none_waits;
};

fn has_bounds(it: Capabilities) -> bool {
    it.queues && it.queue_bounds && it.administration
}

/// Checks that a queue refuses a message because it is full.
pub(super) async fn expect_full(run: &Run, queue: &Address) -> Outcome {
    let refused = run.publish(queue, "refused").await;
    expect_refusal("a message to a full queue", refused, "queue-full")
}

async fn messages(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(3))
        .await?;
    run.publish_all(&queue, &["1", "2", "3"]).await?;
    expect_full(&run, &queue).await?;
    let mut consumer = run.subscribe(&queue).await?;
    // Messages that a consumer has count too.
    let delivery = consumer.take("1").await?;
    expect_full(&run, &queue).await?;
    delivery.settle(Settlement::Acked);
    run.publish(&queue, "4").await?;
    expect_full(&run, &queue).await?;
    consumer.expect_only(&["2", "3", "4"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn returned(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(2))
        .await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let delivery = consumer.take("1").await?;
    expect_full(&run, &queue).await?;
    delivery.settle(Settlement::Nacked);
    expect_full(&run, &queue).await?;
    consumer.expect_only(&["1", "2"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn bytes(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_bytes(2_000))
        .await?;
    let large = "x".repeat(5_000);
    run.publish(&queue, &large).await?;
    expect_full(&run, &queue).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let delivery = consumer.take(&large).await?;
    expect_full(&run, &queue).await?;
    delivery.settle(Settlement::Acked);
    run.publish(&queue, "1").await?;
    let refused = run.publish(&queue, &large).await;
    expect_refusal("a message that is too large", refused, "queue-full")?;
    run.publish(&queue, "2").await?;
    consumer.expect_only(&["1", "2"]).await?;
    run.delete(&queue).await.map(drop)
}

fn dropping(max_messages: usize) -> QueueSettings {
    QueueSettings::default()
        .max_messages(max_messages)
        .overflow(QueueOverflow::DropOldest)
        .dead_letter_queue(None)
}

async fn drop_oldest(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, dropping(2)).await?;
    run.publish_all(&queue, &["1", "2", "3", "4"]).await?;
    run.expect_waiting(&queue, &["3", "4"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    // A message that a consumer has is not dropped.
    let delivery = consumer.take("3").await?;
    run.publish(&queue, "5").await?;
    run.expect_waiting(&queue, &["5"]).await?;
    delivery.settle(Settlement::Nacked);
    consumer.expect_only(&["3", "5"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn none_waits(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, dropping(2)).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let taken = [consumer.take("1").await?, consumer.take("2").await?];
    expect_full(&run, &queue).await?;
    for delivery in taken {
        delivery.settle(Settlement::Acked);
    }
    run.publish(&queue, "3").await?;
    consumer.expect_only(&["3"]).await?;
    run.delete(&queue).await.map(drop)
}
