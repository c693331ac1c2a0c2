//! Batches of hubs in a session: attached subscribers, policies, wrapped streams.

use crate::support::*;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use stomp_session::{
    BacklogConfig, BoxError, Config, Hub, MemoryBudget, Message, Overflow, Request, Response,
    Session, SlowConsumer, Topic,
};
use stomp_testing::Client;
use tokio::time::{Instant, sleep};

fn publish(topic: &Topic<String>, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| topic.publish(number.to_string()).unwrap());
}

/// Receives the message with this number, and returns the number of messages dropped before it.
async fn next_number(client: &mut Client) -> (usize, usize) {
    let message = client.expect(Command::Message).await;
    let dropped = message.headers.get("dropped-messages").unwrap_or("0");
    let text = String::from_utf8_lossy(&message.body).into_owned();
    (text.parse().unwrap(), dropped.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_before_a_session_has_the_subscriber_arrive_first() {
    for others in [0, 200] {
        let topic = Topic::<String>::new();
        let _others: Vec<_> = (0..others).map(|_| topic.subscribe()).collect();
        let shared = topic.clone();
        let handler = streaming(move |_| {
            let subscriber = shared.subscribe();
            publish(&shared, 0..3);
            subscriber
        });
        let (_session, mut client, _) = start(Config::default(), handler).await;
        client.receipt(subscribe("0", "/a")).await;
        publish(&topic, 3..100);
        for number in 0..100 {
            assert_eq!(next_number(&mut client).await, (number, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_wraps_a_subscriber_gets_every_message() {
    let topic = Topic::<String>::new();
    let shared = topic.clone();
    let handler = move |request: &Request| {
        Ok(match request.command() {
            Command::Subscribe => Response::observe(shared.subscribe().map(|delivery| {
                delivery.map(|it| it.map_message(|message| message.with_header("seen", "1")))
            })),
            _ => Response::Done,
        })
    };
    let (_session, mut client, _) = start(Config::default(), handler).await;
    client.receipt(subscribe("0", "/a")).await;
    publish(&topic, 0..100);
    for number in 0..100 {
        let message = client.expect_message(&number.to_string()).await;
        assert_eq!(message.headers.get("seen"), Some("1"));
    }
}

#[tokio::test(start_paused = true)]
async fn several_subscriptions_of_a_session_get_each_message_once() {
    let topics = [(); 3].map(|()| Topic::<String>::new());
    let shared = topics.clone();
    let handler = streaming(move |destination| {
        let index: usize = destination.trim_start_matches('/').parse().unwrap();
        shared[index % 3].subscribe()
    });
    let (session, mut client, _) = start(Config::default(), handler).await;
    for id in 0..6 {
        let subscribe = subscribe(&id.to_string(), &format!("/{id}"));
        client.receipt(subscribe).await;
    }
    let observed = session.observe("/0", topics[1].subscribe()).unwrap();
    topics
        .iter()
        .for_each(|topic| topic.publish("text".to_owned()).unwrap());
    let mut counts = [0; 6];
    for _ in 0..7 {
        let message = client.expect_message("text").await;
        let id: usize = message
            .headers
            .get("subscription")
            .unwrap()
            .parse()
            .unwrap();
        counts[id] += 1;
    }
    assert_eq!(counts, [2, 1, 1, 1, 1, 1]);
    observed.unhook();
    client.receipt(unsubscribe("4")).await;
    topics[1].publish("text".to_owned()).unwrap();
    topics[1].publish("end".to_owned()).unwrap();
    client.expect_message_for("1", "text").await;
    client.expect_message_for("1", "end").await;
    client.expect_nothing().await;
    assert_eq!(topics.map(|topic| topic.subscribers()), [2, 1, 2]);
}

/// A session whose client reads nothing until the test wants it to.
#[tokio::test(start_paused = true)]
async fn a_slow_session_meets_the_policy_of_its_topic() {
    const BODY: usize = 1_000;
    for overflow in [Overflow::DropOldest, Overflow::Conflate] {
        let limits = BacklogConfig::default().max_messages(10).overflow(overflow);
        let hub = Hub::new(limits, MemoryBudget::default());
        let shared = hub.clone();
        let mut config = Config::default();
        config.max_outbound_bytes = 4_000;
        let (_session, _, connection, mut client) = pair(config, 4_000);
        let handler = streaming(move |_| shared.subscribe(Vec::new()));
        let service = tower::service_fn(move |request| std::future::ready(handler(&request)));
        tokio::spawn(connection.run(service));
        client.connect(stomp_frame::Version::V1_2).await;
        client.receipt(subscribe("0", "/a")).await;
        const COUNT: usize = 200;
        for number in 0..COUNT {
            let body = format!("{number:0BODY$}");
            // Two keys: the policy that looks at them keeps the last message of each.
            let message = Message::new(body).with_key((number % 2).to_string());
            drop(hub.publish(message));
            settle().await;
        }
        let (mut seen, mut dropped_in_total) = (Vec::new(), 0);
        while seen.last() != Some(&(COUNT - 1)) {
            let (number, dropped) = next_number(&mut client).await;
            dropped_in_total += dropped;
            seen.push(number);
        }
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(
            seen.len() + dropped_in_total,
            COUNT,
            "{overflow:?} {seen:?}"
        );
        let kept = if overflow == Overflow::Conflate {
            2
        } else {
            10
        };
        let last = &seen[seen.len() - kept..];
        assert!(last.iter().copied().eq(COUNT - kept..COUNT), "{seen:?}");
        // It keeps up again.
        drop(hub.publish(Message::new("300")));
        assert_eq!(next_number(&mut client).await, (300, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_hub_ends_its_subscriptions_after_their_messages() {
    let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let shared = hub.clone();
    let handler = streaming(move |_| shared.subscribe(vec![Message::new("first")]));
    let (session, mut client, _) = start(Config::default(), handler).await;
    client.receipt(subscribe("0", "/a")).await;
    client.expect_message("first").await;
    drop(hub.publish(Message::new("last")));
    hub.close();
    client.expect_message("last").await;
    settle().await;
    assert!(session.subscriptions().is_empty());
    client.receipt(unsubscribe("0")).await;
}

#[tokio::test(start_paused = true)]
async fn a_gap_of_a_hub_is_told_with_the_next_message() {
    let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let shared = hub.clone();
    let handler = streaming(move |_| shared.subscribe(Vec::new()));
    let (_session, mut client, _) = start(Config::default(), handler).await;
    client.receipt(subscribe("0", "/a")).await;
    drop(hub.publish(Message::new("1")));
    hub.mark_gap();
    for text in ["2", "3"] {
        drop(hub.publish(Message::new(text)));
    }
    for (text, gap) in [("1", None), ("2", Some("unknown")), ("3", None)] {
        let message = client.expect_message(text).await;
        assert_eq!(message.headers.get("gap"), gap);
    }
}

/// A session that subscribes to `hub`, and its client, over a pipe that holds a few messages of 1,000 bytes.
async fn narrow_client(hub: &Hub) -> Client {
    let config = Config::default().max_outbound_bytes(4_000);
    let (_session, _, connection, mut client) = pair(config, 4_000);
    let hub = hub.clone();
    let handler = streaming(move |_| hub.subscribe(Vec::new()));
    let service = tower::service_fn(move |request| std::future::ready(handler(&request)));
    tokio::spawn(connection.run(service));
    client.connect(stomp_frame::Version::V1_2).await;
    client.receipt(subscribe("0", "/a")).await;
    client
}

/// Publishes numbered messages of 1,000 bytes, each when its hub has room for it.
async fn publish_patiently(hub: Hub, count: usize) {
    for number in 0..count {
        hub.publish(Message::new(format!("{number:01000}")))
            .await
            .unwrap();
    }
}

fn waiting_hub() -> Hub {
    let patience = Overflow::Wait(Duration::from_secs(2));
    Hub::new(
        BacklogConfig::default().max_messages(10).overflow(patience),
        MemoryBudget::default(),
    )
}

#[tokio::test(start_paused = true)]
async fn publishers_wait_for_a_subscriber_that_is_slow_for_a_moment() {
    const COUNT: usize = 200;
    for others in [0, 100] {
        let hub = waiting_hub();
        let mut client = narrow_client(&hub).await;
        let mut others: Vec<_> = (0..others).map(|_| hub.subscribe(Vec::new())).collect();
        let publisher = tokio::spawn(publish_patiently(hub.clone(), COUNT));
        let reading = others.iter_mut().map(|other| async {
            for _ in 0..COUNT {
                let _ = other.next().await.unwrap().unwrap();
            }
        });
        let reading = futures_util::future::join_all(reading);
        let slow = async {
            sleep(Duration::from_secs(1)).await;
            assert!(!publisher.is_finished(), "it waits");
            for number in 0..COUNT {
                assert_eq!(next_number(&mut client).await, (number, 0));
            }
        };
        tokio::join!(reading, slow);
        publisher.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn publishers_wait_for_all_slow_subscribers_together_and_only_once() {
    let hub = waiting_hub();
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(narrow_client(&hub).await);
    }
    let start = Instant::now();
    let publisher = tokio::spawn(publish_patiently(hub.clone(), 500));
    // Publishers of other topics do not wait.
    let other = waiting_hub();
    let mut reader = narrow_client(&other).await;
    drop(other.publish(Message::new("1")));
    assert_eq!(next_number(&mut reader).await, (1, 0));
    assert_eq!(start.elapsed(), Duration::ZERO);
    publisher.await.unwrap();
    let waited = start.elapsed();
    assert!(
        (Duration::from_secs(2)..Duration::from_millis(2_100)).contains(&waited),
        "{waited:?}"
    );
    for client in &mut clients {
        while client
            .next_frame()
            .await
            .is_some_and(|frame| frame.command == Command::Message)
        {}
    }
    assert_eq!(hub.members(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_catch_up_in_time_is_disconnected() {
    let hub = waiting_hub();
    let mut client = narrow_client(&hub).await;
    let start = Instant::now();
    let publisher = tokio::spawn(publish_patiently(hub.clone(), 500));
    // Half its bounds are five messages, and it reads one each second.
    while !publisher.is_finished() {
        sleep(Duration::from_secs(1)).await;
        let _ = client.next_frame().await;
    }
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    assert_eq!(hub.members(), 0);
}

#[tokio::test(start_paused = true)]
async fn publishers_wait_for_a_subscriber_that_catches_up_as_often_as_it_needs() {
    const COUNT: usize = 200;
    let hub = waiting_hub();
    let mut client = narrow_client(&hub).await;
    let publisher = tokio::spawn(publish_patiently(hub.clone(), COUNT));
    let start = Instant::now();
    for number in 0..COUNT {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(next_number(&mut client).await, (number, 0));
    }
    publisher.await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_subscriber_makes_publishers_wait_too() {
    let hub = waiting_hub();
    let mut stream = hub.subscribe(Vec::new());
    let mut lost = hub.subscribe(Vec::new());
    let publisher = tokio::spawn(publish_patiently(hub.clone(), 100));
    sleep(Duration::from_secs(1)).await;
    assert!(!publisher.is_finished(), "it waits");
    for _ in 0..100 {
        let _ = stream.next().await.unwrap().unwrap();
    }
    publisher.await.unwrap();
    let error = lost.next().await.unwrap().unwrap_err();
    assert!(error.is::<SlowConsumer>(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_hub_can_be_used_after_its_end() {
    let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let former = hub.subscribe(Vec::new());
    hub.close();
    let mut current = hub.subscribe(Vec::new());
    drop(former);
    assert_eq!(hub.members(), 1);
    drop(hub.publish(Message::new("1")));
    let delivery = current.next().await.unwrap().unwrap();
    assert_eq!(delivery.body(), "1");
}

/// A session with a subscription to each of these hubs, named by its index. Its client reads only what a test expects.
async fn slow_session(hubs: &[Hub]) -> (Session, Client) {
    let mut config = Config::default().max_outbound_bytes(4_000);
    config.write_timeout = Duration::from_secs(10_000);
    let (session, _, connection, mut client) = pair(config, 4_000);
    let shared = hubs.to_vec();
    let handler = streaming(move |destination| {
        let index: usize = destination.trim_start_matches('/').parse().unwrap();
        shared[index].subscribe(Vec::new())
    });
    let service = tower::service_fn(move |request| std::future::ready(handler(&request)));
    tokio::spawn(connection.run(service));
    client.connect(stomp_frame::Version::V1_2).await;
    for index in 0..hubs.len() {
        let subscribe = subscribe(&index.to_string(), &format!("/{index}"));
        client.receipt(subscribe).await;
    }
    (session, client)
}

/// A message of about one kilobyte.
fn large(number: usize) -> Message {
    Message::new(format!("{number:01000}"))
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_drops_messages_delays_no_other_of_its_session() {
    let lagging = Hub::new(
        BacklogConfig::default()
            .max_messages(10)
            .overflow(Overflow::DropOldest),
        MemoryBudget::default(),
    );
    let other = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let (_session, mut client) = slow_session(&[lagging.clone(), other.clone()]).await;
    for number in 0..60 {
        drop(lagging.publish(large(number)));
        settle().await;
    }
    drop(other.publish(Message::new("text")));
    settle().await;
    let mut received = 0;
    loop {
        // There are always more messages for the subscription that lags.
        for number in 0..2 {
            drop(lagging.publish(large(number)));
            settle().await;
        }
        let message = client.expect(Command::Message).await;
        if message.headers.get("subscription") == Some("1") {
            break;
        }
        received += 1;
        assert!(received < 30, "the other subscription gets nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_drops_messages_ends_after_the_last_one() {
    let hub = Hub::new(
        BacklogConfig::default()
            .max_messages(10)
            .overflow(Overflow::DropOldest),
        MemoryBudget::default(),
    );
    let (_session, mut client) = slow_session(std::slice::from_ref(&hub)).await;
    for number in 0..60 {
        drop(hub.publish(large(number)));
        settle().await;
    }
    hub.close();
    while next_number(&mut client).await.0 != 59 {}
    client.expect_nothing().await;
    client.receipt(unsubscribe("0")).await;
    assert_eq!(hub.members(), 0);
}

fn waiting(patience: Duration) -> Hub {
    let overflow = Overflow::Wait(patience);
    let config = BacklogConfig::default().max_messages(10).overflow(overflow);
    Hub::new(config, MemoryBudget::default())
}

/// Publishes many large messages, and waits for room for each.
async fn publish_large(hub: Hub) {
    for number in 0..1_000 {
        hub.publish(large(number)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_waits_for_its_own_patience_beside_a_more_patient_one() {
    let (long, short) = (Duration::from_secs(30), Duration::from_secs(1));
    let hubs = [long, short].map(waiting);
    let (_session, _client) = slow_session(&hubs).await;
    let begin = Instant::now();
    tokio::spawn(publish_large(hubs[0].clone()));
    settle().await;
    publish_large(hubs[1].clone()).await;
    assert_eq!(begin.elapsed(), short);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_catches_up_prolongs_no_wait_for_another_of_its_session() {
    for read in [8, 14] {
        let patience = Duration::from_secs(10);
        let hubs = [patience; 2].map(waiting);
        let (_session, mut client) = slow_session(&hubs).await;
        let begin = Instant::now();
        let first = tokio::spawn(publish_large(hubs[0].clone()));
        settle().await;
        let second = tokio::spawn(publish_large(hubs[1].clone()));
        settle().await;
        first.abort();
        sleep(Duration::from_secs(9)).await;
        for _ in 0..read {
            client.expect(Command::Message).await;
            settle().await;
        }
        second.await.unwrap();
        assert_eq!(begin.elapsed(), patience, "after {read} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_subscription_and_leaves_the_whole_patience_for_others() {
    let patience = Duration::from_secs(10);
    let [left, kept] = [patience; 2].map(waiting);
    let (session, mut client) = slow_session(&[kept.clone(), kept.clone()]).await;
    let attached = session.observe("/1", left.subscribe(Vec::new())).unwrap();
    settle().await;
    let publisher = tokio::spawn(publish_large(left.clone()));
    sleep(Duration::from_secs(1)).await;
    assert!(!publisher.is_finished());
    attached.unhook();
    publisher.await.unwrap();
    // The client reads everything.
    while let Ok(frame) = tokio::time::timeout(Duration::from_secs(1), client.next_frame()).await {
        frame.unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    let begin = Instant::now();
    publish_large(kept).await;
    assert_eq!(begin.elapsed(), patience);
}

/// The bytes of a body, which count themselves.
struct CountedBody(#[expect(dead_code, reason = "it counts until it is dropped")] Held);

impl AsRef<[u8]> for CountedBody {
    fn as_ref(&self) -> &[u8] {
        &[b'x'; 500]
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_keeps_only_the_messages_that_are_for_it() {
    let bodies = Held::default();
    let message = || {
        let body = CountedBody(Held::clone(&bodies));
        Message::new(bytes::Bytes::from_owner(body))
    };
    let topic = Topic::<Message>::new();
    let shared = topic.clone();
    let mut config = Config::default().max_outbound_bytes(4_000);
    config.write_timeout = Duration::from_secs(10_000);
    let (session, _, connection, mut client) = pair(config, 4_000);
    let service = tower::service_fn(move |request: Request| {
        std::future::ready(Ok::<_, BoxError>(match request.command() {
            Command::Subscribe => Response::observe(shared.subscribe_for(request.session())),
            _ => Response::Done,
        }))
    });
    tokio::spawn(connection.run(service));
    client.connect(stomp_frame::Version::V1_2).await;
    client.receipt(subscribe("0", "/a")).await;
    let mut others: Vec<_> = (0..5).map(|_| topic.subscribe()).collect();
    const ROUNDS: usize = 50;
    for _ in 0..ROUNDS {
        for _ in 0..99 {
            topic.publish_except(&session, message()).unwrap();
        }
        topic.publish(message()).unwrap();
        settle().await;
        for other in &mut others {
            while let Some(Some(_)) = other.next().now_or_never() {}
        }
    }
    let kept = Held::strong_count(&bodies) - 1;
    assert!((10..=2 * ROUNDS).contains(&kept), "{kept}");
}
