//! Transactions: all messages or none.

use super::{
    run::{Run, Transaction, expect_refusal, publication},
    test::{Outcome, Test, ensure},
};
use crate::{Address, Capabilities, QueueSettings};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "the messages of a transaction are published together and in order, or not at all",
        |it| it.transactions => all_or_nothing;
    "a transaction without messages can be committed", |it| it.transactions => empty;
    "transactions at the same time are independent", |it| it.transactions => independent;
    "a transaction that is dropped while it prepares a message publishes nothing",
        |it| it.transactions => dropped_prepare;
    "a committed transaction is published even if its messages ask for no confirmation",
        |it| it.transactions => unconfirmed;
    "if one message of a transaction has no room, none is published", has_bounds => no_room;
    "a transaction that is dropped releases its room", has_bounds => released_room;
    "a transaction and another publisher do not both get the same room", has_bounds => contended_room;
};

fn has_bounds(it: Capabilities) -> bool {
    it.transactions && it.queues && it.queue_bounds && it.administration
}

/// A topic, and a queue if the engine has queues.
fn destinations(run: &Run) -> Vec<Address> {
    let mut destinations = vec![run.topic("a"), run.topic("b")];
    if run.capabilities().queues {
        destinations.extend([run.queue("q"), run.queue("r")]);
    }
    destinations
}

async fn all_or_nothing(run: Run) -> Outcome {
    let to = destinations(&run);
    let mut streams = Vec::new();
    for to in &to {
        streams.push(run.subscribe(to).await?);
    }
    for is_committed in [false, true, true] {
        let mut transaction = run.begin();
        for number in ["1", "2", "3"] {
            for to in &to {
                transaction.prepare(to, number).await?;
            }
        }
        for stream in &mut streams {
            stream.expect_none().await?;
        }
        let expected = if is_committed {
            transaction.commit().await?;
            &["1", "2", "3"][..]
        } else {
            drop(transaction);
            &[]
        };
        for stream in &mut streams {
            stream.expect_only(expected).await?;
        }
    }
    Ok(())
}

async fn empty(run: Run) -> Outcome {
    run.begin().commit().await?;
    drop(run.begin());
    Ok(())
}

async fn independent(run: Run) -> Outcome {
    for to in destinations(&run) {
        let mut stream = run.subscribe(&to).await?;
        let mut transactions = [run.begin(), run.begin(), run.begin()];
        for number in ["1", "2"] {
            for (transaction, name) in transactions.iter_mut().zip(["a", "b", "c"]) {
                transaction.prepare(&to, &format!("{name}{number}")).await?;
            }
        }
        let [one, two, three] = transactions;
        two.commit().await?;
        run.publish(&to, "between").await?;
        drop(three);
        one.commit().await?;
        stream
            .expect_only(&["b1", "b2", "between", "a1", "a2"])
            .await?;
    }
    Ok(())
}

async fn dropped_prepare(run: Run) -> Outcome {
    for to in destinations(&run) {
        let mut stream = run.subscribe(&to).await?;
        let Transaction(mut transaction) = run.begin();
        drop(transaction.prepare(&to, publication(&to, "1")));
        let prepare = transaction.prepare(&to, publication(&to, "2"));
        drop(transaction);
        drop(prepare);
        stream.expect_none().await?;
        run.publish(&to, "3").await?;
        stream.expect_only(&["3"]).await?;
    }
    Ok(())
}

async fn unconfirmed(run: Run) -> Outcome {
    for to in destinations(&run) {
        let mut stream = run.subscribe(&to).await?;
        let mut transaction = run.begin();
        for text in ["1", "2"] {
            let publication = publication(&to, text).confirm(false);
            transaction.prepare_as(&to, publication).await?;
        }
        transaction.commit().await?;
        stream.expect_only(&["1", "2"]).await?;
    }
    Ok(())
}

/// Prepares messages, and commits them if that succeeds: an engine may find out at either time that there is no room.
async fn publish_together(run: &Run, messages: &[(&Address, &str)]) -> Outcome {
    let mut transaction = run.begin();
    for (to, text) in messages {
        transaction.prepare(to, text).await?;
    }
    transaction.commit().await
}

async fn no_room(run: Run) -> Outcome {
    let (topic, queue, other) = (run.topic("a"), run.queue("q"), run.queue("r"));
    run.declare(&queue, QueueSettings::default().max_messages(2))
        .await?;
    let mut subscriber = run.subscribe(&topic).await?;
    let too_many = [
        (&topic, "0"),
        (&other, "0"),
        (&queue, "1"),
        (&queue, "2"),
        (&queue, "3"),
    ];
    let refused = publish_together(&run, &too_many).await;
    expect_refusal("a transaction without room", refused, "queue-full")?;
    subscriber.expect_none().await?;
    for queue in [&queue, &other] {
        run.expect_waiting(queue, &[]).await?;
    }
    publish_together(&run, &[(&queue, "1"), (&topic, "0"), (&queue, "2")]).await?;
    subscriber.expect_only(&["0"]).await?;
    run.expect_waiting(&queue, &["1", "2"]).await?;
    for queue in [&queue, &other] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn released_room(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(2))
        .await?;
    for _ in 0..3 {
        let mut transaction = run.begin();
        transaction.prepare(&queue, "dropped").await?;
        transaction.prepare(&queue, "dropped").await?;
        drop(transaction);
    }
    run.publish_all(&queue, &["1", "2"]).await?;
    run.expect_waiting(&queue, &["1", "2"]).await?;
    run.delete(&queue).await.map(drop)
}

async fn contended_room(run: Run) -> Outcome {
    let queue = run.queue("q");
    run.declare(&queue, QueueSettings::default().max_messages(2))
        .await?;
    let mut transaction = run.begin();
    transaction.prepare(&queue, "a").await?;
    transaction.prepare(&queue, "b").await?;
    // An engine that reserves room refuses this message, and any other the commit.
    let published = run.publish(&queue, "c").await;
    let committed = transaction.commit().await;
    let waiting = run.browse(&queue, usize::MAX).await?;
    let (refused, expected) = if published.is_ok() {
        (committed, &["c"][..])
    } else {
        committed?;
        (published, &["a", "b"][..])
    };
    expect_refusal("a message without room", refused, "queue-full")?;
    ensure(waiting == expected, || {
        format!("expected the messages {expected:?}, but got {waiting:?}")
    })?;
    run.delete(&queue).await.map(drop)
}
