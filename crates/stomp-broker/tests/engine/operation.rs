//! Health, events and shutdown of the in-memory engine.

use crate::support::{broker_with, connect, open, statistics_of};
use futures_util::{FutureExt, StreamExt};
use stomp_broker::{
    Address, Broker, Engine, Event, EventStream, Memory, MemoryConfig, Publication, QueueSettings,
};
use stomp_session::{BoxError, Message, SessionId, Settlement};
use stomp_testing::frames::{nack, send, subscribe};

fn is_unavailable(error: &BoxError) -> bool {
    error.to_string().starts_with("engine-unavailable: ")
}

#[tokio::test(start_paused = true)]
async fn after_a_shutdown_all_calls_fail() {
    let engine = Memory::new(MemoryConfig::default().max_retained_messages(1)).unwrap();
    let broker = Broker::with_engine(open(), engine.clone()).unwrap();
    let (topic, queue) = (Address::topic("a"), Address::queue("a"));
    let publication = || Publication::new(Message::new("1"));
    let expired = || Message::new("1").with_header("expires", "1");
    let mut transaction = engine.begin();
    for to in [&topic, &queue] {
        transaction.prepare(to, publication()).await.unwrap();
    }
    let mut client = connect(&broker).await;
    client.subscribe("0", "/temp-queue/a").await;
    let health = broker.health();
    assert!(health.borrow().is_up());
    broker.shutdown().await.unwrap();
    broker.shutdown().await.unwrap();
    assert!(health.has_changed().unwrap());
    assert_eq!(
        health.borrow().to_string(),
        "down: The engine was shut down."
    );
    for error in [
        transaction.commit().await.unwrap_err(),
        engine
            .begin()
            .prepare(&topic, publication())
            .await
            .unwrap_err(),
        broker.publish("/topic/a", "1").await.unwrap_err(),
        broker
            .publish("/topic/a", Message::new("1").with_header("retain", "set"))
            .await
            .unwrap_err(),
        broker.publish("/queue/a", "1").await.unwrap_err(),
        broker.publish("/topic/a", expired()).await.unwrap_err(),
        broker.publish("/queue/a", expired()).await.unwrap_err(),
        broker.subscribe("/topic/a").await.map(drop).unwrap_err(),
        broker.subscribe("/queue/a").await.map(drop).unwrap_err(),
        broker
            .declare("/queue/a", QueueSettings::default())
            .await
            .unwrap_err(),
        broker.purge("/queue/a").await.unwrap_err(),
        broker.delete("/queue/a").await.unwrap_err(),
        broker.browse("/queue/a", 1).await.unwrap_err(),
    ] {
        assert!(is_unavailable(&error), "{error}");
    }
    for frame in [
        send("/topic/a", "1"),
        send("/queue/a", "1"),
        send("/temp-queue/a", "1"),
        subscribe("1", "/topic/a"),
        subscribe("1", "/queue/a"),
    ] {
        client.expect_refusal(frame, "engine-unavailable").await;
    }
    let statistics = statistics_of(&broker);
    assert!(statistics.destinations.is_empty());
    assert_eq!(statistics.published, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_all_streams_after_the_messages_that_they_have() {
    let broker = broker_with(MemoryConfig::default());
    let mut topic = broker.subscribe("/topic/a").await.unwrap();
    let mut queue = broker.subscribe("/queue/a").await.unwrap();
    for destination in ["/topic/a", "/queue/a", "/queue/a"] {
        broker.publish(destination, "1").await.unwrap();
    }
    let delivery = queue.next().await.unwrap().unwrap();
    assert_eq!(topic.next().await.unwrap().unwrap().body(), "1");
    broker.publish("/topic/a", "2").await.unwrap();
    // Both consumers wait when the shutdown comes.
    let mut waiting = broker.subscribe("/queue/b").await.unwrap();
    let waiting = tokio::spawn(async move { waiting.next().await.is_none() });
    tokio::task::yield_now().await;
    broker.shutdown().await.unwrap();
    assert!(waiting.await.unwrap());
    assert_eq!(topic.next().await.unwrap().unwrap().body(), "2");
    assert!(topic.next().await.is_none());
    assert!(queue.next().await.is_none());
    delivery.settle(Settlement::Nacked);
    assert_eq!(statistics_of(&broker).dropped, 2);
}

fn drain(events: &mut EventStream) -> Vec<Event> {
    std::iter::from_fn(|| events.next().now_or_never().flatten()).collect()
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

#[tokio::test(start_paused = true)]
async fn events_tell_in_order_what_happens_to_a_topic() {
    let broker = broker_with(MemoryConfig::default());
    let mut events = broker.events();
    let topic = Address::topic("a");
    broker.publish("/topic/a", "0").await.unwrap();
    let streams = [
        broker.subscribe("/topic/a").await.unwrap(),
        broker.subscribe("/topic/a").await.unwrap(),
    ];
    broker.publish("/topic/a", "1").await.unwrap();
    drop(streams);
    assert_eq!(
        drain(&mut events),
        [
            published(&topic),
            delivered(&topic, 0),
            subscribed(&topic, None),
            subscribed(&topic, None),
            published(&topic),
            delivered(&topic, 2),
            left(&topic, None),
            left(&topic, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn events_tell_in_order_what_happens_to_a_queue() {
    let mut config = MemoryConfig::default();
    config.queues.max_delivery_attempts = 1;
    let broker = broker_with(config);
    let mut events = broker.events();
    let queue = Address::queue("a");
    let mut client = connect(&broker).await;
    client.consume("0", "/queue/a").await;
    for _ in 0..2 {
        client.send(send("/queue/a", "1")).await;
    }
    let messages = [
        client.expect_message("1").await,
        client.expect_message("1").await,
    ];
    client.ack(&messages[0]).await;
    client.receipt(nack(&messages[1])).await;
    client.break_connection().await;
    let events = drain(&mut events);
    let session = match events.first() {
        Some(Event::Subscribed { session, .. }) => *session,
        _ => None,
    };
    assert!(session.is_some(), "{events:?}");
    assert_eq!(
        events,
        [
            subscribed(&queue, session),
            published(&queue),
            published(&queue),
            delivered(&queue, 1),
            Event::DeadLettered {
                queue: queue.clone(),
                reason: "rejected"
            },
            left(&queue, session),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_events_delays_nobody() {
    let broker = broker_with(MemoryConfig::default().max_unread_events(8));
    let mut events = broker.events();
    for number in 0..100 {
        broker
            .publish("/queue/a", number.to_string())
            .await
            .unwrap();
    }
    let events = drain(&mut events);
    assert_eq!(events.len(), 9);
    assert_eq!(events[0], Event::Missed(92));
}
