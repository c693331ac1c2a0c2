//! Topics: delivery to all subscribers, and order.

use super::{
    run::{Run, addressed, publication, together},
    test::{Outcome, Test, ensure, ensure_equal},
};
use crate::Publication;
use stomp_session::{Message, Settlement};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "each subscriber of a topic gets all later messages once and in order", |_| true => all_messages;
    "a message of a topic arrives as it was published", |_| true => unchanged;
    "topics with the same segments are the same topic", |_| true => equal_segments;
    "the messages of each publisher arrive in order, whatever others publish", |_| true => order;
    "the outcome of a topic's delivery has no effect", |_| true => outcomes;
    "messages that are not confirmed arrive in order with those that are", |_| true => unconfirmed;
    "a subscription that ends affects no other", |_| true => leaving;
    "a publication whose future is dropped reaches all subscribers or none", |_| true => dropped;
};

async fn all_messages(run: Run) -> Outcome {
    let topic = run.topic("a");
    run.publish(&topic, "before").await?;
    let mut streams = [run.subscribe(&topic).await?, run.subscribe(&topic).await?];
    let mut other = run.subscribe(&run.topic("b")).await?;
    let numbers: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for number in &numbers {
        run.publish(&topic, number).await?;
    }
    drop(run.subscribe(&topic).await?);
    for stream in &mut streams {
        for number in &numbers {
            stream.expect_marked(number, false).await?;
        }
        stream.expect_none().await?;
    }
    other.expect_none().await
}

async fn unchanged(run: Run) -> Outcome {
    let topic = run.topic("a.b");
    let mut stream = run.subscribe(&topic).await?;
    let sent = addressed(&topic, Message::new(vec![0, 0xff, b'\n', 0]))
        .with_header("content-type", "x/y")
        .with_header("a:b", "c\nd\\ ä")
        .with_reply_to("/queue/answers");
    run.publish_as(&topic, Publication::new(sent.clone()))
        .await?;
    let delivery = stream.next().await?;
    ensure_equal("the id", delivery.message().id(), sent.id())?;
    ensure_equal("the body", delivery.body(), sent.body())?;
    ensure_equal("the headers", delivery.headers(), sent.headers())?;
    let destination = delivery.message().destination();
    ensure_equal("the destination", destination, sent.destination())?;
    let reply_to = delivery.message().reply_to();
    ensure_equal("the checked reply-to", reply_to, sent.reply_to())?;
    ensure_equal("the gap", delivery.gap(), None)
}

async fn equal_segments(run: Run) -> Outcome {
    let (one, two) = (run.topic("a.b/c"), run.topic("a/b.c"));
    let mut stream = run.subscribe(&one).await?;
    run.publish(&two, "1").await?;
    run.publish(&one, "2").await?;
    stream.expect_only(&["1", "2"]).await
}

async fn order(run: Run) -> Outcome {
    const MESSAGES: usize = 50;
    let topic = run.topic("a");
    let mut streams = [run.subscribe(&topic).await?, run.subscribe(&topic).await?];
    let publishers = ["a", "b", "c", "d"].map(|publisher| {
        let (run, topic) = (run.clone(), topic.clone());
        async move {
            for number in 0..MESSAGES {
                run.publish(&topic, &format!("{publisher}{number}")).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    });
    let count = publishers.len() * MESSAGES;
    together(publishers).await?;
    for stream in &mut streams {
        let mut next = [0; 4];
        for _ in 0..count {
            let text = super::receiver::body(&stream.next().await?);
            let publisher = "abcd".find(|letter| text.starts_with(letter));
            let Some(expected) = publisher.and_then(|at| next.get_mut(at)) else {
                return Err(format!("got {text:?}, which nobody published").into());
            };
            let found = text.get(1..).unwrap_or_default();
            ensure(found == expected.to_string(), || {
                format!("got {text:?}, but expected message {expected} of this publisher")
            })?;
            *expected += 1;
        }
        stream.expect_none().await?;
    }
    Ok(())
}

async fn outcomes(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut stream = run.subscribe(&topic).await?;
    run.publish_all(&topic, &["1", "2", "3", "4"]).await?;
    for (text, settlement) in [
        ("1", Settlement::Nacked),
        ("2", Settlement::Abandoned),
        ("3", Settlement::Unsent),
    ] {
        stream.take(text).await?.settle(settlement);
    }
    stream.expect_only(&["4"]).await
}

async fn unconfirmed(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut stream = run.subscribe(&topic).await?;
    let numbers: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for (number, text) in numbers.iter().enumerate() {
        let publication = publication(&topic, text).confirm(number % 5 == 4);
        run.publish_as(&topic, publication).await?;
    }
    for text in &numbers {
        stream.expect(text).await?;
    }
    stream.expect_none().await
}

async fn leaving(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(run.subscribe(&topic).await?);
    }
    run.publish(&topic, "1").await?;
    drop(streams.remove(1));
    run.publish(&topic, "2").await?;
    for stream in &mut streams {
        stream.expect_only(&["1", "2"]).await?;
    }
    drop(streams);
    run.publish(&topic, "to nobody").await?;
    let mut stream = run.subscribe(&topic).await?;
    run.publish(&topic, "3").await?;
    stream.expect_only(&["3"]).await
}

async fn dropped(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut streams = Vec::new();
    // So many that an engine may need several steps.
    for _ in 0..150 {
        streams.push(run.subscribe(&topic).await?);
    }
    run.publish(&topic, "1").await?;
    drop(run.engine.publish(&topic, publication(&topic, "dropped")));
    // It may still be on its way, and then arrive after the next message.
    tokio::time::sleep(super::receiver::SILENCE).await;
    run.publish(&topic, "2").await?;
    let mut counts = [0; 2];
    for stream in &mut streams {
        stream.expect("1").await?;
        let delivery = stream.next().await?;
        let is_dropped = delivery.body() == "dropped";
        if let Some(count) = counts.get_mut(usize::from(is_dropped)) {
            *count += 1;
        }
        if is_dropped {
            stream.expect("2").await?;
        } else {
            ensure_equal("the message", delivery.body().as_ref(), b"2")?;
        }
    }
    ensure(counts.contains(&0), || {
        let [without, with] = counts;
        format!("{with} subscribers got the message, and {without} did not")
    })
}
