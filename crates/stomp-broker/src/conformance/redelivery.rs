//! Redelivery of messages that were not acknowledged.

use super::{
    receiver::{Receiver, SILENCE},
    run::{Run, expiring, wait_for_expiry},
    test::{Outcome, Test, ensure, ensure_equal},
};
use crate::{Address, Capabilities, QueueSettings};
use std::time::Duration;
use stomp_session::Settlement;
use tokio::time::Instant;

/// The delay of the queues in these tests after a second refusal.
const DELAY: Duration = Duration::from_secs(1);

pub(super) const TESTS: &[Test<Run>] = tests! {
    "messages that return to a queue are delivered again, first and in order",
        |it| it.queues => order;
    "a message is marked as redelivered unless its delivery was never sent",
        |it| it.queues => marks;
    "a delivery that is dropped returns to its queue", |it| it.queues => dropped;
    "a refused message returns to its consumer if there is no other", |it| it.queues => only_consumer;
    "a refused message goes to another consumer that waits", |it| it.queues => other_consumer;
    "a refused message goes before all later ones", |it| it.queues => before_later;
    "a refused message goes to a later consumer if its own goes away", |it| it.queues => gone;
    "an acknowledged message is not delivered again when its consumer goes away",
        |it| it.queues => acknowledged;
    "after its second refusal, a message is delayed, and others pass", has_delay => delayed;
    "a delayed message returns to its place", has_delay => delayed_order;
    "a delayed message counts as waiting, and is purged with the others", has_delay => delayed_waits;
    "a delayed message that expires is not delivered", |it| has_delay(it) && it.expiry => delayed_expiry;
};

fn has_delay(it: Capabilities) -> bool {
    it.queues && it.administration && it.redelivery_delay
}

/// Declares a queue with a delay of a second.
async fn declare_delay(run: &Run, queue: &Address) -> Outcome {
    run.declare(queue, QueueSettings::default().redelivery_delay(DELAY))
        .await
}

/// Takes a message and refuses it twice. Checks that the first refusal causes no delay.
async fn refuse_twice(consumer: &mut Receiver, text: &str) -> Outcome {
    for _ in 0..2 {
        consumer.take(text).await?.settle(Settlement::Nacked);
    }
    Ok(())
}

async fn delayed(run: Run) -> Outcome {
    let queue = run.queue("q");
    declare_delay(&run, &queue).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    refuse_twice(&mut consumer, "1").await?;
    consumer.expect_marked("2", false).await?;
    // No other consumer gets it earlier.
    run.subscribe(&queue).await?.expect_none().await?;
    let start = Instant::now();
    run.publish(&queue, "3").await?;
    consumer.expect_marked("3", false).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    let second = Instant::now();
    consumer.expect_marked("1", true).await?;
    ensure(start.elapsed() > DELAY && second.elapsed() > DELAY, || {
        "the delay after the third refusal is not longer".to_owned()
    })?;
    consumer.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn delayed_order(run: Run) -> Outcome {
    let queue = run.queue("q");
    declare_delay(&run, &queue).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    refuse_twice(&mut consumer, "1").await?;
    refuse_twice(&mut consumer, "2").await?;
    drop(consumer);
    run.publish(&queue, "3").await?;
    tokio::time::sleep(DELAY + SILENCE).await;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_only(&["1", "2", "3"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn delayed_waits(run: Run) -> Outcome {
    let queue = run.queue("q");
    declare_delay(&run, &queue).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    refuse_twice(&mut consumer, "1").await?;
    drop(consumer);
    run.publish(&queue, "2").await?;
    run.expect_waiting(&queue, &["1", "2"]).await?;
    ensure_equal("the number", run.purge(&queue).await?, 2)?;
    tokio::time::sleep(DELAY + SILENCE).await;
    run.subscribe(&queue).await?.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn delayed_expiry(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(
        &queue,
        QueueSettings::default()
            .redelivery_delay(2 * DELAY)
            .max_redelivery_delay(10 * DELAY),
    )
    .await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_as(&queue, expiring(&queue, "1")).await?;
    refuse_twice(&mut consumer, "1").await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    wait_for_expiry().await;
    run.expect_waiting(&queue, &[]).await?;
    consumer.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn order(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2", "3", "4"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let mut taken = Vec::new();
    for text in ["1", "2", "3"] {
        taken.push(consumer.take(text).await?);
    }
    drop(consumer);
    // The order in which they return does not count.
    for delivery in taken.into_iter().rev() {
        delivery.settle(Settlement::Abandoned);
    }
    run.publish(&queue, "5").await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_only(&["1", "2", "3", "4", "5"]).await
}

async fn marks(run: Run) -> Outcome {
    let queue = run.queue("q");
    let settlements = [
        ("1", Settlement::Abandoned),
        ("2", Settlement::Unsent),
        ("3", Settlement::Nacked),
        ("4", Settlement::Unsent),
    ];
    let mut consumer = run.subscribe(&queue).await?;
    let mut taken = Vec::new();
    for (text, settlement) in settlements {
        run.publish(&queue, text).await?;
        taken.push((consumer.take(text).await?, settlement));
    }
    drop(consumer);
    for (delivery, settlement) in taken {
        delivery.settle(settlement);
    }
    let mut consumer = run.subscribe(&queue).await?;
    for (text, settlement) in settlements {
        let is_redelivered = settlement != Settlement::Unsent;
        consumer.expect_marked(text, is_redelivered).await?;
    }
    consumer.expect_none().await
}

async fn dropped(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    drop(consumer.take("1").await?);
    consumer.expect_marked("1", false).await?;
    consumer.expect_none().await
}

async fn only_consumer(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    let delivery = consumer.take("1").await?;
    delivery.settle(Settlement::Nacked);
    consumer.expect_marked("1", true).await?;
    consumer.expect_none().await
}

async fn other_consumer(run: Run) -> Outcome {
    for waits_first in [true, false] {
        let queue = run.queue("q");
        let mut one = run.subscribe(&queue).await?;
        run.publish(&queue, "1").await?;
        let delivery = one.take("1").await?;
        if waits_first {
            // It waits for its next message, and has done so for longer than the other.
            one.expect_none().await?;
        }
        let mut two = run.subscribe(&queue).await?;
        two.expect_none().await?;
        delivery.settle(Settlement::Nacked);
        // The consumer that refused it polls first, and still gets nothing.
        one.expect_none().await?;
        two.expect_marked("1", true).await?;
        one.expect_none().await?;
        two.expect_none().await?;
    }
    Ok(())
}

async fn before_later(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2", "3"]).await?;
    let first = consumer.take("1").await?;
    let second = consumer.take("2").await?;
    second.settle(Settlement::Nacked);
    consumer.expect_marked("2", true).await?;
    first.settle(Settlement::Nacked);
    consumer.expect_marked("1", true).await?;
    consumer.expect_marked("3", false).await?;
    consumer.expect_none().await
}

async fn gone(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut one = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    let delivery = one.take("1").await?;
    one.take("2").await?.settle(Settlement::Acked);
    drop(one);
    delivery.settle(Settlement::Nacked);
    let mut two = run.subscribe(&queue).await?;
    two.expect_marked("1", true).await?;
    two.expect_none().await
}

async fn acknowledged(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2", "3"]).await?;
    let mut taken = Vec::new();
    for text in ["1", "2", "3"] {
        taken.push(consumer.take(text).await?);
    }
    // Acknowledgments need not be in order.
    for (delivery, settlement) in
        taken
            .into_iter()
            .rev()
            .zip([Settlement::Acked, Settlement::Abandoned, Settlement::Acked])
    {
        delivery.settle(settlement);
    }
    drop(consumer);
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_marked("2", true).await?;
    consumer.expect_none().await
}
