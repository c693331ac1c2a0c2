//! Queues: each message to one consumer.

use super::{
    receiver::{Receiver, body, bounded},
    run::{Run, publication, together},
    test::{Outcome, Test, ensure, ensure_equal},
};
use crate::{Address, Publication};
use futures_util::future::{Either, join, select};
use std::{pin::pin, time::Duration};
use stomp_session::{BoxError, Delivery, Message, MessageId, Settlement};
use tokio::{sync::mpsc, task::JoinSet};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a queue keeps its messages in order until they are acknowledged", |it| it.queues => kept;
    "a message of a queue arrives as it was published", |it| it.queues => unchanged;
    "queues are separate from each other and from topics", |it| it.queues => separate;
    "queues with the same segments are the same queue", |it| it.queues => equal_segments;
    "each message of a queue goes to exactly one consumer", |it| it.queues => competing;
    "a message that a consumer has goes to no other", |it| it.queues => held;
    "consumers that wait take turns", |it| it.queues => turns;
    "a consumer that does not poll gets no message", |it| it.queues => not_polled;
    "a consumer that stops polling gets no more messages", |it| it.queues => stopped;
    "the messages of each publisher leave a queue in order", |it| it.queues => order;
    "a subscription whose future is dropped takes no message", |it| it.queues => dropped;
};

async fn kept(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2", "3", "4"]).await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_marked("1", false).await?;
    // The consumer goes away without having seen the others.
    drop(consumer);
    let mut consumer = run.subscribe(&queue).await?;
    for text in ["2", "3", "4"] {
        consumer.expect_marked(text, false).await?;
    }
    consumer.expect_none().await?;
    drop(consumer);
    run.subscribe(&queue).await?.expect_none().await
}

async fn unchanged(run: Run) -> Outcome {
    let queue = run.queue("q");
    let sent = Message::new(vec![0, 0xff, b'\n', 0])
        .with_header("content-type", "x/y")
        .with_header("a:b", "c\nd\\ ä")
        .with_id(MessageId::from(7));
    run.publish_as(&queue, Publication::new(sent.clone()))
        .await?;
    let mut consumer = run.subscribe(&queue).await?;
    for settlement in [Settlement::Nacked, Settlement::Acked] {
        let delivery = consumer.next().await?;
        ensure_equal("the id", delivery.message().id(), sent.id())?;
        ensure_equal("the body", delivery.body(), sent.body())?;
        ensure_equal("the headers", delivery.headers(), sent.headers())?;
        delivery.settle(settlement);
    }
    Ok(())
}

async fn equal_segments(run: Run) -> Outcome {
    run.publish_all(&run.queue("q.a"), &["1", "2"]).await?;
    let mut consumer = run.subscribe(&run.queue("q/a")).await?;
    for text in ["1", "2"] {
        consumer.expect_marked(text, false).await?;
    }
    consumer.expect_none().await
}

async fn separate(run: Run) -> Outcome {
    let mut consumers = Vec::new();
    let mut destinations = vec![run.topic("a")];
    destinations.extend(["a", "b", "A", "ab"].map(|path| run.queue(path)));
    for to in &destinations {
        consumers.push(run.subscribe(to).await?);
    }
    for to in &destinations {
        run.publish(to, &to.to_string()).await?;
    }
    for (consumer, to) in consumers.iter_mut().zip(&destinations) {
        consumer.expect_only(&[&to.to_string()]).await?;
    }
    Ok(())
}

async fn competing(run: Run) -> Outcome {
    const MESSAGES: u32 = 50;
    let queue = run.queue("q");
    let (mut one, mut two) = (run.subscribe(&queue).await?, run.subscribe(&queue).await?);
    for number in 0..MESSAGES {
        run.publish(&queue, &number.to_string()).await?;
    }
    let mut numbers = Vec::new();
    for _ in 0..MESSAGES {
        let (text, _) = next_of(&mut one, &mut two).await?;
        numbers.push(text.parse::<u32>()?);
    }
    numbers.sort_unstable();
    ensure(numbers == (0..MESSAGES).collect::<Vec<_>>(), || {
        format!("expected each number below {MESSAGES} once, but got {numbers:?}")
    })?;
    one.expect_none().await?;
    two.expect_none().await
}

async fn held(run: Run) -> Outcome {
    let queue = run.queue("q");
    let (mut one, mut two) = (run.subscribe(&queue).await?, run.subscribe(&queue).await?);
    run.publish(&queue, "1").await?;
    let (delivery, index) = race(&mut one, &mut two).await?;
    let other = if index == 0 { &mut two } else { &mut one };
    other.expect_none().await?;
    let mut later = run.subscribe(&queue).await?;
    later.expect_none().await?;
    delivery.settle(Settlement::Acked);
    other.expect_none().await?;
    later.expect_none().await
}

async fn turns(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumers = [run.subscribe(&queue).await?, run.subscribe(&queue).await?];
    for consumer in &mut consumers {
        consumer.expect_none().await?;
    }
    run.publish_all(&queue, &["1", "2"]).await?;
    let [one, two] = &mut consumers;
    // Neither is settled before the other arrives.
    let (one, two) = join(one.next(), two.next()).await;
    let deliveries = [one?, two?];
    let mut found = deliveries.each_ref().map(body);
    found.sort_unstable();
    ensure_equal("the messages", found, ["1".to_owned(), "2".to_owned()])?;
    for delivery in deliveries {
        delivery.settle(Settlement::Acked);
    }
    one_at_a_time(&run, &queue, consumers).await
}

/// Publishes each message when the one before has been acknowledged, to consumers that always wait. Checks that each of
/// them gets some.
async fn one_at_a_time(run: &Run, queue: &Address, consumers: [Receiver; 2]) -> Outcome {
    const MESSAGES: u32 = 10;
    let (sender, mut received) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for (index, mut consumer) in consumers.into_iter().enumerate() {
        let sender = sender.clone();
        tasks.spawn(async move {
            for _ in 0..MESSAGES {
                let Ok(delivery) = consumer.next().await else {
                    return;
                };
                delivery.settle(Settlement::Acked);
                let _ = sender.send(index);
            }
        });
    }
    let mut counts = [0; 2];
    for number in 0..MESSAGES {
        tokio::time::sleep(Duration::from_millis(20)).await;
        run.publish(queue, &number.to_string()).await?;
        let index = bounded(async { received.recv().await.ok_or_else(|| "no message".into()) });
        if let Some(count) = counts.get_mut(index.await?) {
            *count += 1;
        }
    }
    ensure(counts.iter().all(|count| *count >= 3), || {
        format!("of {MESSAGES} messages the consumers got {counts:?}")
    })
}

async fn not_polled(run: Run) -> Outcome {
    let queue = run.queue("q");
    let _idle = run.subscribe(&queue).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish_all(&queue, &["1", "2", "3", "4", "5"]).await?;
    consumer.expect_only(&["1", "2", "3", "4", "5"]).await
}

async fn stopped(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut idle = run.subscribe(&queue).await?;
    run.publish(&queue, "0").await?;
    idle.expect("0").await?;
    idle.expect_none().await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_none().await?;
    run.publish_all(&queue, &["1", "2", "3", "4", "5"]).await?;
    consumer.expect_only(&["1", "2", "3", "4", "5"]).await
}

async fn order(run: Run) -> Outcome {
    const MESSAGES: usize = 50;
    let queue = run.queue("q");
    let publishers = ["a", "b", "c", "d"].map(|publisher| {
        let (run, queue) = (run.clone(), queue.clone());
        async move {
            for number in 0..MESSAGES {
                run.publish(&queue, &format!("{publisher}{number}")).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    });
    together(publishers).await?;
    let mut consumer = run.subscribe(&queue).await?;
    let mut found = Vec::new();
    for _ in 0..4 * MESSAGES {
        let delivery = consumer.next().await?;
        found.push(body(&delivery));
        delivery.settle(Settlement::Acked);
    }
    for publisher in ["a", "b", "c", "d"] {
        let own = found.iter().filter(|text| text.starts_with(publisher));
        let expected = (0..MESSAGES).map(|number| format!("{publisher}{number}"));
        ensure(own.cloned().eq(expected), || {
            format!("the messages of publisher {publisher} are not in order: {found:?}")
        })?;
    }
    consumer.expect_none().await
}

async fn dropped(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish(&queue, "1").await?;
    let request = crate::SubscribeRequest::new(queue.clone());
    drop(run.engine.subscribe(request));
    // It may not happen, but it may not happen twice either.
    drop(run.engine.publish(&queue, publication(&queue, "2")));
    tokio::time::sleep(super::receiver::SILENCE).await;
    run.publish(&queue, "3").await?;
    let mut consumer = run.subscribe(&queue).await?;
    consumer.expect_marked("1", false).await?;
    let delivery = consumer.next().await?;
    let is_second = delivery.body() == "2";
    let found = body(&delivery);
    delivery.settle(Settlement::Acked);
    if is_second {
        consumer.expect("3").await?;
    } else {
        ensure_equal("the message", found, "3".to_owned())?;
    }
    consumer.expect_none().await
}

/// Waits for a message for either of two consumers. Returns it with the index of its consumer.
async fn race(one: &mut Receiver, two: &mut Receiver) -> Result<(Delivery, usize), BoxError> {
    match select(pin!(one.next()), pin!(two.next())).await {
        Either::Left((delivery, _)) => Ok((delivery?, 0)),
        Either::Right((delivery, _)) => Ok((delivery?, 1)),
    }
}

/// Waits for a message for either of two consumers, and acknowledges it. Returns its body and the index of its consumer.
async fn next_of(one: &mut Receiver, two: &mut Receiver) -> Result<(String, usize), BoxError> {
    let (delivery, index) = race(one, two).await?;
    let text = body(&delivery);
    delivery.settle(Settlement::Acked);
    Ok((text, index))
}
