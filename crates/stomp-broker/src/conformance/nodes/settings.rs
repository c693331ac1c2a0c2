//! Settings, transactions and administration of two nodes: what one does holds at both.

use crate::{
    Capabilities, QueueSettings,
    conformance::{
        dead_letters::{expect_headers, with_attempts},
        queue_bounds::expect_full,
        run::{Pair, expect_refusal, expiring, wait_for_expiry},
        test::{Outcome, Test, ensure_equal},
    },
};
use stomp_session::Settlement;

pub(in crate::conformance) const EXPIRY: &[Test<Pair>] = tests! {
    "a message of a queue that expires is delivered at no node",
        |it| it.queues && it.expiry => expiry;
};

pub(in crate::conformance) const DEAD_LETTERS: &[Test<Pair>] = tests! {
    "the attempts at both nodes count together, and a dead letter is at both",
        |it| can_administer(it) && it.delivery_attempts && it.dead_letters => dead_letters;
    "deliveries that are abandoned at one node are no refusals at the other",
        |it| can_administer(it) && it.delivery_attempts => abandoned;
};

pub(in crate::conformance) const QUEUE_BOUNDS: &[Test<Pair>] = tests! {
    "a queue that is full at one node is full at the other",
        |it| can_administer(it) && it.queue_bounds => queue_bounds;
};

pub(in crate::conformance) const TRANSACTIONS: &[Test<Pair>] = tests! {
    "the messages of a transaction are published at both nodes, or at none",
        |it| it.transactions => transactions;
    "if one message of a transaction has no room, none is published at any node",
        |it| it.transactions && can_administer(it) && it.queue_bounds => no_room;
};

pub(in crate::conformance) const ADMINISTRATION: &[Test<Pair>] = tests! {
    "queues are browsed, purged and deleted from each node", can_administer => administration;
};

fn can_administer(it: Capabilities) -> bool {
    it.queues && it.administration
}

async fn expiry(pair: Pair) -> Outcome {
    let queue = pair.one.queue("q");
    let publication = expiring(&queue, "expires");
    pair.one.publish_as(&queue, publication).await?;
    pair.one.publish(&queue, "1").await?;
    wait_for_expiry().await;
    let mut consumer = pair.two.subscribe(&queue).await?;
    consumer.expect_only(&["1"]).await
}

async fn dead_letters(pair: Pair) -> Outcome {
    let Pair { one, two } = &pair;
    let (queue, dead) = (one.queue("q"), one.queue("dead"));
    one.declare(&queue, with_attempts(3, Some(&dead))).await?;
    one.publish(&queue, "1").await?;
    for run in [one, two, one] {
        let mut consumer = run.subscribe(&queue).await?;
        consumer.take("1").await?.settle(Settlement::Nacked);
    }
    let letter = two.subscribe(&dead).await?.take("1").await?;
    expect_headers(&letter, &queue, "rejected")?;
    letter.settle(Settlement::Acked);
    for run in [one, two] {
        run.subscribe(&queue).await?.expect_none().await?;
        run.subscribe(&dead).await?.expect_none().await?;
    }
    for queue in [&queue, &dead] {
        one.delete(queue).await?;
    }
    Ok(())
}

async fn abandoned(pair: Pair) -> Outcome {
    let Pair { one, two } = &pair;
    let queue = one.queue("q");
    one.declare(&queue, with_attempts(2, None)).await?;
    one.publish(&queue, "1").await?;
    for run in [one, two, one, two] {
        let mut consumer = run.subscribe(&queue).await?;
        let delivery = consumer.take("1").await?;
        drop(consumer);
        delivery.settle(Settlement::Abandoned);
    }
    for run in [one, two] {
        let mut consumer = run.subscribe(&queue).await?;
        consumer.take("1").await?.settle(Settlement::Nacked);
    }
    one.subscribe(&queue).await?.expect_none().await?;
    one.delete(&queue).await.map(drop)
}

async fn queue_bounds(pair: Pair) -> Outcome {
    let Pair { one, two } = &pair;
    let queue = one.queue("q");
    one.declare(&queue, QueueSettings::default().max_messages(2))
        .await?;
    one.publish(&queue, "1").await?;
    two.publish(&queue, "2").await?;
    for run in [one, two] {
        expect_full(run, &queue).await?;
    }
    let mut consumer = one.subscribe(&queue).await?;
    consumer.expect("1").await?;
    two.publish(&queue, "3").await?;
    consumer.expect_only(&["2", "3"]).await?;
    one.delete(&queue).await.map(drop)
}

async fn transactions(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let mut destinations = vec![here.topic("a")];
        if pair.capabilities().queues {
            destinations.push(here.queue("q"));
        }
        let mut streams = Vec::new();
        for to in &destinations {
            streams.push(there.subscribe(to).await?);
        }
        streams.push(here.subscribe(&here.topic("a")).await?);
        for is_committed in [false, true] {
            let mut transaction = here.begin();
            for text in ["1", "2"] {
                for to in &destinations {
                    transaction.prepare(to, text).await?;
                }
            }
            for stream in &mut streams {
                stream.expect_none().await?;
            }
            let expected = if is_committed {
                transaction.commit().await?;
                &["1", "2"][..]
            } else {
                drop(transaction);
                &[]
            };
            for stream in &mut streams {
                stream.expect_only(expected).await?;
            }
        }
    }
    Ok(())
}

async fn no_room(pair: Pair) -> Outcome {
    let Pair { one, two } = &pair;
    let (topic, queue) = (one.topic("a"), one.queue("q"));
    two.declare(&queue, QueueSettings::default().max_messages(1))
        .await?;
    let mut streams = [one.subscribe(&topic).await?, two.subscribe(&topic).await?];
    let publish = async {
        let mut transaction = one.begin();
        for (to, text) in [(&topic, "1"), (&queue, "1"), (&queue, "2")] {
            transaction.prepare(to, text).await?;
        }
        transaction.commit().await
    };
    expect_refusal("a transaction without room", publish.await, "queue-full")?;
    for stream in &mut streams {
        stream.expect_none().await?;
    }
    two.expect_waiting(&queue, &[]).await?;
    two.delete(&queue).await.map(drop)
}

async fn administration(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        here.publish_all(&queue, &["1", "2"]).await?;
        there.expect_waiting(&queue, &["1", "2"]).await?;
        ensure_equal("the number", there.purge(&queue).await?, 2)?;
        here.expect_waiting(&queue, &[]).await?;
        here.publish_all(&queue, &["3", "4"]).await?;
        let mut consumer = here.subscribe(&queue).await?;
        let delivery = consumer.take("3").await?;
        ensure_equal("the number", there.delete(&queue).await?, 1)?;
        consumer.expect_end().await?;
        delivery.settle(Settlement::Nacked);
        here.expect_waiting(&queue, &[]).await?;
    }
    Ok(())
}
