//! Batches of hubs in a session: attached subscribers, policies, wrapped streams.

use crate::support::*;
use futures_util::StreamExt;
use stomp_session::{Config, Hub, MailboxConfig, Message, Overflow, Response, Topic};
use stomp_testing::Client;

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
    let handler = move |request: &stomp_session::Request| {
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
        let limits = MailboxConfig::default().max_messages(10).overflow(overflow);
        let hub = Hub::new(limits);
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
    let hub = Hub::new(MailboxConfig::default());
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
    let hub = Hub::new(MailboxConfig::default());
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
