//! Statistics, for engines that count.

use super::{
    baseline::{Baseline, Counts},
    dead_letters::with_attempts,
    run::{Run, expect_refusal, expired, expiring, wait_for_expiry},
    test::{Outcome, Test},
};
use crate::{Capabilities, QueueSettings};
use std::time::Duration;
use stomp_session::Settlement;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "the statistics are empty, or count the messages and subscribers of topics", |_| true => topics;
    "the statistics count the messages and consumers of queues", |it| it.queues => queues;
    "the statistics count temporary queues, and messages to those that are gone",
        |it| it.temporary_queues => temporary_queues;
    "a queue that never had a message is forgotten with its last consumer",
        |it| it.queues => unused_queue;
    "the statistics count delayed messages as waiting",
        |it| can_administer(it) && it.redelivery_delay => delayed;
    "the statistics count messages that expired", |it| it.expiry => expiry;
    "the statistics count dead letters, and messages that no queue took",
        |it| can_administer(it) && it.dead_letters && it.delivery_attempts => dead_letters;
    "the statistics count messages that were purged or deleted", can_administer => removed;
    "the statistics count no message that was refused",
        |it| can_administer(it) && it.queue_bounds => refused;
    "the statistics count the messages of a transaction once it is committed",
        |it| it.transactions => transactions;
};

fn can_administer(it: Capabilities) -> bool {
    it.queues && it.administration
}

async fn topics(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let topic = run.topic("a");
    run.publish(&topic, "before").await?;
    baseline.expect_no_destination(&topic).await?;
    let mut streams = [run.subscribe(&topic).await?, run.subscribe(&topic).await?];
    run.publish_all(&topic, &["1", "2"]).await?;
    for stream in &mut streams {
        stream.expect_only(&["1", "2"]).await?;
    }
    baseline
        .expect(Counts {
            published: 3,
            delivered: 4,
            ..Counts::default()
        })
        .await?;
    baseline.expect_destination(&topic, 2, 2, [0, 0]).await?;
    let [stream, other] = streams;
    drop(stream);
    baseline.expect_destination(&topic, 1, 2, [0, 0]).await?;
    drop(other);
    baseline.expect_no_destination(&topic).await
}

async fn queues(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2", "3"]).await?;
    baseline.expect_destination(&queue, 0, 3, [3, 0]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let one = consumer.take("1").await?;
    let two = consumer.take("2").await?;
    baseline.expect_destination(&queue, 1, 3, [1, 2]).await?;
    one.settle(Settlement::Acked);
    two.settle(Settlement::Nacked);
    baseline.expect_destination(&queue, 1, 3, [2, 0]).await?;
    let counts = |delivered| Counts {
        published: 3,
        delivered,
        ..Counts::default()
    };
    baseline.expect(counts(1)).await?;
    consumer.expect_only(&["2", "3"]).await?;
    baseline.expect_destination(&queue, 1, 3, [0, 0]).await?;
    baseline.expect(counts(3)).await
}

async fn unused_queue(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let queue = run.queue("q");
    let (one, two) = (run.subscribe(&queue).await?, run.subscribe(&queue).await?);
    baseline.expect_destination(&queue, 2, 0, [0, 0]).await?;
    drop(one);
    baseline.expect_destination(&queue, 1, 0, [0, 0]).await?;
    drop(two);
    baseline.expect_no_destination(&queue).await
}

async fn delayed(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let queue = run.queue("q");
    let settings = QueueSettings::default()
        .redelivery_delay(Duration::from_secs(60))
        .max_redelivery_delay(Duration::from_secs(60));
    run.declare(&queue, settings).await?;
    run.publish(&queue, "1").await?;
    let mut consumer = run.subscribe(&queue).await?;
    for _ in 0..2 {
        consumer.take("1").await?.settle(Settlement::Nacked);
    }
    consumer.expect_none().await?;
    baseline.expect_destination(&queue, 1, 1, [1, 0]).await?;
    run.delete(&queue).await.map(drop)
}

async fn temporary_queues(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let queue = run.temporary("t");
    run.publish(&queue, "dropped").await?;
    let mut consumers = [run.subscribe(&queue).await?, run.subscribe(&queue).await?];
    run.publish(&queue, "1").await?;
    let [consumer, _] = &mut consumers;
    consumer.expect("1").await?;
    baseline.expect_temporary_queues(1).await?;
    baseline.expect_no_destination(&queue).await?;
    baseline
        .expect(Counts {
            published: 2,
            delivered: 1,
            dropped: 1,
            ..Counts::default()
        })
        .await?;
    drop(consumers);
    baseline.expect_temporary_queues(0).await
}

async fn expiry(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let topic = run.topic("a");
    let mut stream = run.subscribe(&topic).await?;
    run.publish_as(&topic, expired(&topic, "expired")).await?;
    stream.expect_none().await?;
    let mut counts = Counts {
        published: 1,
        expired: 1,
        ..Counts::default()
    };
    if run.capabilities().queues {
        let queue = run.queue("q");
        run.publish_as(&queue, expired(&queue, "expired")).await?;
        run.publish_as(&queue, expiring(&queue, "expires")).await?;
        wait_for_expiry().await;
        run.subscribe(&queue).await?.expect_none().await?;
        counts.published += 2;
        counts.expired += 2;
    }
    baseline.expect(counts).await
}

async fn dead_letters(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    run.declare(&queue, with_attempts(1, Some(&dead))).await?;
    run.publish(&queue, "1").await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    baseline.expect_destination(&dead, 0, 1, [1, 0]).await?;
    let counts = |published, dropped| Counts {
        published,
        dead_lettered: 1,
        dropped,
        ..Counts::default()
    };
    baseline.expect(counts(1, 0)).await?;
    run.declare(&queue, with_attempts(1, None)).await?;
    run.publish(&queue, "2").await?;
    consumer.take("2").await?.settle(Settlement::Nacked);
    baseline.expect(counts(2, 1)).await?;
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn removed(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let queue = run.queue("q");
    let counts = |published, dropped| Counts {
        published,
        dropped,
        ..Counts::default()
    };
    run.publish_all(&queue, &["1", "2"]).await?;
    run.purge(&queue).await?;
    baseline.expect(counts(2, 2)).await?;
    run.publish_all(&queue, &["3", "4"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let delivery = consumer.take("3").await?;
    run.delete(&queue).await?;
    delivery.settle(Settlement::Nacked);
    baseline.expect(counts(4, 4)).await?;
    drop(consumer);
    baseline.expect_no_destination(&queue).await
}

async fn refused(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(1))
        .await?;
    run.publish(&queue, "1").await?;
    let refused = run.publish(&queue, "2").await;
    expect_refusal("a message to a full queue", refused, "queue-full")?;
    baseline
        .expect(Counts {
            published: 1,
            ..Counts::default()
        })
        .await?;
    run.delete(&queue).await.map(drop)
}

async fn transactions(run: Run) -> Outcome {
    let Some(baseline) = Baseline::read(&run).await? else {
        return Ok(());
    };
    let mut destinations = vec![run.topic("a")];
    if run.capabilities().queues {
        destinations.push(run.queue("q"));
    }
    let count = destinations.len() as u64;
    let mut streams = Vec::new();
    for to in &destinations {
        streams.push(run.subscribe(to).await?);
    }
    for is_committed in [false, true] {
        let mut transaction = run.begin();
        for to in &destinations {
            transaction.prepare(to, "1").await?;
        }
        baseline.expect(Counts::default()).await?;
        if is_committed {
            transaction.commit().await?;
        }
    }
    for stream in &mut streams {
        stream.expect_only(&["1"]).await?;
    }
    baseline
        .expect(Counts {
            published: count,
            delivered: count,
            ..Counts::default()
        })
        .await
}
