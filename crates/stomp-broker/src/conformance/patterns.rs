//! Subscriptions to patterns of topics.

use super::{
    receiver::body,
    run::Run,
    test::{Outcome, Test, ensure_equal},
};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "each subscription to a pattern gets the matching messages once", |it| it.patterns => matching;
    "a message to the subscriber of a pattern names its destination", |it| it.patterns => destination;
    "the pattern of all topics matches every topic", |it| it.patterns => all_topics;
    "a subscription to a pattern that ends affects no other", |it| it.patterns => leaving;
    "wildcards in a topic that is published to are not special within a segment",
        |it| it.patterns => within_segments;
};

/// Topics. Those of the same segments are one topic.
const TOPICS: &[&str] = &["a", "b", "a.b", "b.b", "a.b.c", "a/b", "a.c.c", "b.b.c.d"];

/// Patterns, and the topics that each of them matches.
const MATCHES: &[(&str, &[&str])] = &[
    ("a", &["a"]),
    ("a.b", &["a.b", "a/b"]),
    ("*", &["a", "b"]),
    ("*.b", &["a.b", "b.b", "a/b"]),
    ("a.*", &["a.b", "a/b"]),
    ("a/*", &["a.b", "a/b"]),
    ("*.*", &["a.b", "b.b", "a/b"]),
    ("a.*.c", &["a.b.c", "a.c.c"]),
    (">", TOPICS),
    ("#", TOPICS),
    ("a.>", &["a", "a.b", "a.b.c", "a/b", "a.c.c"]),
    ("a.#", &["a", "a.b", "a.b.c", "a/b", "a.c.c"]),
    ("a.b.>", &["a.b", "a.b.c", "a/b"]),
    ("*.b.>", &["a.b", "b.b", "a.b.c", "a/b", "b.b.c.d"]),
    ("*.>", TOPICS),
    ("c.>", &[]),
    ("*.*.*.*.*", &[]),
];

async fn matching(run: Run) -> Outcome {
    let mut streams = Vec::new();
    for (pattern, _) in MATCHES {
        streams.push(run.subscribe(&run.topic(pattern)).await?);
    }
    for topic in TOPICS {
        run.publish(&run.topic(topic), topic).await?;
    }
    let other = crate::Address::topic("conformance");
    run.publish(&other, "matches no pattern").await?;
    for (stream, (_, topics)) in streams.iter_mut().zip(MATCHES) {
        stream.expect_only(topics).await?;
    }
    Ok(())
}

async fn destination(run: Run) -> Outcome {
    let mut stream = run.subscribe(&run.topic("*.>")).await?;
    for path in ["a.b", "a.b.c"] {
        let topic = run.topic(path);
        run.publish(&topic, path).await?;
        let delivery = stream.take(path).await?;
        let destination = delivery.message().destination();
        ensure_equal("the destination", destination, Some(&*topic.to_string()))?;
    }
    Ok(())
}

async fn all_topics(run: Run) -> Outcome {
    let mut stream = run.subscribe(&crate::Address::topic(">")).await?;
    let text = run.path("a.b");
    run.publish(&run.topic("a.b"), &text).await?;
    // Others may use the engine.
    while body(&stream.next().await?) != text {}
    Ok(())
}

/// Patterns that match `a.b.c`.
const STAYING: &[&str] = &[
    "a.b.c", "a.b.*", "a.b.>", "a.*.c", "a.*.*", "*.b.>", "*.*.c", "*.>", ">",
];

async fn leaving(run: Run) -> Outcome {
    let topic = run.topic("a.b.c");
    for leaving in ["a.b.c", "a.b.*", "a.>", "a.*.>", "*.b.c", "a.b.c.>", "#"] {
        let leaves = run.subscribe(&run.topic(leaving)).await?;
        let mut streams = Vec::new();
        for pattern in STAYING {
            streams.push(run.subscribe(&run.topic(pattern)).await?);
        }
        drop(leaves);
        run.publish(&topic, leaving).await?;
        for stream in &mut streams {
            stream.expect_only(&[leaving]).await?;
        }
    }
    Ok(())
}

async fn within_segments(run: Run) -> Outcome {
    let mut streams = [
        run.subscribe(&run.topic("a*")).await?,
        run.subscribe(&run.topic("*")).await?,
        run.subscribe(&run.topic("b>")).await?,
    ];
    for path in ["a*", "ab", "b>", "a%2Ab", "b>c"] {
        run.publish(&run.topic(path), path).await?;
    }
    let expected: [&[&str]; 3] = [&["a*"], &["a*", "ab", "b>", "a%2Ab", "b>c"], &["b>"]];
    for (stream, expected) in streams.iter_mut().zip(expected) {
        stream.expect_only(expected).await?;
    }
    Ok(())
}
