//! Temporary queues.

use super::{
    run::{Run, expired},
    test::{Outcome, Test},
};
use stomp_session::Settlement;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a temporary queue exists only while it has a subscriber", |it| it.temporary_queues => lifetime;
    "temporary queues are separate from each other and from other queues",
        |it| it.temporary_queues => separate;
    "a message returns to its temporary queue while that exists",
        |it| it.temporary_queues => redelivery;
    "a message in a transaction is dropped if its temporary queue is gone at the commit",
        |it| it.temporary_queues && it.transactions => transaction;
    "a message to a temporary queue that has expired is not delivered",
        |it| it.temporary_queues && it.expiry => expiry;
};

async fn lifetime(run: Run) -> Outcome {
    let queue = run.temporary("t");
    run.publish(&queue, "before the queue exists").await?;
    let mut one = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    one.expect_only(&["1", "2"]).await?;
    let mut two = run.subscribe(&queue).await?;
    drop(one);
    run.publish(&queue, "3").await?;
    two.expect_only(&["3"]).await?;
    run.publish(&queue, "not consumed").await?;
    drop(two);
    run.publish(&queue, "after the queue is gone").await?;
    let mut three = run.subscribe(&queue).await?;
    three.expect_none().await?;
    run.publish(&queue, "4").await?;
    three.expect_only(&["4"]).await
}

async fn separate(run: Run) -> Outcome {
    let mut destinations = vec![run.temporary("a"), run.temporary("b"), run.topic("a")];
    if run.capabilities().queues {
        destinations.push(run.queue("a"));
    }
    let mut streams = Vec::new();
    for to in &destinations {
        streams.push(run.subscribe(to).await?);
    }
    for (to, text) in destinations.iter().zip(["1", "2", "3", "4"]) {
        run.publish(to, text).await?;
    }
    for (stream, text) in streams.iter_mut().zip(["1", "2", "3", "4"]) {
        stream.expect_only(&[text]).await?;
    }
    Ok(())
}

async fn redelivery(run: Run) -> Outcome {
    let queue = run.temporary("t");
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    consumer.expect_marked("1", true).await?;
    let delivery = consumer.take("2").await?;
    drop(consumer);
    delivery.settle(Settlement::Abandoned);
    run.subscribe(&queue).await?.expect_none().await
}

async fn transaction(run: Run) -> Outcome {
    let (queue, gone) = (run.temporary("a"), run.temporary("b"));
    let consumer = run.subscribe(&gone).await?;
    let mut transaction = run.begin();
    transaction.prepare(&queue, "before it exists").await?;
    transaction.prepare(&gone, "after it is gone").await?;
    let mut later = run.subscribe(&queue).await?;
    transaction.prepare(&queue, "1").await?;
    drop(consumer);
    transaction.commit().await?;
    // The first message was prepared when the queue did not exist yet, so an engine may have dropped it or not.
    let mut found = Vec::new();
    for delivery in later.drain().await {
        found.push(super::receiver::body(&delivery?));
    }
    super::test::ensure(found.last().is_some_and(|text| text == "1"), || {
        format!("expected the message \"1\" at the end, but got {found:?}")
    })?;
    run.subscribe(&gone).await?.expect_none().await
}

async fn expiry(run: Run) -> Outcome {
    let queue = run.temporary("t");
    run.publish_as(&queue, expired(&queue, "expired")).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_as(&queue, expired(&queue, "expired")).await?;
    run.publish(&queue, "1").await?;
    consumer.expect_only(&["1"]).await
}
