//! Whatever an engine does not declare is refused, and nothing reaches it.

use crate::{
    scripted::{Minimal, Scripted},
    support::{Client, connect, connect_as, open},
};
use futures_util::StreamExt;
use stomp_broker::{Address, Broker, Capabilities, Engine, Health, Publication, QueueSettings};
use stomp_frame::{Command, Frame};
use stomp_session::{Message, Principal};
use stomp_testing::frames::{send, subscribe, transaction};

/// Expects `not-supported`, with a text that names `what`.
async fn expect_not_supported(client: &mut Client, frame: Frame, what: &str) {
    let error = client.expect_refusal(frame, "not-supported").await;
    let text = String::from_utf8(error.body.to_vec()).unwrap();
    assert_eq!(text, format!("This broker does not support {what}."));
}

fn far_future() -> String {
    u64::MAX.to_string()
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_capabilities_has_topics_and_nothing_else() {
    let engine = Scripted::new(Capabilities::none());
    let broker = engine.broker();
    let mut ann = connect_as(&broker, "ann").await;
    for (destination, what) in [
        ("/queue/a", "queues (/queue/…)"),
        ("/user/a", "destinations of users (/user/…)"),
        ("/temp-queue/a", "temporary queues (/temp-queue/…)"),
    ] {
        expect_not_supported(&mut ann, send(destination, "1"), what).await;
        expect_not_supported(&mut ann, subscribe("0", destination), what).await;
    }
    let pattern = subscribe("0", "/topic/a.*");
    expect_not_supported(&mut ann, pattern, "patterns such as \"/topic/a.*\"").await;
    let message = || send("/topic/a", "1");
    for (name, value, what) in [
        ("retain", "set", "the header retain"),
        ("retain", "remove", "the header retain"),
        ("expires", &*far_future(), "the header expires"),
        (
            "reply-to",
            "/temp-queue/a",
            "the header reply-to with a temporary queue (/temp-queue/…)",
        ),
    ] {
        expect_not_supported(&mut ann, message().with_header(name, value), what).await;
    }
    assert!(engine.take_calls().is_empty(), "the engine was called");

    ann.subscribe("0", "/topic/a").await;
    ann.receipt(message().with_header("expires", "0")).await;
    ann.expect_message("1").await;
    ann.receipt(transaction(Command::Begin, "t")).await;
    ann.receipt(message().with_header("transaction", "t")).await;
    let commit = transaction(Command::Commit, "t");
    expect_not_supported(&mut ann, commit, "SEND in a transaction").await;
    ann.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_application_is_refused_in_the_same_way() {
    let broker = Scripted::new(Capabilities::none()).broker();
    let code = |error: stomp_session::BoxError| error.to_string();
    let retained = || Message::new("1").with_header("retain", "set");
    for error in [
        broker.publish("/queue/a", "1").await.unwrap_err(),
        broker.publish("/topic/a", retained()).await.unwrap_err(),
        broker.subscribe("/queue/a").await.map(drop).unwrap_err(),
        broker.subscribe("/topic/*").await.map(drop).unwrap_err(),
        broker
            .send_to_user(&Principal::new("ann"), "a", "1")
            .await
            .unwrap_err(),
        broker.purge("/queue/a").await.unwrap_err(),
    ] {
        let error = code(error);
        assert!(error.starts_with("not-supported: "), "{error}");
    }
    let capabilities = Capabilities::all().administration(false);
    let broker = Scripted::new(capabilities).broker();
    assert_eq!(broker.capabilities(), capabilities);
    assert_eq!(
        code(broker.browse("/queue/a", 1).await.unwrap_err()),
        "not-supported: This broker does not support the administration of queues."
    );
}

#[tokio::test(start_paused = true)]
async fn each_capability_opens_exactly_what_it_is_for() {
    let none = Capabilities::none;
    type Open = fn(Capabilities) -> Capabilities;
    let cases: &[(Open, Frame)] = &[
        (|all| all.queues(true), send("/queue/a", "1")),
        (|all| all.patterns(true), subscribe("0", "/topic/>")),
        (|all| all.user_destinations(true), subscribe("0", "/user/a")),
        (
            |all| all.temporary_queues(true),
            subscribe("0", "/temp-queue/a"),
        ),
        (
            |all| all.retained(true),
            send("/topic/a", "1").with_header("retain", "set"),
        ),
        (
            |all| all.expiry(true),
            send("/topic/a", "1").with_header("expires", &far_future()),
        ),
        (
            |all| all.durable(true),
            subscribe("0", "/topic/a").with_header("durable", "true"),
        ),
    ];
    for (at, (open, _)) in cases.iter().enumerate() {
        for (other, (_, frame)) in cases.iter().enumerate() {
            let mut client = connect_as(&Scripted::new(open(none())).broker(), "ann").await;
            if at == other {
                client.receipt(frame.clone()).await;
            } else {
                client.expect_refusal(frame.clone(), "not-supported").await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_flags_of_a_queue_need_a_capability_each() {
    let queues = Capabilities::none().queues(true);
    for (header, capabilities) in [
        ("exclusive", queues.exclusive(true)),
        ("auto-delete", queues.auto_delete(true)),
    ] {
        let frame = subscribe("0", "/queue/a").with_header(header, "true");
        let mut client = connect(&Scripted::new(queues).broker()).await;
        let what = format!("the header {header}:true");
        expect_not_supported(&mut client, frame.clone(), &what).await;
        let mut client = connect(&Scripted::new(capabilities).broker()).await;
        client.receipt(frame).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_in_memory_engine_refuses_what_it_would_otherwise_ignore() {
    let mut client = connect(&Broker::new(open()).unwrap()).await;
    let queue = || subscribe("0", "/queue/a");
    for (name, value, what) in [
        ("durable", "true", "the header durable:true"),
        ("selector", "a = 1", "the header selector"),
    ] {
        expect_not_supported(&mut client, queue().with_header(name, value), what).await;
    }
    let topic = subscribe("0", "/topic/a").with_header("exclusive", "true");
    expect_not_supported(&mut client, topic, "the header exclusive:true for topics").await;
    let retained = send("/topic/a", "1").with_header("retain", "set");
    expect_not_supported(&mut client, retained, "the header retain").await;
    for (frame, name, value) in [
        (queue(), "durable", "yes"),
        (queue(), "exclusive", ""),
        (queue(), "auto-delete", "yes"),
        (send("/topic/a", "1"), "retain", "yes"),
        (send("/topic/a", "1"), "expires", "soon"),
    ] {
        client
            .expect_refusal(frame.with_header(name, value), "bad-request")
            .await;
    }
    let harmless = queue()
        .with_header("durable", "false")
        .with_header("exclusive", "false");
    client.receipt(harmless).await;
    let retaining = Scripted::new(Capabilities::all()).broker();
    let mut client = connect(&retaining).await;
    let retained = send("/queue/a", "1").with_header("retain", "set");
    expect_not_supported(&mut client, retained, "the header retain for queues").await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_learns_what_its_callers_ask_for() {
    let engine = Scripted::new(Capabilities::all());
    let broker = engine.broker();
    let mut ann = connect_as(&broker, "ann").await;
    let consumer = subscribe("0", "/queue/a")
        .with_header("ack", "client")
        .with_header("prefetch-count", "7");
    ann.receipt(consumer).await;
    ann.subscribe("1", "/topic/a").await;
    let _stream = broker.subscribe("/queue/b").await.unwrap();
    assert_eq!(
        engine.take_calls(),
        [
            "subscribe /queue/a client Some(7) Some(\"ann\") true",
            "subscribe /topic/a auto None Some(\"ann\") true",
            "subscribe /queue/b client-individual None None false",
        ]
    );
    ann.send(send("/topic/a", "1").with_header("retain", "set"))
        .await;
    ann.expect_message("1").await;
    ann.publish("/topic/a", "2").await;
    broker.publish("/topic/a", "3").await.unwrap();
    assert_eq!(
        engine.take_calls(),
        [
            "publish /topic/a Set false Some(\"ann\") true",
            "publish /topic/a Nothing true Some(\"ann\") true",
            "publish /topic/a Nothing true None false",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_default_bodies_of_an_engine_refuse_or_know_nothing() {
    let queue = Address::queue("a");
    let is_refused = |error: stomp_session::BoxError| {
        assert!(error.to_string().starts_with("not-supported: "), "{error}");
    };
    let mut transaction = Minimal.begin();
    let publication = Publication::new(Message::new("1"));
    is_refused(transaction.prepare(&queue, publication).await.unwrap_err());
    let declared = Minimal.declare(&queue, QueueSettings::default());
    is_refused(declared.await.unwrap_err());
    is_refused(Minimal.purge(&queue).await.unwrap_err());
    is_refused(Minimal.delete(&queue).await.unwrap_err());
    is_refused(Minimal.browse(&queue, 1).await.unwrap_err());
    let broker = Broker::with_engine(open(), Minimal).unwrap();
    assert!(broker.statistics().await.unwrap().destinations.is_empty());
    assert_eq!(*broker.health().borrow(), Health::Up);
    assert_eq!(broker.events().next().await, None);
    broker.publish("/topic/a", "1").await.unwrap();
    broker.shutdown().await.unwrap();
}
