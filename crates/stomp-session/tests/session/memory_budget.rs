//! The budget of the messages that wait: what counts in it, and the policies that apply if it is exceeded.

use crate::support::*;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use stomp_frame::Version;
use stomp_session::{
    BacklogConfig, Config, Hub, MemoryBudget, Message, Overflow, SlowConsumer, Topic,
};
use stomp_testing::Client;
use tokio::time::{Instant, sleep};

const LIMIT: usize = 100_000;

fn hub(overflow: Overflow) -> (Hub, MemoryBudget) {
    let budget = MemoryBudget::new(LIMIT);
    let config = BacklogConfig::default().overflow(overflow);
    (Hub::new(config, budget.clone()), budget)
}

/// A client that subscribes to `hub`, over a pipe that holds a few messages of 1,000 bytes.
async fn client_of(hub: &Hub) -> Client {
    client_with(Config::default(), hub).await
}

async fn client_with(config: Config, hub: &Hub) -> Client {
    let config = config.max_outbound_bytes(4_000);
    let (_session, _, connection, mut client) = pair(config, 4_000);
    let hub = hub.clone();
    let handler = streaming(move |_| hub.subscribe(Vec::new()));
    let service = tower::service_fn(move |request| std::future::ready(handler(&request)));
    tokio::spawn(connection.run(service));
    client.connect(Version::V1_2).await;
    client.receipt(subscribe("0", "/a")).await;
    client
}

fn message(number: usize) -> Message {
    Message::new(format!("{number:01000}")).with_key((number % 2).to_string())
}

/// Receives the message with this number, and returns the number of messages dropped before it.
async fn next_number(client: &mut Client) -> (usize, usize) {
    let message = client.expect(Command::Message).await;
    let dropped = message.headers.get("dropped-messages").unwrap_or("0");
    let text = String::from_utf8_lossy(&message.body).into_owned();
    (text.parse().unwrap(), dropped.parse().unwrap())
}

/// Receives everything until the connection ends. Returns the number of messages, and the error.
async fn read_to_end(client: &mut Client) -> (usize, Option<String>) {
    let (mut messages, mut error) = (0, None);
    while let Some(frame) = client.next_frame().await {
        match frame.command {
            Command::Message => messages += 1,
            _ => error = frame.headers.get("message").map(str::to_owned),
        }
    }
    (messages, error)
}

#[tokio::test(start_paused = true)]
async fn a_message_counts_once_until_its_last_subscriber_has_sent_it() {
    let (hub, budget) = hub(Overflow::Disconnect);
    let mut clients = vec![client_of(&hub).await, client_of(&hub).await];
    let mut stream = Box::pin(hub.subscribe(Vec::new()).map(Result::unwrap));
    for number in 0..50 {
        hub.publish(message(number)).await.unwrap();
        settle().await;
    }
    // The stream holds all messages, and the sessions have sent a few.
    assert!(
        (50_000..70_000).contains(&budget.used()),
        "{} bytes",
        budget.used()
    );
    for number in 0..50 {
        for client in &mut clients {
            assert_eq!(next_number(client).await, (number, 0));
        }
    }
    assert!(budget.used() > 50_000, "{} bytes", budget.used());
    for _ in 0..50 {
        let _ = stream.next().await.unwrap();
    }
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_of_entries_counts_for_its_session_until_it_is_empty() {
    let budget = MemoryBudget::new(LIMIT);
    let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let config = Config::default().memory_budget(budget.clone());
    let mut client = client_with(config, &hub).await;
    for number in 0..500 {
        hub.publish(message(number)).await.unwrap();
        settle().await;
    }
    assert!(
        (15_000..50_000).contains(&budget.used()),
        "{} bytes",
        budget.used()
    );
    for number in 0..500 {
        assert_eq!(next_number(&mut client).await, (number, 0));
    }
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_burst_count_while_they_wait_for_wrapped_subscribers() {
    let (hub, budget) = hub(Overflow::Disconnect);
    let mut streams: Vec<_> = (0..10).map(|_| hub.subscribe(Vec::new())).collect();
    for number in 0..20 {
        drop(hub.publish(message(number)));
    }
    settle().await;
    for stream in &mut streams {
        assert!((20_000..50_000).contains(&budget.used()));
        for _ in 0..20 {
            let _ = stream.next().await.unwrap().unwrap();
        }
    }
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_subscribers_that_hold_back_most_are_disconnected_over_the_budget() {
    let (hub, budget) = hub(Overflow::Disconnect);
    let (mut healthy, mut stuck) = (client_of(&hub).await, Vec::new());
    for _ in 0..8 {
        stuck.push(client_of(&hub).await);
    }
    for number in 0..500 {
        hub.publish(message(number)).await.unwrap();
        assert_eq!(next_number(&mut healthy).await, (number, 0));
        assert!(budget.used() < LIMIT + 5_000, "{} bytes", budget.used());
    }
    assert_eq!(hub.members(), 1);
    for client in &mut stuck {
        let (messages, error) = read_to_end(client).await;
        assert!(messages < 10, "{messages}");
        assert_eq!(error.as_deref(), Some("slow-consumer"));
    }
    settle().await;
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn policies_that_drop_messages_drop_half_of_a_backlog_over_the_budget() {
    for overflow in [Overflow::DropOldest, Overflow::Conflate] {
        let (hub, budget) = hub(overflow);
        let mut stuck = client_of(&hub).await;
        let mut healthy = client_of(&hub).await;
        for number in 0..500 {
            hub.publish(message(number)).await.unwrap();
            assert_eq!(next_number(&mut healthy).await, (number, 0));
            assert!(budget.used() < LIMIT + 5_000, "{} bytes", budget.used());
        }
        let (mut seen, mut dropped_in_total) = (Vec::new(), 0);
        while seen.len() + dropped_in_total < 500 {
            let (number, dropped) = next_number(&mut stuck).await;
            seen.push(number);
            dropped_in_total += dropped;
        }
        assert!(seen.contains(&499), "{overflow:?}");
        assert!(seen.is_sorted() || overflow == Overflow::Conflate);
        settle().await;
        assert_eq!(budget.used(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn publishers_wait_for_slow_subscribers_over_the_budget_and_then_they_are_disconnected() {
    let patience = Duration::from_secs(2);
    let (hub, budget) = hub(Overflow::Wait(patience));
    let mut slow = client_of(&hub).await;
    let publish = |count| {
        let (hub, budget) = (hub.clone(), budget.clone());
        tokio::spawn(async move {
            for number in 0..count {
                hub.publish(message(number)).await.unwrap();
                assert!(budget.used() < LIMIT + 2_200_000, "{}", budget.used());
                tokio::task::yield_now().await;
            }
        })
    };
    let publisher = publish(3_000);
    let start = Instant::now();
    sleep(Duration::from_secs(1)).await;
    assert!(!publisher.is_finished(), "it waits");
    for number in 0..3_000 {
        assert_eq!(next_number(&mut slow).await, (number, 0));
    }
    publisher.await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1), "it has caught up");
    publish(3_000).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(hub.members(), 0);
    assert_eq!(
        read_to_end(&mut slow).await.1.as_deref(),
        Some("slow-consumer")
    );
}

#[tokio::test(start_paused = true)]
async fn publishers_that_never_wait_stay_within_twice_the_budget() {
    for overflow in [Overflow::Disconnect, Overflow::Wait(Duration::from_secs(2))] {
        let budget = MemoryBudget::new(LIMIT);
        let config = BacklogConfig::default().max_messages(20).overflow(overflow);
        let topics = [(); 50].map(|()| Topic::with_budget(config, budget.clone()));
        let mut streams = topics.each_ref().map(|topic| topic.subscribe());
        for number in 0..50 {
            for topic in &topics {
                topic.publish(message(number)).unwrap();
                assert!(budget.used() < 2 * LIMIT + 50_000, "{}", budget.used());
            }
        }
        let failed = streams.iter_mut().filter_map(|stream| {
            let item = std::iter::from_fn(|| stream.next().now_or_never().flatten()).last();
            item?.err()
        });
        let failed = failed.filter(|error| error.is::<SlowConsumer>()).count();
        assert!(failed > 0, "{overflow:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_handle_count_and_a_session_over_the_budget_has_a_smaller_backlog() {
    let budget = MemoryBudget::new(LIMIT);
    let config = Config::default()
        .max_outbound_bytes(4_000)
        .backlog(BacklogConfig::default().max_messages(160))
        .memory_budget(budget.clone());
    let (session, _, connection, mut client) = pair(config, 4_000);
    let handler = streaming(|_| futures_util::stream::pending());
    let service = tower::service_fn(move |request| std::future::ready(handler(&request)));
    tokio::spawn(connection.run(service));
    client.connect(Version::V1_2).await;
    client.receipt(subscribe("0", "/a")).await;
    for number in 0..50 {
        session.message("/a", message(number)).unwrap();
    }
    settle().await;
    assert!(
        (40_000..LIMIT).contains(&budget.used()),
        "{}",
        budget.used()
    );
    for number in 0..50 {
        assert_eq!(next_number(&mut client).await, (number, 0));
    }
    assert_eq!(budget.used(), 0);
    for number in 0..200 {
        let _ = session.message("/a", message(number));
    }
    assert!(budget.used() <= LIMIT + 2_000, "{}", budget.used());
    assert_eq!(
        read_to_end(&mut client).await.1.as_deref(),
        Some("slow-consumer")
    );
    assert_eq!(budget.used(), 0);
}
