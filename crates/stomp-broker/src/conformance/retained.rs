//! Retained messages: the last values of topics.

use super::{
    receiver::body,
    run::{Run, addressed, expired, expiring, publication, together, wait_for_expiry},
    test::{Outcome, Test, ensure, ensure_equal},
};
use crate::{Address, Publication, Retain};
use futures_util::future::join;
use stomp_session::Message;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a new subscription begins with the message that was retained last", |it| it.retained => last_value;
    "a retained message arrives as it was published", |it| it.retained => unchanged;
    "subscribers get a message that sets or removes the retained one", |it| it.retained => live;
    "after it is removed, there is no retained message", |it| it.retained => removed;
    "topics with the same segments have one retained message", |it| it.retained => equal_segments;
    "a new subscription to a pattern begins with the retained message of each topic",
        |it| it.retained && it.patterns => patterns;
    "the retained messages of principals are separate",
        |it| it.retained && it.user_destinations => users;
    "a retained message that has expired is not delivered",
        |it| it.retained && it.expiry => expiry;
    "a message that is published while a subscription begins arrives exactly once",
        |it| it.retained => exactly_once;
    "a transaction retains messages when it is committed",
        |it| it.retained && it.transactions => transactions;
};

async fn last_value(run: Run) -> Outcome {
    let topic = run.topic("a");
    run.retain(&topic, "1", Retain::Set).await?;
    run.retain(&topic, "2", Retain::Set).await?;
    run.publish(&topic, "not retained").await?;
    let mut streams = [run.subscribe(&topic).await?, run.subscribe(&topic).await?];
    run.publish(&topic, "3").await?;
    for stream in &mut streams {
        stream.expect_only(&["2", "3"]).await?;
    }
    drop(streams);
    run.subscribe(&topic).await?.expect_only(&["2"]).await?;
    forget(&run, &[topic]).await
}

async fn unchanged(run: Run) -> Outcome {
    let topic = run.topic("a.b");
    let sent = addressed(&topic, Message::new("1")).with_header("content-type", "x/y");
    let publication = Publication::new(sent.clone()).retain(Retain::Set);
    run.publish_as(&topic, publication).await?;
    let delivery = run.subscribe(&topic).await?.take("1").await?;
    ensure_equal("the headers", delivery.headers(), sent.headers())?;
    let destination = delivery.message().destination();
    ensure_equal("the destination", destination, sent.destination())?;
    let is_redelivered = delivery.is_redelivered();
    ensure_equal("the mark `redelivered`", is_redelivered, false)?;
    forget(&run, &[topic]).await
}

async fn live(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut stream = run.subscribe(&topic).await?;
    run.retain(&topic, "set", Retain::Set).await?;
    run.retain(&topic, "removed", Retain::Remove).await?;
    stream.expect_only(&["set", "removed"]).await
}

async fn removed(run: Run) -> Outcome {
    let (topic, other) = (run.topic("a"), run.topic("a.b"));
    run.retain(&topic, "1", Retain::Set).await?;
    run.retain(&other, "2", Retain::Set).await?;
    run.retain(&topic, "removed", Retain::Remove).await?;
    run.retain(&topic, "removed again", Retain::Remove).await?;
    run.subscribe(&topic).await?.expect_none().await?;
    run.subscribe(&other).await?.expect_only(&["2"]).await?;
    run.retain(&topic, "3", Retain::Set).await?;
    run.subscribe(&topic).await?.expect_only(&["3"]).await?;
    forget(&run, &[topic, other]).await
}

async fn equal_segments(run: Run) -> Outcome {
    let (one, two) = (run.topic("a.b"), run.topic("a/b"));
    run.retain(&one, "1", Retain::Set).await?;
    run.retain(&two, "2", Retain::Set).await?;
    for topic in [&one, &two] {
        run.subscribe(topic).await?.expect_only(&["2"]).await?;
    }
    run.retain(&one, "removed", Retain::Remove).await?;
    run.subscribe(&two).await?.expect_none().await
}

async fn patterns(run: Run) -> Outcome {
    let topics = ["a", "a.b", "a.b.c", "b"].map(|path| run.topic(path));
    for (topic, text) in topics.iter().zip(["1", "2", "3", "4"]) {
        run.retain(topic, text, Retain::Set).await?;
    }
    for (pattern, expected) in [
        ("a.>", vec!["1", "2", "3"]),
        ("*", vec!["1", "4"]),
        ("a.*", vec!["2"]),
        ("c.#", vec![]),
    ] {
        let mut stream = run.subscribe(&run.topic(pattern)).await?;
        let mut found = Vec::new();
        for _ in 0..expected.len() {
            found.push(body(&stream.next().await?));
        }
        // There is no order among topics.
        found.sort_unstable();
        ensure(found == expected, || {
            format!("expected {expected:?} for the pattern {pattern:?}, but got {found:?}")
        })?;
        stream.expect_none().await?;
    }
    forget(&run, &topics).await
}

async fn users(run: Run) -> Outcome {
    let topics = [run.user("ann", "a"), run.user("bob", "a"), run.topic("a")];
    let [of_ann, of_bob, shared] = &topics;
    run.retain(of_ann, "1", Retain::Set).await?;
    for topic in [of_bob, shared] {
        run.subscribe(topic).await?.expect_none().await?;
    }
    run.retain(shared, "2", Retain::Set).await?;
    run.retain(of_bob, "removed", Retain::Remove).await?;
    run.subscribe(of_ann).await?.expect_only(&["1"]).await?;
    forget(&run, &topics).await
}

async fn expiry(run: Run) -> Outcome {
    let topics = ["a", "b", "c"].map(|path| run.topic(path));
    let [one, two, three] = &topics;
    let set = |publication: Publication| publication.retain(Retain::Set);
    run.publish_as(one, set(expiring(one, "1"))).await?;
    run.publish_as(two, set(super::run::expiring_late(two, "2")))
        .await?;
    run.publish_as(three, set(expired(three, "expired")))
        .await?;
    for (topic, expected) in [(one, &["1"][..]), (two, &["2"]), (three, &[])] {
        run.subscribe(topic).await?.expect_only(expected).await?;
    }
    wait_for_expiry().await;
    for (topic, expected) in [(one, &[][..]), (two, &["2"])] {
        run.subscribe(topic).await?.expect_only(expected).await?;
    }
    forget(&run, &topics).await
}

async fn exactly_once(run: Run) -> Outcome {
    const MESSAGES: u32 = 200;
    let topic = run.topic("a");
    run.retain(&topic, "0", Retain::Set).await?;
    let subscriber = |delay: u32| {
        let (run, topic) = (run.clone(), topic.clone());
        async move {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            let mut stream = run.subscribe(&topic).await?;
            let mut next = None;
            while next != Some(MESSAGES) {
                let number = body(&stream.next().await?).parse::<u32>()?;
                let expected = next.unwrap_or(number);
                ensure_equal("the number", number, expected)?;
                next = Some(number + 1);
            }
            Ok(())
        }
    };
    let subscribers = (0..20).map(|number| subscriber(number * 9));
    let publisher = {
        let (run, topic) = (run.clone(), topic.clone());
        async move {
            for number in 1..MESSAGES {
                run.retain(&topic, &number.to_string(), Retain::Set).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    };
    let (publisher, subscribers) = join(together([publisher]), together(subscribers)).await;
    publisher?;
    subscribers?;
    forget(&run, &[topic]).await
}

async fn transactions(run: Run) -> Outcome {
    let topic = run.topic("a");
    let set = |text| publication(&topic, text).retain(Retain::Set);
    let mut transaction = run.begin();
    transaction.prepare_as(&topic, set("1")).await?;
    drop(transaction);
    let mut transaction = run.begin();
    transaction.prepare_as(&topic, set("2")).await?;
    run.subscribe(&topic).await?.expect_none().await?;
    transaction.prepare_as(&topic, set("3")).await?;
    transaction.commit().await?;
    run.subscribe(&topic).await?.expect_only(&["3"]).await?;
    forget(&run, &[topic]).await
}

/// Removes the retained messages of topics, to leave the engine as it was.
async fn forget(run: &Run, topics: &[Address]) -> Outcome {
    for topic in topics {
        run.retain(topic, "", Retain::Remove).await?;
    }
    Ok(())
}
