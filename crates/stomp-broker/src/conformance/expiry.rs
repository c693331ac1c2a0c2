//! Expiry of messages.

use super::{
    receiver::SILENCE,
    run::{Run, expired, expiring, expiring_late, wait_for_expiry},
    test::{Outcome, Test},
};
use crate::QueueSettings;
use std::time::Duration;
use stomp_session::Settlement;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a message of a topic that has expired is accepted and not delivered", |it| it.expiry => topic;
    "a message of a topic that expires while it waits is delivered", |it| it.expiry => waiting_topic;
    "a message of a queue that has expired is accepted and not delivered",
        |it| it.expiry && it.queues => queue;
    "a message that expires in a queue is not delivered", |it| it.expiry && it.queues => waiting_queue;
    "a message that expires at its consumer is not delivered again",
        |it| it.expiry && it.queues => returned;
    "a message that has expired takes no room in its queue",
        |it| it.expiry && it.queues && it.queue_bounds && it.administration => room;
    "the messages of a queue expire after its time to live, unless they have a time",
        |it| it.expiry && it.queues && it.administration => time_to_live;
    "a message of a transaction that has expired is not delivered",
        |it| it.expiry && it.transactions => transaction;
};

async fn topic(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut stream = run.subscribe(&topic).await?;
    run.publish_as(&topic, expired(&topic, "expired")).await?;
    run.publish_as(&topic, expiring_late(&topic, "1")).await?;
    stream.expect_only(&["1"]).await
}

async fn waiting_topic(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut stream = run.subscribe(&topic).await?;
    run.publish_as(&topic, expiring(&topic, "1")).await?;
    wait_for_expiry().await;
    stream.expect_only(&["1"]).await
}

async fn queue(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_as(&queue, expired(&queue, "expired")).await?;
    run.publish_as(&queue, expiring_late(&queue, "1")).await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_only(&["1"]).await?;
    run.publish_as(&queue, expired(&queue, "expired")).await?;
    run.publish(&queue, "2").await?;
    consumer.expect_only(&["2"]).await
}

async fn waiting_queue(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_as(&queue, expiring(&queue, "expires")).await?;
    run.publish(&queue, "1").await?;
    run.publish_as(&queue, expiring(&queue, "expires")).await?;
    run.publish_as(&queue, expiring_late(&queue, "2")).await?;
    wait_for_expiry().await;
    if run.capabilities().administration {
        run.expect_waiting(&queue, &["1", "2"]).await?;
    }
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_only(&["1", "2"]).await
}

async fn returned(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_as(&queue, expiring(&queue, "1")).await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    let delivery = consumer.take("1").await?;
    wait_for_expiry().await;
    delivery.settle(Settlement::Nacked);
    run.publish(&queue, "2").await?;
    consumer.expect_only(&["2"]).await
}

async fn room(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(1))
        .await?;
    run.publish_as(&queue, expired(&queue, "expired")).await?;
    run.publish_as(&queue, expiring(&queue, "expires")).await?;
    // It needs no room either.
    run.publish_as(&queue, expired(&queue, "expired")).await?;
    wait_for_expiry().await;
    run.publish(&queue, "1").await?;
    run.subscribe(&queue).await?.expect_only(&["1"]).await?;
    run.delete(&queue).await?;
    // The same with bytes.
    run.declare(&queue, QueueSettings::default().max_bytes(2_000))
        .await?;
    let large = "x".repeat(1_500);
    run.publish(&queue, "1").await?;
    run.publish_as(&queue, expiring(&queue, &large)).await?;
    wait_for_expiry().await;
    run.publish(&queue, &large).await?;
    run.expect_waiting(&queue, &["1", &large]).await?;
    run.delete(&queue).await.map(drop)
}

async fn time_to_live(run: Run) -> Outcome {
    let queue = run.queue("q");
    let settings = QueueSettings::default().time_to_live(Some(Duration::from_millis(2_300)));
    run.declare(&queue, settings).await?;
    run.publish(&queue, "expires").await?;
    run.publish_as(&queue, expiring_late(&queue, "1")).await?;
    tokio::time::sleep(SILENCE).await;
    run.expect_waiting(&queue, &["expires", "1"]).await?;
    wait_for_expiry().await;
    run.expect_waiting(&queue, &["1"]).await?;
    run.subscribe(&queue).await?.expect_only(&["1"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn transaction(run: Run) -> Outcome {
    let mut destinations = vec![run.topic("a")];
    if run.capabilities().queues {
        destinations.push(run.queue("q"));
    }
    let mut streams = Vec::new();
    let mut transaction = run.begin();
    for to in &destinations {
        streams.push(run.subscribe(to).await?);
        transaction.prepare_as(to, expired(to, "expired")).await?;
        transaction.prepare(to, "1").await?;
    }
    transaction.commit().await?;
    for stream in &mut streams {
        stream.expect_only(&["1"]).await?;
    }
    Ok(())
}
