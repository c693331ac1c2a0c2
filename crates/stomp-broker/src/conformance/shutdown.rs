//! The end of an engine. One test, since the function that builds engines may return clones of one.

use super::{
    receiver::SILENCE,
    run::{Run, Transaction, expect_refusal, expired, publication},
    test::{Outcome, Test, ensure},
};
use crate::{Address, Health, QueueSettings, Retain, SubscribeRequest};
use futures_util::future::join;
use stomp_session::{BoxError, Settlement};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "after a shutdown, all calls fail, all streams end, and the engine is down", |_| true => shutdown;
};

async fn shutdown(run: Run) -> Outcome {
    let mut health = run.engine.health();
    let topic = run.topic("a");
    let mut subscriber = run.subscribe(&topic).await?;
    let mut waiting_subscriber = run.subscribe(&run.topic("b")).await?;
    let mut transaction = None;
    if run.capabilities().transactions {
        let mut prepared = run.begin();
        prepared.prepare(&topic, "not committed").await?;
        transaction = Some(prepared);
    }
    run.publish(&topic, "1").await?;
    subscriber.expect("1").await?;
    run.publish_all(&topic, &["2", "3"]).await?;
    // They arrive in the mailbox, and nobody reads them.
    tokio::time::sleep(SILENCE).await;
    let queues = queues(&run);
    let mut consumers = Vec::new();
    for queue in &queues {
        let mut consumer = run.subscribe(queue).await?;
        run.publish_all(queue, &["1", "2"]).await?;
        let delivery = consumer.take("1").await?;
        consumers.push((consumer, delivery));
    }
    let down = async {
        tokio::time::sleep(SILENCE).await;
        run.shut_down().await?;
        run.shut_down().await
    };
    let (ended, down) = join(waiting_subscriber.expect_end(), down).await;
    down?;
    ended?;
    let is_down = matches!(&*health.borrow_and_update(), Health::Down { .. });
    ensure(is_down, || "the health does not tell it".to_owned())?;
    expect_unavailable(&run, &queues).await?;
    if let Some(transaction) = transaction {
        refused("a commit", transaction.commit().await)?;
    }
    subscriber.expect_all(&["2", "3"]).await?;
    subscriber.expect_end().await?;
    for (mut consumer, delivery) in consumers {
        consumer.expect_end().await?;
        delivery.settle(Settlement::Acked);
    }
    ensure(!run.engine.health().borrow().is_up(), || {
        "a later reader of the health does not see it".to_owned()
    })
}

/// A queue of each kind that the engine has.
fn queues(run: &Run) -> Vec<Address> {
    let capabilities = run.capabilities();
    let mut queues = Vec::new();
    if capabilities.queues {
        queues.push(run.queue("q"));
    }
    if capabilities.temporary_queues {
        queues.push(run.temporary("t"));
    }
    queues
}

fn refused<T>(what: &str, result: Result<T, BoxError>) -> Outcome {
    expect_refusal(what, result, "engine-unavailable")
}

/// Checks that all calls fail.
async fn expect_unavailable(run: &Run, queues: &[Address]) -> Outcome {
    let capabilities = run.capabilities();
    let topic = run.topic("a");
    for to in queues.iter().chain([&topic]) {
        refused("a publication", run.publish(to, "1").await)?;
        let unconfirmed = publication(to, "1").confirm(false);
        refused(
            "an unconfirmed publication",
            run.publish_as(to, unconfirmed).await,
        )?;
        let request = SubscribeRequest::new(to.clone());
        refused("a subscription", run.engine.subscribe(request).await)?;
        if capabilities.expiry {
            let expired = expired(to, "1");
            refused("an expired message", run.publish_as(to, expired).await)?;
        }
        if capabilities.transactions {
            let Transaction(mut transaction) = run.begin();
            let prepared = transaction.prepare(to, publication(to, "1")).await;
            refused("a message of a transaction", prepared)?;
        }
    }
    if capabilities.retained {
        let retained = run.retain(&topic, "1", Retain::Set).await;
        refused("a retained message", retained)?;
    }
    if capabilities.queues && capabilities.administration {
        let queue = run.queue("q");
        let declared = run.declare(&queue, QueueSettings::default()).await;
        refused("declaring a queue", declared)?;
        refused("purging a queue", run.purge(&queue).await)?;
        refused("deleting a queue", run.delete(&queue).await)?;
        refused("browsing a queue", run.browse(&queue, 1).await)?;
    }
    Ok(())
}
