//! Health, and events for engines that report them.

use super::{
    dead_letters::with_attempts,
    receiver::SILENCE,
    run::Run,
    test::{Outcome, Test, ensure, ensure_equal},
};
use crate::{Address, Event, EventStream, SubscribeRequest};
use futures_util::StreamExt;
use stomp_frame::{Command, Frame};
use stomp_session::{Request, SessionId, Settlement};
use tokio::time::timeout;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "an engine that was built is up", |_| true => health;
    "there are no events, or they tell in order what happens to a topic", |_| true => topic;
    "events tell of patterns by their subscriptions", |it| it.patterns => pattern;
    "events tell in order what happens to a queue", |it| it.queues => queue;
    "events tell of dead letters",
        |it| it.queues && it.dead_letters && it.delivery_attempts && it.administration => dead_letter;
    "each stream gets the events since it was created", |_| true => streams;
    "a slow reader of events misses some, is told so, and delays nobody", |_| true => slow_reader;
};

async fn health(run: Run) -> Outcome {
    let health = run.engine.health().borrow().clone();
    ensure(health.is_up(), || format!("the engine is {health}"))
}

/// The events of an engine. `None` if it reports none, which is the default.
async fn events(run: &Run) -> Option<EventStream> {
    let mut ended = run.engine.events();
    match timeout(SILENCE, ended.next()).await {
        Ok(None) => None,
        _ => Some(run.engine.events()),
    }
}

/// Reads events until none arrives for a moment. Returns those of one destination.
async fn read(events: &mut EventStream, destination: &Address) -> Vec<Event> {
    let mut found = Vec::new();
    while let Ok(Some(event)) = timeout(SILENCE, events.next()).await {
        let address = match &event {
            Event::Published { address }
            | Event::Delivered { address, .. }
            | Event::Subscribed { address, .. }
            | Event::Left { address, .. } => Some(address),
            Event::DeadLettered { queue, .. } => Some(queue),
            Event::Missed(_) => None,
        };
        if address.is_none_or(|address| address == destination) {
            found.push(event);
        }
    }
    found
}

fn published(address: &Address) -> Event {
    Event::Published {
        address: address.clone(),
    }
}

fn delivered(address: &Address, recipients: usize) -> Event {
    Event::Delivered {
        address: address.clone(),
        recipients,
    }
}

fn subscribed(address: &Address, session: Option<SessionId>) -> Event {
    Event::Subscribed {
        address: address.clone(),
        session,
    }
}

fn left(address: &Address, session: Option<SessionId>) -> Event {
    Event::Left {
        address: address.clone(),
        session,
    }
}

async fn topic(run: Run) -> Outcome {
    let Some(mut events) = events(&run).await else {
        return Ok(());
    };
    let topic = run.topic("a");
    let session = Request::new(Frame::new(Command::Subscribe)).session().id();
    let request = SubscribeRequest::new(topic.clone()).session(Some(session));
    let of_client = super::receiver::bounded(run.engine.subscribe(request)).await?;
    let of_application = run.subscribe(&topic).await?;
    run.publish_all(&topic, &["1", "2"]).await?;
    drop(of_client);
    drop(of_application);
    let expected = vec![
        subscribed(&topic, Some(session)),
        subscribed(&topic, None),
        published(&topic),
        delivered(&topic, 2),
        published(&topic),
        delivered(&topic, 2),
        left(&topic, Some(session)),
        left(&topic, None),
    ];
    ensure_equal("the events", read(&mut events, &topic).await, expected)
}

async fn pattern(run: Run) -> Outcome {
    let Some(mut events) = events(&run).await else {
        return Ok(());
    };
    let (pattern, topic) = (run.topic("a.*"), run.topic("a.b"));
    let stream = run.subscribe(&pattern).await?;
    let expected = vec![subscribed(&pattern, None)];
    ensure_equal("the events", read(&mut events, &pattern).await, expected)?;
    run.publish(&topic, "1").await?;
    let expected = vec![published(&topic), delivered(&topic, 1)];
    ensure_equal("the events", read(&mut events, &topic).await, expected)?;
    drop(stream);
    let expected = vec![left(&pattern, None)];
    ensure_equal("the events", read(&mut events, &pattern).await, expected)
}

async fn queue(run: Run) -> Outcome {
    let Some(mut events) = events(&run).await else {
        return Ok(());
    };
    let queue = run.queue("q");
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    consumer.expect("1").await?;
    drop(consumer);
    let expected = vec![
        subscribed(&queue, None),
        published(&queue),
        delivered(&queue, 1),
        left(&queue, None),
    ];
    ensure_equal("the events", read(&mut events, &queue).await, expected)
}

async fn dead_letter(run: Run) -> Outcome {
    let Some(mut events) = events(&run).await else {
        return Ok(());
    };
    let (queue, dead) = (run.queue("q"), run.queue("dead"));
    run.declare(&queue, with_attempts(1, Some(&dead))).await?;
    let mut consumer = run.subscribe(&queue).await?;
    run.publish(&queue, "1").await?;
    consumer.take("1").await?.settle(Settlement::Nacked);
    drop(consumer);
    let expected = vec![
        subscribed(&queue, None),
        published(&queue),
        Event::DeadLettered {
            queue: queue.clone(),
            reason: "rejected",
        },
        left(&queue, None),
    ];
    ensure_equal("the events", read(&mut events, &queue).await, expected)?;
    for queue in [&queue, &dead] {
        run.delete(queue).await?;
    }
    Ok(())
}

async fn streams(run: Run) -> Outcome {
    let topic = run.topic("a");
    run.publish(&topic, "before").await?;
    let Some(mut first) = events(&run).await else {
        return Ok(());
    };
    run.publish(&topic, "1").await?;
    let mut second = run.engine.events();
    run.publish(&topic, "2").await?;
    for (events, expected) in [(&mut first, 2), (&mut second, 1)] {
        let events = read(events, &topic).await;
        let count = count_published(&events);
        ensure_equal("the number of published messages", count, expected)?;
    }
    Ok(())
}

async fn slow_reader(run: Run) -> Outcome {
    const MESSAGES: u64 = 3_000;
    let topic = run.topic("a");
    let Some(mut events) = events(&run).await else {
        return Ok(());
    };
    for _ in 0..MESSAGES {
        run.publish(&topic, "1").await?;
    }
    let events = read(&mut events, &topic).await;
    let missing: u64 = events.iter().filter_map(missed).sum();
    let found = count_published(&events);
    ensure(found + missing >= MESSAGES, || {
        format!("of {MESSAGES} events, {found} arrived, and {missing} were reported as missing")
    })?;
    ensure(
        events.iter().skip(1).filter_map(missed).count() == 0,
        || "events were missing again while the stream was read".to_owned(),
    )
}

fn missed(event: &Event) -> Option<u64> {
    if let Event::Missed(count) = event {
        Some(*count)
    } else {
        None
    }
}

fn count_published(events: &[Event]) -> u64 {
    let is_published = |event: &&Event| matches!(event, Event::Published { .. });
    events.iter().filter(is_published).count() as u64
}
