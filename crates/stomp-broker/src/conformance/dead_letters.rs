//! Messages that a queue gives up.

use super::{
    run::{Run, expiring, wait_for_expiry},
    test::{Outcome, Test, ensure, ensure_equal},
};
use crate::{Address, Capabilities, Publication, QueueOverflow, QueueSettings};
use std::time::Duration;
use stomp_session::{Message, Settlement};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a message is given up after its delivery attempts", has_attempts => attempts;
    "an abandoned delivery is no refusal", has_attempts => abandoned_is_not_refused;
    "a message is given up after its abandoned deliveries", has_attempts => abandoned;
    "a delivery that was never sent is no attempt", has_attempts => unsent;
    "a message that is given up becomes a dead letter", has_dead_letters => dead_letter;
    "a message that is abandoned too often is a dead letter with the reason abandoned",
        has_dead_letters => abandoned_letter;
    "a dead letter is a message like others, with its body and headers", has_dead_letters => unchanged;
    "a dead letter does not expire", |it| has_dead_letters(it) && it.expiry => expiry;
    "a full dead-letter queue drops its oldest messages",
        |it| has_dead_letters(it) && it.queue_bounds => full;
    "a dead letter becomes no dead letter again", has_dead_letters => twice;
    "a queue is not its own dead-letter queue", has_dead_letters => itself;
    "a message that leaves a full queue is a dead letter with the reason overflow",
        |it| has_dead_letters(it) && it.queue_bounds => overflow;
};

fn has_attempts(it: Capabilities) -> bool {
    it.queues && it.delivery_attempts && it.administration
}

fn has_dead_letters(it: Capabilities) -> bool {
    has_attempts(it) && it.dead_letters
}

/// Settings that give a message up after so many refusals, without delays.
pub(super) fn with_attempts(attempts: u32, dead: Option<&Address>) -> QueueSettings {
    QueueSettings::default()
        .max_delivery_attempts(attempts)
        .redelivery_delay(Duration::ZERO)
        .dead_letter_queue(dead.map(ToString::to_string))
}

async fn attempts(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, with_attempts(3, None)).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    for _ in 0..3 {
        consumer.take("1").await?.settle(Settlement::Nacked);
    }
    let last = consumer.take("2").await?;
    consumer.expect_none().await?;
    last.settle(Settlement::Acked);
    consumer.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn abandoned_is_not_refused(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, with_attempts(2, None)).await?;
    run.publish(&queue, "1").await?;
    for round in 0..6 {
        let mut consumer = run.subscribe(&queue).await?;
        let delivery = consumer.take("1").await?;
        drop(consumer);
        // One of these is the first of two refusals.
        delivery.settle(if round == 2 {
            Settlement::Nacked
        } else {
            Settlement::Abandoned
        });
    }
    let mut consumer = run.subscribe(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    consumer.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn abandoned(run: Run) -> Outcome {
    let queue = run.queue("q");
    let settings = with_attempts(5, None).max_abandoned_deliveries(3);
    run.declare(&queue, settings).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    for settlement in [
        Settlement::Abandoned,
        Settlement::Nacked,
        Settlement::Abandoned,
        Settlement::Unsent,
        Settlement::Abandoned,
    ] {
        consumer.take("1").await?.settle(settlement);
    }
    consumer.expect_only(&["2"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn unsent(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, with_attempts(2, None)).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    for settlement in [
        Settlement::Unsent,
        Settlement::Nacked,
        Settlement::Unsent,
        Settlement::Unsent,
        Settlement::Nacked,
    ] {
        consumer.take("1").await?.settle(settlement);
    }
    consumer.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn dead_letter(run: Run) -> Outcome {
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    run.declare(&queue, with_attempts(2, Some(&dead))).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let mut letters = run.subscribe(&dead).await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    letters.expect_none().await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    consumer.expect_only(&["2"]).await?;
    let letter = letters.take("1").await?;
    expect_headers(&letter, &queue, "rejected")?;
    letter.settle(Settlement::Acked);
    letters.expect_none().await?;
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn abandoned_letter(run: Run) -> Outcome {
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    let settings = with_attempts(1, Some(&dead)).max_abandoned_deliveries(1);
    run.declare(&queue, settings).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    consumer.take("1").await?.settle(Settlement::Abandoned);
    let letter = run.subscribe(&dead).await?.take("1").await?;
    expect_headers(&letter, &queue, "abandoned")?;
    letter.settle(Settlement::Acked);
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn unchanged(run: Run) -> Outcome {
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    run.declare(&queue, with_attempts(1, Some(&dead))).await?;
    run.declare(&dead, with_attempts(10, None)).await?;
    let sent = Message::new(vec![0, 0xff, 0]).with_header("content-type", "x/y");
    run.publish_as(&queue, Publication::new(sent.clone()))
        .await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.next().await?.settle(Settlement::Nacked);
    let mut letters = run.subscribe(&dead).await?;
    // A dead letter waits, is redelivered, and can be refused.
    for settlement in [Settlement::Nacked, Settlement::Acked] {
        let letter = letters.next().await?;
        ensure_equal("the body", letter.body(), sent.body())?;
        let header = letter.headers().get("content-type");
        ensure_equal("the header content-type", header, Some("x/y"))?;
        expect_headers(&letter, &queue, "rejected")?;
        letter.settle(settlement);
    }
    letters.expect_none().await?;
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn expiry(run: Run) -> Outcome {
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    run.declare(&queue, with_attempts(1, Some(&dead))).await?;
    run.publish_as(&queue, expiring(&queue, "1")).await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    wait_for_expiry().await;
    let letter = run.subscribe(&dead).await?.take("1").await?;
    ensure(!letter.headers().contains("expires"), || {
        "the dead letter has the header expires".to_owned()
    })?;
    letter.settle(Settlement::Acked);
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn full(run: Run) -> Outcome {
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    run.declare(&queue, with_attempts(1, Some(&dead))).await?;
    run.declare(&dead, with_attempts(1, None).max_messages(2))
        .await?;
    let mut consumer = run.subscribe(&queue).await?;
    for text in ["1", "2", "3", "4"] {
        run.publish(&queue, text).await?;
        consumer.take(text).await?.settle(Settlement::Nacked);
    }
    consumer.expect_none().await?;
    run.expect_waiting(&dead, &["3", "4"]).await?;
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn twice(run: Run) -> Outcome {
    let (queue, dead, third) = (run.queue("q"), run.queue("dead"), run.queue("third"));
    run.declare(&queue, with_attempts(1, Some(&dead))).await?;
    run.declare(&dead, with_attempts(1, Some(&third))).await?;
    run.publish(&queue, "1").await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    let mut letters = run.subscribe(&dead).await?;
    letters.take("1").await?.settle(Settlement::Nacked);
    letters.expect_none().await?;
    run.expect_waiting(&third, &[]).await?;
    // A message that was sent there is no dead letter.
    run.publish(&dead, "2").await?;
    letters.take("2").await?.settle(Settlement::Nacked);
    run.subscribe(&third).await?.expect_only(&["2"]).await?;
    for queue in [&queue, &dead, &third] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn itself(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, with_attempts(1, Some(&queue))).await?;
    run.publish(&queue, "1").await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    consumer.expect_none().await?;
    run.delete(&queue).await.map(drop)
}

async fn overflow(run: Run) -> Outcome {
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    let settings = with_attempts(1, Some(&dead))
        .max_messages(2)
        .overflow(QueueOverflow::DropOldest);
    run.declare(&queue, settings).await?;
    run.publish_all(&queue, &["1", "2", "3"]).await?;
    let mut letters = run.subscribe(&dead).await?;
    let letter = letters.take("1").await?;
    expect_headers(&letter, &queue, "overflow")?;
    letter.settle(Settlement::Acked);
    letters.expect_none().await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_only(&["2", "3"]).await?;
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

/// Checks the headers that tell of the origin of a dead letter.
pub(super) fn expect_headers(
    letter: &stomp_session::Delivery,
    queue: &Address,
    reason: &str,
) -> Outcome {
    let headers = letter.headers();
    let origin = headers.get("original-destination");
    ensure_equal(
        "the header original-destination",
        origin,
        Some(&*queue.to_string()),
    )?;
    let found = headers.get("dead-letter-reason");
    ensure_equal("the header dead-letter-reason", found, Some(reason))
}
