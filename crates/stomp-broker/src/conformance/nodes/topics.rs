//! Topics of two nodes: a message that one accepts reaches the subscribers of both.

use crate::{
    Retain,
    conformance::{
        receiver::body,
        run::{Pair, expiring, publication, together, wait_for_expiry},
        test::{Outcome, Test, ensure_equal},
    },
};
use futures_util::future::join;

pub(in crate::conformance) const TOPICS: &[Test<Pair>] = tests! {
    "a message reaches the subscribers of both nodes once and in order", |_| true => both;
    "a subscription is in force on all nodes when its future completes", |_| true => in_force;
    "the messages of each publisher arrive in order at both nodes", |_| true => order;
    "the subscribers of both nodes get a message with the same id", |_| true => same_id;
};

pub(in crate::conformance) const PATTERNS: &[Test<Pair>] = tests! {
    "each subscription to a pattern gets the messages of both nodes once", |it| it.patterns => patterns;
};

pub(in crate::conformance) const USERS: &[Test<Pair>] = tests! {
    "a message to a principal's topic reaches its sessions at both nodes, and no other principal",
        |it| it.user_destinations => users;
};

pub(in crate::conformance) const RETAINED: &[Test<Pair>] = tests! {
    "a new subscription at one node begins with the message that was retained at the other",
        |it| it.retained => retained;
    "a message that the other node publishes while a subscription begins arrives exactly once",
        |it| it.retained => exactly_once;
    "a retained message that has expired is delivered at no node",
        |it| it.retained && it.expiry => expiry;
};

async fn same_id(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let topic = here.topic("a.b");
        let (mut near, mut far) = (
            here.subscribe(&topic).await?,
            there.subscribe(&topic).await?,
        );
        here.publish(&topic, "1").await?;
        let id = near.next().await?.message().id();
        ensure_equal("the id", far.next().await?.message().id(), id)?;
    }
    Ok(())
}

async fn both(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let topic = here.topic("a.b");
        let mut streams = [
            here.subscribe(&topic).await?,
            there.subscribe(&topic).await?,
            there.subscribe(&here.topic("a/b")).await?,
        ];
        let numbers: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        for number in &numbers {
            here.publish(&topic, number).await?;
        }
        for stream in &mut streams {
            for number in &numbers {
                stream.expect_marked(number, false).await?;
            }
            stream.expect_none().await?;
        }
    }
    Ok(())
}

async fn in_force(pair: Pair) -> Outcome {
    for number in 0..20 {
        for (here, there) in pair.orders() {
            let topic = here.topic(&format!("a.{number}"));
            let mut stream = there.subscribe(&topic).await?;
            here.publish(&topic, "1").await?;
            stream.expect("1").await?;
            drop(stream);
            // The next one to the same topic.
            let mut stream = there.subscribe(&topic).await?;
            here.publish(&topic, "2").await?;
            stream.expect("2").await?;
        }
    }
    Ok(())
}

async fn order(pair: Pair) -> Outcome {
    const MESSAGES: usize = 50;
    let topic = pair.one.topic("a");
    let mut streams = [
        pair.one.subscribe(&topic).await?,
        pair.two.subscribe(&topic).await?,
    ];
    let publishers = [("a", &pair.one), ("b", &pair.two), ("c", &pair.one)];
    let publishers = publishers.map(|(publisher, run)| {
        let (run, topic) = (run.clone(), topic.clone());
        async move {
            for number in 0..MESSAGES {
                run.publish(&topic, &format!("{publisher}{number}")).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    });
    together(publishers).await?;
    for stream in &mut streams {
        let mut found = Vec::new();
        for _ in 0..3 * MESSAGES {
            found.push(body(&stream.next().await?));
        }
        stream.expect_none().await?;
        for publisher in ["a", "b", "c"] {
            let own = found.iter().filter(|text| text.starts_with(publisher));
            let own: Vec<_> = own.cloned().collect();
            let expected = (0..MESSAGES).map(|number| format!("{publisher}{number}"));
            ensure_equal("the messages", own, expected.collect())?;
        }
    }
    Ok(())
}

async fn patterns(pair: Pair) -> Outcome {
    let mut streams = Vec::new();
    for run in [&pair.one, &pair.two] {
        for pattern in ["a.*", "a.>", "*.b", "a.b"] {
            streams.push(run.subscribe(&run.topic(pattern)).await?);
        }
    }
    let topic = pair.one.topic("a.b");
    pair.one.publish(&topic, "1").await?;
    for stream in &mut streams {
        let delivery = stream.take("1").await?;
        let destination = delivery.message().destination();
        ensure_equal("the destination", destination, Some(&*topic.to_string()))?;
        stream.expect_none().await?;
    }
    pair.two.publish(&topic, "2").await?;
    for stream in &mut streams {
        stream.expect_only(&["2"]).await?;
    }
    Ok(())
}

async fn users(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let of_ann = here.user("ann", "a");
        let mut own = [
            here.subscribe(&of_ann).await?,
            there.subscribe(&of_ann).await?,
        ];
        let mut others = [
            there.subscribe(&here.user("bob", "a")).await?,
            there.subscribe(&here.topic("a")).await?,
        ];
        here.publish(&of_ann, "1").await?;
        for stream in &mut own {
            stream.expect_only(&["1"]).await?;
        }
        for stream in &mut others {
            stream.expect_none().await?;
        }
    }
    Ok(())
}

async fn retained(pair: Pair) -> Outcome {
    for (here, there) in pair.orders() {
        let topic = here.topic("a");
        here.retain(&topic, "1", Retain::Set).await?;
        there.subscribe(&topic).await?.expect_only(&["1"]).await?;
        there.retain(&topic, "2", Retain::Set).await?;
        let mut stream = here.subscribe(&topic).await?;
        there.publish(&topic, "3").await?;
        stream.expect_only(&["2", "3"]).await?;
        there.retain(&topic, "removed", Retain::Remove).await?;
        stream.expect("removed").await?;
        for run in [here, there] {
            run.subscribe(&topic).await?.expect_none().await?;
        }
    }
    Ok(())
}

async fn exactly_once(pair: Pair) -> Outcome {
    const MESSAGES: u32 = 200;
    let topic = pair.one.topic("a");
    pair.one.retain(&topic, "0", Retain::Set).await?;
    let subscriber = |delay: u32| {
        let (run, topic) = (pair.two.clone(), topic.clone());
        async move {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            let mut stream = run.subscribe(&topic).await?;
            let mut next = None;
            while next != Some(MESSAGES) {
                let number = body(&stream.next().await?).parse::<u32>()?;
                ensure_equal("the number", number, next.unwrap_or(number))?;
                next = Some(number + 1);
            }
            Ok(())
        }
    };
    let subscribers = (0..20).map(|number| subscriber(number * 9));
    let publisher = {
        let (run, topic) = (pair.one.clone(), topic.clone());
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
    pair.one.retain(&topic, "removed", Retain::Remove).await
}

async fn expiry(pair: Pair) -> Outcome {
    let (topic, other) = (pair.one.topic("a"), pair.one.topic("b"));
    let expires = expiring(&topic, "1").retain(Retain::Set);
    pair.one.publish_as(&topic, expires).await?;
    let stays = publication(&other, "2").retain(Retain::Set);
    pair.one.publish_as(&other, stays).await?;
    pair.two.subscribe(&topic).await?.expect("1").await?;
    wait_for_expiry().await;
    for run in [&pair.one, &pair.two] {
        run.subscribe(&topic).await?.expect_none().await?;
        run.subscribe(&other).await?.expect("2").await?;
    }
    pair.one.retain(&other, "removed", Retain::Remove).await
}
