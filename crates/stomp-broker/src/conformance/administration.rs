//! Declaring, purging, deleting and browsing queues.

use super::{
    queue_bounds::expect_full,
    run::{Run, expect_refusal},
    test::{Outcome, Test, ensure_equal},
};
use crate::{Capabilities, QueueSettings};
use futures_util::future::join;
use stomp_session::Settlement;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a declared queue has its settings until others are declared",
        |it| can_administer(it) && it.queue_bounds => declared;
    "settings that are impossible are refused", can_administer => impossible;
    "purging removes the messages that wait, and no others", can_administer => purged;
    "purged messages leave room for others", |it| can_administer(it) && it.queue_bounds => purged_room;
    "a deleted queue loses its messages, and is created again by the next", can_administer => deleted;
    "a transaction that is committed after its queue was deleted creates the queue again",
        |it| can_administer(it) && it.transactions => deleted_in_transaction;
    "deliveries of a deleted queue do not return", can_administer => returned;
    "deleting a queue ends the streams of its consumers", can_administer => ended;
    "a deleted queue loses its settings", |it| can_administer(it) && it.queue_bounds => lost_settings;
    "browsing shows the first messages that wait, and leaves them", can_administer => browsed;
    "a queue that does not exist is empty", can_administer => missing;
};

fn can_administer(it: Capabilities) -> bool {
    it.queues && it.administration
}

async fn declared(run: Run) -> Outcome {
    let queue = run.queue("q");
    let settings = QueueSettings::default;
    run.publish(&queue, "1").await?;
    run.declare(&queue, settings().max_messages(2)).await?;
    run.publish(&queue, "2").await?;
    expect_full(&run, &queue).await?;
    run.declare(&queue, settings().max_messages(3)).await?;
    run.publish(&queue, "3").await?;
    expect_full(&run, &queue).await?;
    run.declare(&queue, settings().max_messages(1)).await?;
    expect_full(&run, &queue).await?;
    run.subscribe(&queue)
        .await?
        .expect_only(&["1", "2", "3"])
        .await?;
    run.publish(&queue, "4").await?;
    expect_full(&run, &queue).await?;
    run.delete(&queue).await.map(drop)
}

async fn impossible(run: Run) -> Outcome {
    let queue = run.queue("q");
    let settings = QueueSettings::default;
    for settings in [
        settings().max_messages(0),
        settings().max_bytes(0),
        settings().max_delivery_attempts(0),
        settings().time_to_live(Some(std::time::Duration::ZERO)),
        settings().dead_letter_queue(Some("/topic/a".to_owned())),
    ] {
        let what = format!("{settings:?}");
        expect_refusal(&what, run.declare(&queue, settings).await, "bad-request")?;
    }
    run.publish_all(&queue, &["1", "2"]).await?;
    run.subscribe(&queue).await?.expect_only(&["1", "2"]).await
}

async fn purged(run: Run) -> Outcome {
    let (queue, other) = (run.queue("q"), run.queue("r"));
    run.publish(&other, "1").await?;
    run.publish_all(&queue, &["1", "2", "3", "4"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let taken = [consumer.take("1").await?, consumer.take("2").await?];
    ensure_equal("the number", run.purge(&queue).await?, 2)?;
    run.expect_waiting(&queue, &[]).await?;
    run.publish(&queue, "5").await?;
    let [one, two] = taken;
    one.settle(Settlement::Nacked);
    two.settle(Settlement::Acked);
    consumer.expect_only(&["1", "5"]).await?;
    run.expect_waiting(&other, &["1"]).await?;
    ensure_equal("the number", run.purge(&other).await?, 1)?;
    ensure_equal("the number", run.purge(&other).await?, 0)
}

async fn purged_room(run: Run) -> Outcome {
    let queue = run.queue("q");
    let settings = QueueSettings::default().max_messages(2).max_bytes(2_000);
    run.declare(&queue, settings).await?;
    let large = "x".repeat(1_500);
    run.publish_all(&queue, &["1", &large]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let delivery = consumer.take("1").await?;
    ensure_equal("the number", run.purge(&queue).await?, 1)?;
    run.publish(&queue, &large).await?;
    expect_full(&run, &queue).await?;
    delivery.settle(Settlement::Acked);
    consumer.expect_only(&[&large]).await?;
    run.delete(&queue).await.map(drop)
}

async fn deleted(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2", "3"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let delivery = consumer.take("1").await?;
    ensure_equal("the number", run.delete(&queue).await?, 2)?;
    delivery.settle(Settlement::Acked);
    run.publish(&queue, "4").await?;
    run.expect_waiting(&queue, &["4"]).await?;
    run.subscribe(&queue).await?.expect_only(&["4"]).await
}

async fn deleted_in_transaction(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut transaction = run.begin();
    transaction.prepare(&queue, "1").await?;
    run.delete(&queue).await?;
    transaction.prepare(&queue, "2").await?;
    transaction.commit().await?;
    run.expect_waiting(&queue, &["1", "2"]).await?;
    run.subscribe(&queue).await?.expect_only(&["1", "2"]).await
}

async fn returned(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let taken = [consumer.take("1").await?, consumer.take("2").await?];
    ensure_equal("the number", run.delete(&queue).await?, 0)?;
    run.publish(&queue, "3").await?;
    let [one, two] = taken;
    one.settle(Settlement::Nacked);
    two.settle(Settlement::Abandoned);
    run.subscribe(&queue).await?.expect_only(&["3"]).await
}

async fn ended(run: Run) -> Outcome {
    let (queue, other) = (run.queue("q"), run.queue("r"));
    let mut consumers = [run.subscribe(&queue).await?, run.subscribe(&queue).await?];
    let mut others = [
        run.subscribe(&other).await?,
        run.subscribe(&run.topic("q")).await?,
    ];
    let [waiting, idle] = &mut consumers;
    // One consumer waits when its queue is deleted, and the other polls later.
    let deleted = async {
        tokio::time::sleep(super::receiver::SILENCE).await;
        run.delete(&queue).await
    };
    let (ended, deleted) = join(waiting.expect_end(), deleted).await;
    deleted?;
    ended?;
    idle.expect_end().await?;
    for stream in &mut others {
        stream.expect_none().await?;
    }
    let mut later = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    later.expect_only(&["1"]).await
}

async fn lost_settings(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(1))
        .await?;
    run.delete(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    run.subscribe(&queue).await?.expect_only(&["1", "2"]).await
}

async fn browsed(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2", "3", "4"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let delivery = consumer.take("1").await?;
    for _ in 0..2 {
        run.expect_waiting(&queue, &["2", "3", "4"]).await?;
        let first = run.browse(&queue, 2).await?;
        ensure_equal("the first two", first, vec!["2".to_owned(), "3".to_owned()])?;
        let none = run.browse(&queue, 0).await?;
        ensure_equal("the first none", none, Vec::new())?;
    }
    delivery.settle(Settlement::Unsent);
    run.expect_waiting(&queue, &["1", "2", "3", "4"]).await?;
    for text in ["1", "2", "3", "4"] {
        consumer.expect_marked(text, false).await?;
    }
    consumer.expect_none().await
}

async fn missing(run: Run) -> Outcome {
    let queue = run.queue("missing");
    run.expect_waiting(&queue, &[]).await?;
    ensure_equal("the number", run.purge(&queue).await?, 0)?;
    ensure_equal("the number", run.delete(&queue).await?, 0)
}
