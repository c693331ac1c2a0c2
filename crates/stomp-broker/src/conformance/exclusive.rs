//! Exclusive consumers, and queues that go with their last consumer.

use super::{
    receiver::Receiver,
    run::{Run, expect_refusal},
    test::{Outcome, Test},
};
use crate::{Address, QueueSettings, SubscribeRequest};
use stomp_session::{BoxError, Settlement};

pub(super) const EXCLUSIVE: &[Test<Run>] = tests! {
    "an exclusive consumer is the only one of its queue", |it| it.queues && it.exclusive => only;
    "a queue with consumers gets no exclusive one", |it| it.queues && it.exclusive => in_use;
    "a queue keeps its messages when its exclusive consumer leaves",
        |it| it.queues && it.exclusive => kept;
};

pub(super) const AUTO_DELETE: &[Test<Run>] = tests! {
    "a queue and its messages go with the last consumer", |it| it.queues && it.auto_delete => removed;
    "an existing queue is not made to go with its last consumer",
        |it| it.queues && it.auto_delete => existing;
    "a declared queue does not go with its last consumer",
        |it| it.queues && it.auto_delete && it.administration => declared;
};

impl Run {
    async fn subscribe_exclusively(&self, to: &Address) -> Result<Receiver, BoxError> {
        self.subscribe_as(SubscribeRequest::new(to.clone()).exclusive(true))
            .await
    }

    async fn subscribe_with_auto_delete(&self, to: &Address) -> Result<Receiver, BoxError> {
        self.subscribe_as(SubscribeRequest::new(to.clone()).auto_delete(true))
            .await
    }
}

async fn only(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumer = run.subscribe_exclusively(&queue).await?;
    let refuse_others = async || {
        let another = run.subscribe(&queue).await;
        expect_refusal("another consumer", another, "queue-in-use")?;
        let exclusive = run.subscribe_exclusively(&queue).await;
        expect_refusal("another exclusive consumer", exclusive, "queue-in-use")
    };
    refuse_others().await?;
    run.publish_all(&queue, &["1", "2"]).await?;
    consumer.expect_only(&["1", "2"]).await?;
    refuse_others().await?;
    drop(consumer);
    let mut one = run.subscribe(&queue).await?;
    drop(run.subscribe(&queue).await?);
    run.publish(&queue, "3").await?;
    one.expect_only(&["3"]).await
}

async fn in_use(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut consumer = run.subscribe(&queue).await?;
    let exclusive = run.subscribe_exclusively(&queue).await;
    expect_refusal("an exclusive consumer", exclusive, "queue-in-use")?;
    run.publish(&queue, "1").await?;
    consumer.expect_only(&["1"]).await?;
    drop(consumer);
    run.subscribe_exclusively(&queue).await.map(drop)
}

async fn kept(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish_all(&queue, &["1", "2"]).await?;
    let mut consumer = run.subscribe_exclusively(&queue).await?;
    consumer.take("1").await?.settle(Settlement::Acked);
    drop(consumer);
    run.subscribe(&queue).await?.expect_only(&["2"]).await
}

async fn removed(run: Run) -> Outcome {
    let queue = run.queue("q");
    let mut one = run.subscribe_with_auto_delete(&queue).await?;
    let two = run.subscribe_with_auto_delete(&queue).await?;
    run.publish(&queue, "1").await?;
    drop(two);
    one.expect_only(&["1"]).await?;
    run.publish_all(&queue, &["unsettled", "waits"]).await?;
    let unsettled = one.take("unsettled").await?;
    drop(one);
    unsettled.settle(Settlement::Abandoned);
    let mut later = run.subscribe(&queue).await?;
    later.expect_none().await?;
    // The name is free for a queue of the usual kind.
    run.publish(&queue, "2").await?;
    drop(later);
    run.subscribe(&queue).await?.expect_only(&["2"]).await
}

async fn existing(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.publish(&queue, "1").await?;
    let refused = run.subscribe_with_auto_delete(&queue).await;
    expect_refusal("a queue with messages", refused, "not-supported")?;
    let queue = run.queue("r");
    let mut consumer = run.subscribe(&queue).await?;
    let refused = run.subscribe_with_auto_delete(&queue).await;
    expect_refusal("a queue with consumers", refused, "not-supported")?;
    run.publish(&queue, "2").await?;
    consumer.expect_only(&["2"]).await
}

async fn declared(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default()).await?;
    let refused = run.subscribe_with_auto_delete(&queue).await;
    expect_refusal("a declared queue", refused, "not-supported")?;
    let queue = run.queue("r");
    let consumer = run.subscribe_with_auto_delete(&queue).await?;
    run.declare(&queue, QueueSettings::default()).await?;
    run.publish(&queue, "1").await?;
    drop(consumer);
    run.subscribe(&queue).await?.expect_only(&["1"]).await?;
    run.delete(&queue).await?;
    run.delete(&run.queue("q")).await.map(drop)
}
