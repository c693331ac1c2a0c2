//! Topics of principals.

use super::{
    run::Run,
    test::{Outcome, Test},
};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "a message to a principal's topic reaches all its sessions and no other principal",
        |it| it.user_destinations => isolation;
    "a pattern of a principal matches its own topics only",
        |it| it.user_destinations && it.patterns => patterns;
    "the name of a principal is not part of a path", |it| it.user_destinations => names;
};

async fn isolation(run: Run) -> Outcome {
    let of_ann = run.user("ann", "a");
    let mut own = [run.subscribe(&of_ann).await?, run.subscribe(&of_ann).await?];
    let mut others = [
        run.subscribe(&run.user("bob", "a")).await?,
        run.subscribe(&run.user("ann", "b")).await?,
        run.subscribe(&run.topic("a")).await?,
    ];
    run.publish(&of_ann, "1").await?;
    run.publish(&run.user("cid", "a"), "to nobody").await?;
    for stream in &mut own {
        stream.expect_only(&["1"]).await?;
    }
    for stream in &mut others {
        stream.expect_none().await?;
    }
    run.publish(&run.topic("a"), "shared").await?;
    for stream in &mut own {
        stream.expect_none().await?;
    }
    Ok(())
}

async fn patterns(run: Run) -> Outcome {
    let mut own = [
        run.subscribe(&run.user("ann", ">")).await?,
        run.subscribe(&run.user("ann", "*.b")).await?,
    ];
    let mut others = [
        run.subscribe(&run.user("bob", ">")).await?,
        run.subscribe(&run.topic(">")).await?,
        run.subscribe(&crate::Address::topic("*.*.*.*")).await?,
    ];
    run.publish(&run.user("ann", "a/b"), "1").await?;
    for stream in &mut own {
        stream.expect_only(&["1"]).await?;
    }
    for stream in &mut others {
        stream.expect_none().await?;
    }
    Ok(())
}

/// Names that an engine might confuse, if it writes them into the names of its system without care.
const NAMES: &[&str] = &[
    "a",
    "A",
    "a.b",
    "a/b",
    "a%2Eb",
    "a b",
    " a",
    "*",
    ">",
    "#",
    "ä",
    "\u{1F600}",
    "$SYS",
    "..",
];

async fn names(run: Run) -> Outcome {
    let path = run.path("x");
    let topic =
        |name: &str| crate::Address::user(stomp_session::Principal::new(name), path.clone());
    let mut streams = Vec::new();
    for name in NAMES {
        streams.push(run.subscribe(&topic(name)).await?);
    }
    // The same text as with the principal `a.b`, if name and path are joined.
    let joined = format!("b.{path}");
    let joined = crate::Address::user(stomp_session::Principal::new("a"), joined);
    run.publish(&joined, "to nobody").await?;
    for name in NAMES {
        run.publish(&topic(name), name).await?;
    }
    for (stream, name) in streams.iter_mut().zip(NAMES) {
        stream.expect_only(&[name]).await?;
    }
    Ok(())
}
