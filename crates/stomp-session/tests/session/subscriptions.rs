//! Subscriptions that are answered with a stream.

use crate::support::*;
use futures_util::{StreamExt, stream};
use stomp_frame::Version;
use stomp_session::{
    ClientError, Config, DestinationSyntax, Message, Response, SubscribeError, Topic,
};

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_ends_its_subscription_and_no_other() {
    let streams = |destination: &str| match destination {
        "/fails" => {
            let failure = ClientError::new("out-of-stock", "There is none left.");
            stream::iter([
                Ok(Message::new("one").into()),
                Err(failure.into()),
                Ok(Message::new("never").into()),
            ])
            .boxed()
        }
        "/breaks" => stream::iter([Err("secret: a database is gone".into())]).boxed(),
        "/panics" => stream::poll_fn(|_| panic!("secret: a bug")).boxed(),
        _ => stream::pending().boxed(),
    };
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.receipt(subscribe("good", "/good")).await;
    client.receipt(subscribe("0", "/fails")).await;
    client.expect_message_for("0", "one").await;
    let error = client.expect_error("out-of-stock").await;
    assert_eq!(error.headers.get("subscription"), Some("0"));
    assert_eq!(error.body, "There is none left.");
    assert!(is_not_subscribed(session.message("/fails", "too late")));

    for destination in ["/breaks", "/panics"] {
        client.receipt(subscribe("1", destination)).await;
        let error = client.expect_error("internal-error").await;
        assert_eq!(error.headers.get("subscription"), Some("1"));
        let mut values = error.headers.iter().map(|(_, value)| value);
        assert!(!values.any(|value| value.contains("secret")), "{error:?}");
        assert_eq!(error.body, "The server failed to handle this frame.");
    }

    session.message("/good", "unharmed").unwrap();
    client.expect_message_for("good", "unharmed").await;
    client.receipt(unsubscribe("0")).await;
    client.receipt(subscribe("0", "/good")).await;
    client.receipt(send("/a", "")).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_when_the_stream_of_its_answer_ends() {
    let streams = |destination: &str| match destination {
        "/one" => stream::iter([Ok(Message::new("one").into())]).boxed(),
        _ => stream::empty().boxed(),
    };
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.receipt(subscribe("0", "/one")).await;
    client.expect_message_for("0", "one").await;
    client.receipt(send("/a", "")).await;
    assert!(is_not_subscribed(session.message("/one", "too late")));

    // The client cannot know that the subscription has ended, so it may unsubscribe, but only once.
    client.receipt(unsubscribe("0")).await;
    client.receipt(subscribe("0", "/empty")).await;
    client.receipt(subscribe("0", "/one")).await;
    client.expect_message_for("0", "one").await;
    client.receipt(unsubscribe("0")).await;
    client.send(unsubscribe("0")).await;
    client.expect_error("unknown-subscription").await;
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_stream_of_its_answer_ends_a_subscription() {
    let topic = Topic::new();
    let shared = topic.clone();
    let streams = move |_: &str| shared.subscribe().take(2).boxed();
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.receipt(subscribe("0", "/a")).await;
    let _one = session
        .observe("/a", stream::iter(["of a handle"]))
        .unwrap();
    client.expect_message_for("0", "of a handle").await;
    let (stream, held) = open_stream(&["of another"]);
    let _another = session.observe("/a", stream).unwrap();
    client.expect_message_for("0", "of another").await;

    topic.publish("one").unwrap();
    client.expect_message_for("0", "one").await;
    client.receipt(send("/b", "")).await;
    session.message("/a", "unharmed").unwrap();
    client.expect_message_for("0", "unharmed").await;

    topic.publish("two").unwrap();
    client.expect_message_for("0", "two").await;
    client.receipt(send("/b", "")).await;
    assert!(is_not_subscribed(session.message("/a", "too late")));
    assert!(is_dropped(&held));
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_leaves_room_for_other_streams_and_requests() {
    let streams = |destination: &str| match destination {
        "/endless" => stream::repeat_with(|| Ok(Message::new("again").into())).boxed(),
        _ => stream::iter(["one", "two"])
            .map(|text| Ok(Message::new(text).into()))
            .chain(stream::pending())
            .boxed(),
    };
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.send(subscribe("0", "/endless")).await;
    client.send(subscribe("1", "/other")).await;
    client.request(send("/a", "")).await;
    let (mut others, mut has_sent, mut has_receipt) = (Vec::new(), false, false);
    for _ in 0..100_000 {
        let frame = client.next_frame().await.unwrap();
        match frame.headers.get("subscription") {
            Some("1") => others.push(frame.body),
            None => has_receipt |= frame.command == Command::Receipt,
            _ => {}
        }
        if others.len() == 2 && !has_sent {
            session.message("/other", "three").unwrap();
            has_sent = true;
        }
        if others.len() == 3 && has_receipt {
            assert_eq!(others, ["one", "two", "three"]);
            return;
        }
    }
    panic!("after 100,000 frames: messages {others:?}, receipt {has_receipt}");
}

#[tokio::test(start_paused = true)]
async fn an_implicit_subscription_without_room_or_name_is_refused() {
    let config = Config::default()
        .max_subscriptions(2)
        .max_destination_bytes(8);
    let (session, mut client, connection) = start(config, accept).await;
    client.receipt(subscribe("0", "/a")).await;
    let add = |text: &'static str| {
        let destination = DestinationSyntax::default().parse(text).unwrap();
        let (stream, held) = open_stream(&["one"]);
        (session.subscribe(&destination, stream), held)
    };
    for text in ["/too-long", "/a\nb", "/a\rb", "/a\0b"] {
        let (refused, held) = add(text);
        let error = ClientError::from(refused.unwrap_err());
        assert_eq!(error.code(), "bad-destination", "{text:?}");
        assert!(is_dropped(&held));
    }
    // Those that are not added yet count, too.
    let (added, held) = add("/b");
    assert_eq!(added, Ok(()));
    let refused = ClientError::from(add("/c").0.unwrap_err());
    assert_eq!(refused.code(), "too-many-subscriptions");
    client.expect_message_for("/b", "one").await;
    assert!(add("/c").0.is_err());
    client.receipt(unsubscribe("/b")).await;
    assert!(is_dropped(&held));
    assert_eq!(add("/c").0, Ok(()));
    client.expect_message_for("/c", "one").await;
    drop(client);
    finished(connection).await;
    let (refused, held) = add("/d");
    assert_eq!(refused, Err(SubscribeError::Closed));
    assert!(is_dropped(&held));
}

#[tokio::test(start_paused = true)]
async fn an_implicit_subscription_before_the_peer_is_connected_has_no_effect() {
    let (session, mut client, _) = run(
        Config::default(),
        tower::service_fn(|_| async { Ok(Response::Done) }),
    );
    let destination = DestinationSyntax::default().parse("/a").unwrap();
    let (stream, held) = open_stream(&["one"]);
    session.subscribe(&destination, stream).unwrap();
    client.connect(Version::V1_2).await;
    assert!(is_dropped(&held));
    client.receipt(send("/b", "")).await;
}
