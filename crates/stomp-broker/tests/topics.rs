//! Topics over sessions: patterns, permissions, retained messages, slow subscribers.

mod support;

use futures_util::StreamExt;
use stomp_broker::{Broker, Config, MemoryConfig, Rules, Who, destination_syntax};
use stomp_frame::Command;
use stomp_session::{BacklogConfig, Message, MessageStream, Overflow};
use stomp_testing::{
    frames::{ack, nack, send, subscribe, subscribe_with_ack, transaction, unsubscribe},
    soon,
};
use support::{broker_with, connect, connect_as, connect_to, open, statistics_of};

#[tokio::test(start_paused = true)]
async fn all_subscribers_get_a_message_including_its_sender() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut bob) = (connect(&broker).await, connect(&broker).await);
    ann.publish("/topic/a", "before any subscription").await;
    ann.subscribe("0", "/topic/a").await;
    bob.subscribe("0", "/topic/a").await;
    bob.subscribe("1", "/topic/a").await;
    ann.send(
        send("/topic/a", "1")
            .with_header("content-type", "text/x")
            .with_header("redelivered", "true"),
    )
    .await;
    let message = ann.expect_message("1").await;
    assert_eq!(message.headers.get("content-type"), Some("text/x"));
    assert_eq!(message.headers.get("destination"), Some("/topic/a"));
    assert!(
        !message.headers.contains("redelivered"),
        "only the server sets redelivered"
    );
    let subscriptions = [bob.expect_message("1").await, bob.expect_message("1").await];
    assert_ne!(
        subscriptions[0].headers.get("subscription"),
        subscriptions[1].headers.get("subscription")
    );
    bob.receipt(unsubscribe("0")).await;
    ann.publish("/topic/a", "2").await;
    bob.expect_message("2").await;
    bob.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_pattern_names_its_own_destination() {
    let broker = Broker::new(open()).unwrap();
    let mut client = connect(&broker).await;
    client.subscribe("0", "/topic/stocks.*").await;
    client
        .receipt(subscribe_with_ack("1", "/topic/>", "client"))
        .await;
    for destination in ["/topic/stocks.abc", "/topic/stocks/def"] {
        client.send(send(destination, "1")).await;
        for _ in 0..2 {
            let message = client.expect_message("1").await;
            assert_eq!(message.headers.get("destination"), Some(destination));
        }
    }
    client.send(send("/topic/news", "2")).await;
    client.expect_message_for("1", "2").await;
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn by_default_clients_send_nowhere_and_read_topics_and_what_is_their_own() {
    let broker = Broker::new(Config::default()).unwrap();
    let mut client = connect_as(&broker, "ann").await;
    for destination in ["/topic/a", "/queue/a", "/user/a", "/temp-queue/a"] {
        client
            .expect_refusal(send(destination, "1"), "forbidden")
            .await;
    }
    for destination in ["/queue/a", "/queue/dead-letters"] {
        client
            .expect_refusal(subscribe("0", destination), "forbidden")
            .await;
    }
    for (id, destination) in [("0", "/topic/>"), ("1", "/user/a"), ("2", "/temp-queue/a")] {
        client.subscribe(id, destination).await;
    }
    broker
        .publish("/topic/a", "the application may")
        .await
        .unwrap();
    client.expect_message("the application may").await;
}

#[tokio::test(start_paused = true)]
async fn rules_decide_who_sends_and_subscribes() {
    let rules = Rules::default()
        .send("/topic/rooms.*", Who::Authenticated)
        .send("/topic/open", Who::Anybody)
        .subscribe("/queue/jobs.{user}", Who::Authenticated);
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let (mut ann, mut nobody) = (connect_as(&broker, "ann").await, connect(&broker).await);
    let cases = [
        (send("/topic/open", "1"), "ok", "ok"),
        (send("/topic/rooms/a", "1"), "ok", "login-required"),
        (send("/topic/rooms.a", "1"), "ok", "login-required"),
        (send("/topic/rooms/a/b", "1"), "forbidden", "forbidden"),
        (subscribe("0", "/queue/jobs.ann"), "ok", "login-required"),
        (
            subscribe("1", "/queue/jobs.bob"),
            "forbidden",
            "login-required",
        ),
        (subscribe("2", "/elsewhere"), "not-found", "not-found"),
    ];
    for (frame, for_ann, for_nobody) in cases {
        for (client, code) in [(&mut ann, for_ann), (&mut nobody, for_nobody)] {
            match code {
                "ok" => client.receipt(frame.clone()).await,
                code => drop(client.expect_refusal(frame.clone(), code).await),
            }
        }
    }
}

/// A refused request leaves nothing behind, such as a queue or one of the few names of temporary queues.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_creates_nothing() {
    let rules = Rules::new().subscribe("/temp-queue/mine", Who::Anybody);
    let config = Config::default().rules(rules).max_temporary_queues(1);
    let broker = Broker::new(config).unwrap();
    let mut client = connect(&broker).await;
    for destination in ["/queue/a", "/topic/a", "/temp-queue/a", "/temp-queue/b"] {
        for frame in [subscribe("0", destination), send(destination, "1")] {
            client.expect_refusal(frame, "forbidden").await;
        }
    }
    assert!(statistics_of(&broker).destinations.is_empty());
    client.subscribe("0", "/temp-queue/mine").await;
}

/// A session that was not given the broker's syntax parses the same destinations in another way.
#[tokio::test(start_paused = true)]
async fn rules_hold_for_all_spellings_whatever_the_syntax_of_the_session() {
    let rules = Rules::new()
        .send_and_subscribe("/topic/private.>", Who::Nobody)
        .then(Rules::open());
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let with_syntax = stomp_session::Config::default().destinations(destination_syntax());
    for config in [stomp_session::Config::default(), with_syntax] {
        let mut client = connect_to(broker.clone(), config.into()).await;
        for (destination, code) in [
            ("/topic/private/a", "forbidden"),
            ("/topic/private.a", "forbidden"),
            ("/topic/private", "forbidden"),
            ("/topic/private..a", "bad-destination"),
            ("/topic/private/", "bad-destination"),
            ("/topic/*/a", "forbidden"),
            ("/topic/private.#", "forbidden"),
            ("/topic/>", "forbidden"),
        ] {
            for frame in [subscribe("0", destination), send(destination, "1")] {
                client.expect_refusal(frame, code).await;
            }
        }
        client.receipt(subscribe("0", "/topic/a/b")).await;
        client.publish("/topic/a.b", "1").await;
        client.expect_message("1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_destinations_are_refused_and_the_session_stays_open() {
    let broker = Broker::new(open()).unwrap();
    let mut client = connect(&broker).await;
    for (destination, code) in [
        ("/elsewhere/a", "not-found"),
        ("/topic", "not-found"),
        ("topic/a", "not-found"),
        ("/topic/", "bad-destination"),
        ("/topic/a.#.b", "bad-destination"),
        ("/topic/*.*.*.*", "bad-destination"),
        ("/queue/*", "bad-destination"),
        ("/topic/a\nb", "bad-destination"),
        ("/user/a", "login-required"),
    ] {
        client
            .expect_refusal(subscribe("0", destination), code)
            .await;
        client.expect_refusal(send(destination, "1"), code).await;
    }
    client
        .expect_refusal(send("/topic/a.*", "1"), "bad-destination")
        .await;
    assert!(broker.publish("/topic/>", "1").await.is_err());
    assert!(broker.publish("/user/a", "1").await.is_err());
    assert!(broker.subscribe("/elsewhere").await.is_err());
    assert!(statistics_of(&broker).destinations.is_empty());
    assert_eq!(statistics_of(&broker).published, 0);
}

#[tokio::test(start_paused = true)]
async fn a_retained_message_is_delivered_to_later_subscribers() {
    let mut config = MemoryConfig::default();
    config.max_retained_messages = 2;
    let broker = broker_with(config);
    let (mut ann, mut bob) = (connect(&broker).await, connect(&broker).await);
    bob.subscribe("0", "/topic/a").await;
    for (destination, body) in [("/topic/a", "1"), ("/topic/a", "2"), ("/topic/b", "3")] {
        ann.receipt(send(destination, body).with_header("retain", "set"))
            .await;
    }
    ann.publish("/topic/a", "not retained").await;
    for body in ["1", "2", "not retained"] {
        bob.expect_message(body).await;
    }
    bob.subscribe("1", "/topic/*").await;
    for (destination, body) in [("/topic/a", "2"), ("/topic/b", "3")] {
        let message = bob.expect_message(body).await;
        assert_eq!(message.headers.get("destination"), Some(destination));
    }
    ann.receipt(send("/topic/b", "").with_header("retain", "remove"))
        .await;
    bob.expect_message("").await;
    bob.subscribe("2", "/topic/b").await;
    bob.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn by_default_the_header_retain_is_refused() {
    let broker = Broker::new(open()).unwrap();
    let retained = || Message::new("1").with_header("retain", "set");
    let error = broker.publish("/topic/a", retained()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "not-supported: This broker does not support the header retain."
    );
    let mut client = connect(&broker).await;
    client
        .expect_refusal(
            send("/topic/a", "1").with_header("retain", "set"),
            "not-supported",
        )
        .await;
    assert_eq!(statistics_of(&broker).published, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_meets_its_policy_and_does_not_delay_others() {
    const COUNT: usize = 20;
    // A few messages fill the outbound buffer of a session whose client reads nothing.
    let body = |number: usize| format!("{number}{}", " ".repeat(200_000));
    for overflow in [Overflow::Disconnect, Overflow::DropOldest] {
        let mut config = MemoryConfig::default();
        config.backlog = BacklogConfig::default().max_messages(4).overflow(overflow);
        let broker = broker_with(config);
        let mut slow = connect(&broker).await;
        let mut quick = broker.subscribe("/topic/a").await.unwrap();
        slow.subscribe("0", "/topic/a").await;
        for number in 0..COUNT {
            broker.publish("/topic/a", body(number)).await.unwrap();
            let delivery = soon(quick.next()).await.unwrap().unwrap();
            assert_eq!(delivery.body(), body(number).as_str());
            tokio::task::yield_now().await;
        }
        let (mut seen, mut dropped) = (Vec::new(), 0);
        let error = loop {
            let frame = slow.next_frame().await.unwrap();
            if frame.command == Command::Error {
                break frame.headers.get("message").map(ToOwned::to_owned);
            }
            let text = String::from_utf8_lossy(&frame.body).trim().to_owned();
            let count = frame.headers.get("dropped-messages").unwrap_or("0");
            dropped += count.parse::<usize>().unwrap();
            seen.push(text.parse::<usize>().unwrap());
            if seen.last() == Some(&(COUNT - 1)) {
                break None;
            }
        };
        if overflow == Overflow::Disconnect {
            assert_eq!(error.as_deref(), Some("slow-consumer"));
            assert!(seen.iter().copied().eq(0..seen.len()), "{seen:?}");
        } else {
            assert_eq!((error, seen.len() + dropped), (None, COUNT), "{seen:?}");
            assert!(seen.ends_with(&[16, 17, 18, 19]), "{seen:?}");
            assert!(dropped > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn statistics_list_destinations_with_their_counts() {
    let broker = Broker::new(open()).unwrap();
    let mut client = connect_as(&broker, "ann").await;
    client.subscribe("0", "/topic/a").await;
    client.subscribe("1", "/topic/a").await;
    client.subscribe("2", "/topic/*").await;
    client.subscribe("3", "/temp-queue/a").await;
    client.send(send("/topic/a", "1")).await;
    for _ in 0..3 {
        client.expect_message("1").await;
    }
    client.publish("/queue/a", "1").await;
    client.consume("4", "/queue/a").await;
    client.expect_message("1").await;
    client.publish("/queue/b", "1").await;
    let statistics = statistics_of(&broker);
    let listed: Vec<_> = statistics
        .destinations
        .iter()
        .map(|it| {
            (
                it.destination.to_string(),
                it.subscribers,
                it.published,
                it.waiting,
                it.unacknowledged,
            )
        })
        .collect();
    let row = |name: &str, subscribers, waiting, unacknowledged| {
        (name.to_owned(), subscribers, 1, waiting, unacknowledged)
    };
    assert_eq!(
        listed,
        [
            row("/topic/a", 2, 0, 0),
            row("/topic/*", 1, 0, 0),
            row("/queue/a", 1, 0, 1),
            row("/queue/b", 0, 1, 0)
        ]
    );
    assert_eq!(
        (
            statistics.published,
            statistics.delivered,
            statistics.temporary_queues
        ),
        (3, 3, 1)
    );
    client.break_connection().await;
    let remaining = statistics_of(&broker)
        .destinations
        .into_iter()
        .map(|it| it.destination.to_string());
    assert_eq!(
        remaining.collect::<Vec<_>>(),
        ["/queue/a", "/queue/b"],
        "queues stay until the idle timeout"
    );
    assert_eq!(statistics_of(&broker).temporary_queues, 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_goes_on_without_acknowledgments() {
    let broker = Broker::new(open()).unwrap();
    let mut ann = connect(&broker).await;
    for (id, mode) in [("0", "client"), ("1", "client-individual")] {
        ann.receipt(subscribe_with_ack(id, "/topic/a", mode)).await;
    }
    let mut messages = Vec::new();
    for number in 0..800 {
        let number = number.to_string();
        broker.publish("/topic/a", number.clone()).await.unwrap();
        for id in ["0", "1"] {
            messages.push(ann.expect_message_for(id, &number).await);
        }
    }
    for message in &messages[1_590..] {
        ann.receipt(ack(message)).await;
    }
    ann.receipt(nack(&messages[0])).await;
    ann.receipt(transaction(Command::Begin, "t")).await;
    ann.receipt(ack(&messages[1]).with_header("transaction", "t"))
        .await;
    ann.receipt(transaction(Command::Commit, "t")).await;
    ann.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_subscribers_see_the_messages_of_concurrent_publishers_in_one_order() {
    const EACH: usize = 300;
    let read_all = |mut stream: MessageStream| async move {
        let mut seen = Vec::new();
        for _ in 0..2 * (EACH + 1) {
            let delivery = soon(stream.next()).await.unwrap().unwrap();
            seen.push(String::from_utf8_lossy(delivery.body()).into_owned());
        }
        seen
    };
    for subscribers in [2, 30, 200] {
        let broker = broker_with(
            MemoryConfig::default().max_retained_messages(1).backlog(
                BacklogConfig::default()
                    .max_messages(usize::MAX)
                    .max_bytes(usize::MAX),
            ),
        );
        let mut readers = Vec::new();
        for number in 0..subscribers {
            let to = ["/topic/a.b", "/topic/a.*", "/topic/>"][number % 3];
            let stream = broker.subscribe(to).await.unwrap();
            readers.push(tokio::spawn(read_all(stream)));
        }
        let publishers = ["ann", "bob"].map(|name| {
            let broker = broker.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    let text = format!("{name} {number}");
                    broker.publish("/topic/a.b", text).await.unwrap();
                }
                let last = Message::new(format!("{name} last")).with_header("retain", "set");
                broker.publish("/topic/a.b", last).await.unwrap();
            })
        });
        for publisher in publishers {
            publisher.await.unwrap();
        }
        let mut first = None;
        for reader in readers {
            let seen = reader.await.unwrap();
            let expected = first.get_or_insert_with(|| seen.clone());
            assert_eq!(seen, *expected, "{subscribers} subscribers");
        }
        let mut late = broker.subscribe("/topic/a.b").await.unwrap();
        let retained = soon(late.next()).await.unwrap().unwrap();
        let last = first.and_then(|seen| seen.last().cloned());
        assert_eq!(
            Some(String::from_utf8_lossy(retained.body()).into_owned()),
            last
        );
    }
}
