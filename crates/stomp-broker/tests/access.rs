//! Requests that the rules and headers of a broker refuse: sends and subscriptions without a rule, forged headers of the
//! server, and what the broker does not do.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{FutureExt, StreamExt};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use stomp_broker::{Broker, Config, Event, Rules, Who, destination_syntax};
use stomp_frame::Command;
use stomp_session::{ClientError, DestinationSyntax, Principal, Request};
use stomp_testing::frames::{send, subscribe, subscribe_with_ack, transaction, unsubscribe};
use support::{connect, connect_as, connect_to, open, statistics_of};
use tower::Service;

const PUBLIC: &str = "/temp-queue/~0123456789abcdef0123456789abcdef";

#[tokio::test(start_paused = true)]
async fn by_default_clients_send_nowhere_but_to_an_address_that_they_were_given() {
    let broker = Broker::new(Config::default()).unwrap();
    let mut ann = connect_as(&broker, "ann").await;
    for destination in [
        "/topic/a",
        "/queue/a",
        "/queue/dead-letters",
        "/user/a",
        "/temp-queue/own",
    ] {
        ann.expect_refusal(send(destination, "1"), "forbidden")
            .await;
    }
    for text in [
        "/topic/a.",
        "/topic//a",
        "/topic/.a",
        "/queue/a/",
        "/queue/..",
        "/topic/",
        "/queue/*",
        "/topic/>.a",
    ] {
        ann.expect_refusal(send(text, "1"), "bad-destination").await;
    }
    for text in [
        "/TOPIC/a",
        "/Topic/a",
        "topic/a",
        "//topic/a",
        "/topic",
        "/%74opic/a",
    ] {
        ann.expect_refusal(send(text, "1"), "not-found").await;
    }
    ann.receipt(send(PUBLIC, "1")).await;
    let statistics = statistics_of(&broker);
    assert_eq!((statistics.published, statistics.dropped), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn by_default_clients_subscribe_to_topics_and_to_what_is_their_own() {
    let broker = Broker::new(Config::default()).unwrap();
    let (mut ann, mut nobody) = (connect_as(&broker, "ann").await, connect(&broker).await);
    for (destination, with_login, without_login) in [
        ("/topic/a", "", ""),
        ("/topic/>", "", ""),
        ("/temp-queue/own", "", ""),
        (PUBLIC, "", ""),
        ("/user/a", "", "login-required"),
        ("/user/>", "", "login-required"),
        ("/queue/a", "forbidden", "forbidden"),
        ("/queue/dead-letters", "forbidden", "forbidden"),
        ("/queue/dead.letters", "forbidden", "forbidden"),
        ("/queue/>", "bad-destination", "bad-destination"),
    ] {
        for (client, code) in [(&mut ann, with_login), (&mut nobody, without_login)] {
            let frame = subscribe("0", destination);
            if code.is_empty() {
                client.receipt(frame).await;
                client.receipt(unsubscribe("0")).await;
            } else {
                client.expect_refusal(frame, code).await;
            }
        }
    }
}

/// A subscription that ends counts as a delivery, and many deliveries make a dead letter.
#[tokio::test(start_paused = true)]
async fn a_client_without_a_rule_neither_takes_nor_buries_messages_of_a_queue() {
    let broker = Broker::new(Config::default()).unwrap();
    broker.publish("/queue/jobs", "1").await.unwrap();
    let mut eve = connect_as(&broker, "eve").await;
    for _ in 0..12 {
        for destination in ["/queue/jobs", "/queue/dead-letters"] {
            let frame = subscribe_with_ack("0", destination, "client");
            eve.expect_refusal(frame, "forbidden").await;
        }
    }
    assert_eq!(statistics_of(&broker).dead_lettered, 0);
    let mut jobs = broker.subscribe("/queue/jobs").await.unwrap();
    assert!(!jobs.next().await.unwrap().unwrap().is_redelivered());
}

/// Percent signs, case and Unicode forms are data. What looks similar is another destination, and needs its own rule.
#[tokio::test(start_paused = true)]
async fn a_destination_that_only_looks_like_an_allowed_one_is_refused() {
    let rules = Rules::new().send_and_subscribe("/topic/open.{user}", Who::Authenticated);
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let mut client = connect_as(&broker, "ann").await;
    client.receipt(send("/topic/open/ann", "1")).await;
    for destination in [
        "/topic/open.Ann",
        "/topic/open.{user}",
        "/topic/open%2eann",
        "/topic/open%2Fann",
        "/topic/open.ann.x",
        "/topic/open",
        "/topic/open.\u{ff41}nn",
        "/topic/open.ann ",
        "/topic/open.ann%00",
    ] {
        client
            .expect_refusal(send(destination, "1"), "forbidden")
            .await;
        client
            .expect_refusal(subscribe("0", destination), "forbidden")
            .await;
    }
    for pattern in ["/topic/open.*", "/topic/open.>", "/topic/*.ann", "/topic/#"] {
        client.expect_refusal(send(pattern, "1"), "forbidden").await;
        client
            .expect_refusal(subscribe("0", pattern), "forbidden")
            .await;
    }
    for name in ["open.ann", "a.b", "*", ">"] {
        let mut client = connect_as(&broker, name).await;
        let destination = format!("/topic/open.{name}");
        let frame = subscribe("0", &destination);
        client.expect_refusal(frame, "forbidden").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_about_the_messages_of_a_transaction_when_it_is_committed() {
    let may_send = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&may_send);
    let rules = Rules::new().send(
        "/topic/a",
        Who::when(move |_, _| asked.load(Ordering::SeqCst)),
    );
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let mut messages = broker.subscribe("/topic/a").await.unwrap();
    let mut ann = connect_as(&broker, "ann").await;
    for expected in [true, false] {
        ann.receipt(transaction(Command::Begin, "t")).await;
        let message = send("/topic/a", "1").with_header("transaction", "t");
        ann.receipt(message).await;
        may_send.store(expected, Ordering::SeqCst);
        let commit = transaction(Command::Commit, "t");
        if expected {
            ann.receipt(commit).await;
        } else {
            ann.expect_refusal(commit, "forbidden").await;
        }
        assert_eq!(messages.next().now_or_never().is_some(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_server_in_a_send_do_not_reach_a_receiver() {
    let broker = Broker::new(open()).unwrap();
    let mut worker = broker.subscribe("/queue/jobs").await.unwrap();
    let mut ann = connect_as(&broker, "ann").await;
    ann.subscribe("0", "/topic/a").await;
    let forged = |destination: &str| {
        [
            ("original-destination", "/queue/secret"),
            ("dead-letter-reason", "overflow"),
            ("dead-letter-count", "1"),
            ("redelivered", "true"),
            ("dropped-messages", "7"),
            ("gap", "unknown"),
            ("message-id", "forged"),
            ("ack", "forged"),
            ("user-id", "root"),
            ("x", "y"),
        ]
        .iter()
        .fold(send(destination, "1"), |frame, (name, value)| {
            frame.with_header(name, value)
        })
    };
    ann.send(forged("/topic/a")).await;
    let message = ann.expect_message("1").await;
    let names: Vec<_> = message.headers.iter().map(|(name, _)| name).collect();
    let expected = ["subscription", "destination", "message-id", "user-id", "x"];
    assert_eq!(names, [&expected[..], &["content-length"]].concat());
    assert_ne!(message.headers.get("message-id"), Some("forged"));

    ann.receipt(forged("/queue/jobs")).await;
    let job = worker.next().await.unwrap().unwrap();
    let names: Vec<_> = job.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["user-id", "x"], "also for the application");
}

#[tokio::test(start_paused = true)]
async fn the_broker_stamps_who_sent_a_message_if_it_is_told_to() {
    let broker = Broker::new(open().stamp_user_id(true)).unwrap();
    let mut messages = broker.subscribe("/topic/a").await.unwrap();
    let (mut ann, mut nobody) = (connect_as(&broker, "ann").await, connect(&broker).await);
    for (client, expected) in [(&mut nobody, None), (&mut ann, Some("ann"))] {
        let forged = || send("/topic/a", "1").with_header("user-id", "root");
        client.receipt(forged()).await;
        client.receipt(transaction(Command::Begin, "t")).await;
        let in_transaction = forged().with_header("transaction", "t");
        client.receipt(in_transaction).await;
        client.receipt(transaction(Command::Commit, "t")).await;
        for _ in 0..2 {
            let message = messages.next().await.unwrap().unwrap();
            assert_eq!(message.headers().get("user-id"), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restriction_that_the_broker_would_ignore_is_refused_and_named() {
    let broker = Broker::new(open()).unwrap();
    let mut ann = connect_as(&broker, "ann").await;
    for (name, value) in [
        ("selector", "region = 'eu'"),
        ("no-local", "true"),
        ("activemq.noLocal", "true"),
        ("activemq.subscriptionName", "mine"),
        ("browser", "true"),
        ("durable", "true"),
        ("x-queue-name", "mine"),
        ("x-message-ttl", "1000"),
    ] {
        let frame = subscribe("0", "/queue/a").with_header(name, value);
        let error = ann.expect_refusal(frame, "not-supported").await;
        let text = String::from_utf8(error.body.to_vec()).unwrap();
        assert!(text.contains(name), "{text}");
    }
    for name in ["expiration", "AMQ_SCHEDULED_DELAY", "JMSXGroupID"] {
        let frame = send("/queue/a", "1").with_header(name, "1000");
        let error = ann.expect_refusal(frame, "not-supported").await;
        let text = String::from_utf8(error.body.to_vec()).unwrap();
        assert!(text.contains(name), "{text}");
    }
    assert!(statistics_of(&broker).destinations.is_empty());
    for (name, value) in [
        ("no-local", "false"),
        ("durable", "false"),
        ("auto-delete", "false"),
        ("auto-delete", "true"),
        ("exclusive", "true"),
        ("activemq.prefetchSize", "1"),
        ("x-priority", "3"),
    ] {
        let frame = subscribe("0", "/queue/a").with_header(name, value);
        ann.receipt(frame).await;
        ann.receipt(unsubscribe("0")).await;
    }
    for name in ["persistent", "priority"] {
        let frame = send("/topic/a", "1").with_header(name, "true");
        ann.receipt(frame).await;
    }
}

/// Once allowed, a subscription goes on: rules are asked at its beginning.
#[tokio::test(start_paused = true)]
async fn a_predicate_that_changes_its_answer_concerns_later_subscriptions_only() {
    let may_read = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&may_read);
    let predicate = Who::when(move |_, _| asked.load(Ordering::SeqCst));
    let rules = Rules::new().subscribe("/topic/a", predicate);
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let mut ann = connect_to(broker.clone(), Arc::default()).await;
    ann.receipt(subscribe("0", "/topic/a")).await;
    may_read.store(false, Ordering::SeqCst);
    broker.publish("/topic/a", "1").await.unwrap();
    ann.expect_message("1").await;
    ann.receipt(unsubscribe("0")).await;
    ann.expect_refusal(subscribe("0", "/topic/a"), "login-required")
        .await;
}

#[tokio::test]
async fn a_permission_to_send_holds_for_no_other_session_destination_or_syntax() {
    let rules = Rules::new().send("/topic/{user}.>", Who::Authenticated);
    let mut broker = Broker::new(Config::default().rules(rules)).unwrap();
    let of = |name: &str| Request::new(send("/", "1")).with_principal(Principal::new(name));
    let (ann, bob, nobody) = (of("ann"), of("bob"), Request::new(send("/", "1")));
    let (syntax, other) = (destination_syntax(), DestinationSyntax::default());
    for (request, syntax, text, expected) in [
        (&nobody, &syntax, "/topic/ann.a", "login-required"),
        (&ann, &syntax, "/topic/ann.a", "ok"),
        (&ann, &syntax, "/topic/ann.a", "ok"),
        (&bob, &syntax, "/topic/ann.a", "forbidden"),
        (&ann, &syntax, "/topic/ann.a", "ok"),
        (&nobody, &syntax, "/topic/ann.a", "login-required"),
        (&ann, &syntax, "/topic/ann.a", "ok"),
        (&ann, &syntax, "/topic/bob.a", "forbidden"),
        (&ann, &syntax, "/topic/ann.a", "ok"),
        (&ann, &other, "/topic/ann.a", "bad-destination"),
        (&ann, &syntax, "/topic/ann.>", "bad-destination"),
        (&ann, &syntax, "/topic/ann/a", "ok"),
    ] {
        let destination = syntax.parse(text).unwrap();
        let request = request.clone().with_destination(destination);
        let code = match Service::call(&mut broker, request).await {
            Ok(_) => "ok".to_owned(),
            Err(error) => ClientError::from_error(&*error).code().to_owned(),
        };
        assert_eq!(code, expected, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_of_a_rule_is_asked_about_each_message() {
    let may_send = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&may_send);
    let predicate = Who::when(move |_, _| asked.swap(false, Ordering::SeqCst));
    let rules = Rules::new().send("/topic/a", Who::role("staff").or(predicate));
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let mut ann = connect_as(&broker, "ann").await;
    for _ in 0..2 {
        may_send.store(true, Ordering::SeqCst);
        ann.receipt(send("/topic/a", "1")).await;
        ann.expect_refusal(send("/topic/a", "2"), "forbidden").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_hears_is_checked_counted_and_reported() {
    let rules = Rules::new().send("/topic/a", Who::Anybody);
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let mut events = broker.events();
    let mut ann = connect_as(&broker, "ann").await;
    ann.receipt(send("/topic/a", "1")).await;
    for (name, value, code) in [
        ("expiration", "1", "not-supported"),
        ("AMQ_SCHEDULED_DELAY", "1", "not-supported"),
        ("retain", "yes", "bad-request"),
        ("expires", "soon", "bad-request"),
        ("reply-to", "/topic/b", "forbidden"),
    ] {
        let message = send("/topic/a", "1").with_header(name, value);
        ann.expect_refusal(message, code).await;
    }
    let statistics = statistics_of(&broker);
    assert_eq!((statistics.published, statistics.delivered), (1, 0));
    let event = events.next().await.unwrap();
    assert!(matches!(event, Event::Published { .. }), "{event:?}");
    let event = events.next().await.unwrap();
    assert!(
        matches!(event, Event::Delivered { recipients: 0, .. }),
        "{event:?}"
    );
    assert!(events.next().now_or_never().is_none());

    let mut messages = broker.subscribe("/topic/*").await.unwrap();
    ann.receipt(send("/topic/a", "2")).await;
    assert_eq!(messages.next().await.unwrap().unwrap().body(), "2");
    broker.shutdown().await.unwrap();
    ann.expect_refusal(send("/topic/a", "3"), "engine-unavailable")
        .await;
}
