//! Queues of two nodes: both share them.

use crate::SubscribeRequest;
use crate::conformance::{
    receiver::{Receiver, SILENCE, body},
    run::{Pair, expect_refusal},
    test::{Outcome, Test, ensure_equal},
};
use futures_util::future::join4;
use stomp_session::{BoxError, Settlement};

pub(in crate::conformance) const QUEUES: &[Test<Pair>] = tests! {
    "a message of one node waits for a consumer at the other", |it| it.queues => waiting;
    "each message of a queue goes to exactly one consumer of both nodes", |it| it.queues => competing;
    "a message that a consumer of one node has goes to none at the other", |it| it.queues => held;
};

pub(in crate::conformance) const REDELIVERY: &[Test<Pair>] = tests! {
    "a message returns to the other node when its consumer goes away", |it| it.queues => gone;
    "messages that return are delivered at the other node first and in order",
        |it| it.queues => order;
    "a refused message goes to a consumer of the other node if there is no other",
        |it| it.queues => refused;
    "a redelivered message has the same id at both nodes", |it| it.queues => same_id;
};

pub(in crate::conformance) const TEMPORARY_QUEUES: &[Test<Pair>] = tests! {
    "a message of one node reaches the temporary queue of the other while it exists",
        |it| it.temporary_queues => temporary_queue;
};

pub(in crate::conformance) const EXCLUSIVE: &[Test<Pair>] = tests! {
    "an exclusive consumer at one node is the only one at both",
        |it| it.queues && it.exclusive => exclusive;
};

pub(in crate::conformance) const AUTO_DELETE: &[Test<Pair>] = tests! {
    "a queue goes with the last consumer of both nodes",
        |it| it.queues && it.auto_delete => auto_delete;
};

pub(in crate::conformance) const SHUTDOWN: &[Test<Pair>] = tests! {
    "when one node shuts down, its messages return to the other, which goes on", |_| true => shutdown;
};

async fn waiting(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        here.publish_all(&queue, &["1", "2", "3"]).await?;
        let mut consumer = there.subscribe(&queue).await?;
        consumer.expect_only(&["1", "2", "3"]).await?;
        here.publish(&queue, "4").await?;
        consumer.expect_marked("4", false).await?;
        drop(consumer);
        here.subscribe(&queue).await?.expect_none().await?;
    }
    Ok(())
}

async fn exclusive(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        let request = SubscribeRequest::new(queue.clone()).exclusive(true);
        let mut consumer = here.subscribe_as(request.clone()).await?;
        let refused = there.subscribe(&queue).await;
        expect_refusal("another consumer", refused, "queue-in-use")?;
        there.publish(&queue, "1").await?;
        consumer.expect_only(&["1"]).await?;
        drop(consumer);
        let _consumer = there.subscribe(&queue).await?;
        let refused = here.subscribe_as(request).await;
        expect_refusal("an exclusive consumer", refused, "queue-in-use")?;
    }
    Ok(())
}

async fn auto_delete(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        let request = SubscribeRequest::new(queue.clone()).auto_delete(true);
        let one = here.subscribe_as(request.clone()).await?;
        let two = there.subscribe_as(request).await?;
        drop(one);
        here.publish(&queue, "waits").await?;
        drop(two);
        here.subscribe(&queue).await?.expect_none().await?;
    }
    Ok(())
}

/// Takes and acknowledges messages until none arrives for a moment, or there are too many. Returns their numbers.
async fn consume(mut consumer: Receiver) -> Result<Vec<u32>, BoxError> {
    let mut numbers = Vec::new();
    let mut is_silent = false;
    while !is_silent && numbers.len() < 1_000 {
        let items = consumer.drain().await;
        is_silent = items.is_empty();
        for delivery in items {
            let delivery = delivery?;
            numbers.push(body(&delivery).parse()?);
            delivery.settle(Settlement::Acked);
        }
    }
    Ok(numbers)
}

async fn competing(pair: Pair) -> Outcome {
    let queue = pair.one.queue("q");
    let [one, two, three] = [
        pair.one.subscribe(&queue).await?,
        pair.two.subscribe(&queue).await?,
        pair.two.subscribe(&queue).await?,
    ];
    let publish = async {
        for number in 0..25 {
            pair.one.publish(&queue, &(2 * number).to_string()).await?;
            let odd = (2 * number + 1).to_string();
            pair.two.publish(&queue, &odd).await?;
        }
        Ok::<_, BoxError>(())
    };
    let (published, one, two, three) =
        join4(publish, consume(one), consume(two), consume(three)).await;
    published?;
    let mut numbers = [one?, two?, three?].concat();
    numbers.sort_unstable();
    ensure_equal("the numbers", numbers, (0..50).collect())
}

async fn same_id(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        here.publish(&queue, "1").await?;
        let mut consumer = there.subscribe(&queue).await?;
        let delivery = consumer.next().await?;
        let id = delivery.message().id();
        delivery.settle(Settlement::Abandoned);
        drop(consumer);
        let delivery = here.subscribe(&queue).await?.next().await?;
        ensure_equal("the id", delivery.message().id(), id)?;
        delivery.settle(Settlement::Acked);
    }
    Ok(())
}

async fn held(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        let mut one = here.subscribe(&queue).await?;
        there.publish(&queue, "1").await?;
        let delivery = one.take("1").await?;
        let mut two = there.subscribe(&queue).await?;
        two.expect_none().await?;
        delivery.settle(Settlement::Acked);
        two.expect_none().await?;
    }
    Ok(())
}

async fn gone(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        here.publish_all(&queue, &["1", "2", "3"]).await?;
        let mut one = here.subscribe(&queue).await?;
        one.expect("1").await?;
        let delivery = one.take("2").await?;
        drop(one);
        delivery.settle(Settlement::Abandoned);
        let mut two = there.subscribe(&queue).await?;
        two.expect_marked("2", true).await?;
        two.expect_marked("3", false).await?;
        two.expect_none().await?;
    }
    Ok(())
}

async fn order(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        here.publish_all(&queue, &["1", "2", "3", "4"]).await?;
        let mut one = here.subscribe(&queue).await?;
        let mut taken = Vec::new();
        for text in ["1", "2", "3"] {
            taken.push(one.take(text).await?);
        }
        drop(one);
        for (delivery, settlement) in taken.into_iter().zip([
            Settlement::Abandoned,
            Settlement::Unsent,
            Settlement::Nacked,
        ]) {
            delivery.settle(settlement);
        }
        let mut two = there.subscribe(&queue).await?;
        for (text, is_redelivered) in [("1", true), ("2", false), ("3", true), ("4", false)] {
            two.expect_marked(text, is_redelivered).await?;
        }
        two.expect_none().await?;
    }
    Ok(())
}

async fn refused(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.queue("q");
        let mut one = here.subscribe(&queue).await?;
        here.publish(&queue, "1").await?;
        let delivery = one.take("1").await?;
        let mut two = there.subscribe(&queue).await?;
        two.expect_none().await?;
        delivery.settle(Settlement::Nacked);
        // The consumer that refused it does not poll, so it has no credit.
        two.expect_marked("1", true).await?;
        two.expect_none().await?;
        one.expect_none().await?;
    }
    Ok(())
}

async fn temporary_queue(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let queue = here.temporary("t");
        there.publish(&queue, "before the queue exists").await?;
        let mut consumer = here.subscribe(&queue).await?;
        there.publish(&queue, "1").await?;
        here.publish(&queue, "2").await?;
        let mut found = Vec::new();
        for _ in 0..2 {
            let delivery = consumer.next().await?;
            found.push(body(&delivery));
            delivery.settle(Settlement::Acked);
        }
        // The messages of two nodes have no common order.
        found.sort_unstable();
        ensure_equal("the messages", found, vec!["1".to_owned(), "2".to_owned()])?;
        there.publish(&queue, "not consumed").await?;
        drop(consumer);
        tokio::time::sleep(SILENCE).await;
        there.publish(&queue, "after the queue is gone").await?;
        here.subscribe(&queue).await?.expect_none().await?;
    }
    Ok(())
}

async fn shutdown(pair: Pair) -> Outcome {
    let Pair { one, two } = &pair;
    let (topic, queue) = (one.topic("a"), one.queue("q"));
    let mut ends = one.subscribe(&topic).await?;
    let mut stays = two.subscribe(&topic).await?;
    let mut taken = Vec::new();
    let mut consumer = None;
    if pair.capabilities().queues {
        let mut first = one.subscribe(&queue).await?;
        one.publish_all(&queue, &["1", "2", "3"]).await?;
        for text in ["1", "2"] {
            taken.push(first.take(text).await?);
        }
        consumer = Some(first);
    }
    one.shut_down().await?;
    ends.expect_end().await?;
    let refused = one.publish(&topic, "refused").await;
    expect_refusal("a publication", refused, "engine-unavailable")?;
    two.publish(&topic, "1").await?;
    stays.expect_only(&["1"]).await?;
    if let Some(mut consumer) = consumer {
        consumer.expect_end().await?;
        let mut second = two.subscribe(&queue).await?;
        // The consumers of the node may have seen them.
        for (text, is_redelivered) in [("1", true), ("2", true), ("3", false)] {
            second.expect_marked(text, is_redelivered).await?;
        }
        // Too late: they are settled already.
        for delivery in taken {
            delivery.settle(Settlement::Nacked);
        }
        second.expect_none().await?;
    }
    Ok(())
}
