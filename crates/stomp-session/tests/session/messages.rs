//! Messages that the application sends through a session's handle.

use crate::support::*;
use futures_util::{StreamExt, stream};
use std::time::Duration;
use stomp_frame::Version;
use stomp_session::{ClientError, Config, Message, Request, Response};
use stomp_testing::Client;
use tokio::time::sleep;
use tower::service_fn;

#[tokio::test(start_paused = true)]
async fn a_message_names_the_destination_that_it_was_sent_to() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/stocks/*")).await;
    client
        .receipt(subscribe_with_ack("1", "/stocks/*", "client"))
        .await;
    let sent_to = |destination: &str| {
        Message::new("7")
            .with_destination(destination.to_owned())
            .with_header("a", "b")
    };
    for destination in ["/stocks/abc", "/stocks/*", "/stocks/\nabc"] {
        session.message("/stocks/*", sent_to(destination)).unwrap();
    }
    let mut destinations = [const { Vec::new() }; 2];
    for _ in 0..6 {
        let message = client.expect(Command::Message).await;
        let header = |name| message.headers.get(name).unwrap();
        let subscription: usize = header("subscription").parse().unwrap();
        destinations[subscription].push(header("destination").to_owned());
        assert_eq!(message.headers.contains("ack"), subscription == 1);
        assert_eq!(header("a"), "b");
    }
    assert_eq!(
        destinations[0],
        ["/stocks/abc", "/stocks/*", "/stocks/*"],
        "a destination with a line end is replaced by the one subscribed to"
    );
    assert_eq!(destinations[1], destinations[0]);
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_each_subscription_to_its_destination() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    for (id, destination) in [("0", "/a"), ("1", "/b"), ("2", "/a")] {
        client.receipt(subscribe(id, destination)).await;
    }
    session.message("/b", "one").unwrap();
    session
        .message("/a", Message::new("two").with_header("colour", "red"))
        .unwrap();
    let message = client.expect_message_for("1", "one").await;
    assert_eq!(message.headers.get("destination"), Some("/b"));
    assert_eq!(message.headers.get("content-type"), Some("text/plain"));
    for subscription in ["0", "2"] {
        let message = client.expect_message_for(subscription, "two").await;
        assert_eq!(message.headers.get("colour"), Some("red"));
        let id = message.headers.get("message-id");
        assert!(id.is_some_and(|id| !id.is_empty()), "message-id {id:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_to_a_destination_without_a_subscription_is_an_error() {
    let (session, mut client, connection) = start(Config::default(), accept).await;
    assert!(is_not_subscribed(session.message("/a", "too early")));
    client.receipt(subscribe("0", "/a")).await;
    assert!(is_not_subscribed(session.message("/b", "elsewhere")));
    assert!(session.observe("/b", stream::empty::<Message>()).is_err());
    session.message("/a", "in time").unwrap();
    client.expect_message_for("0", "in time").await;
    client.receipt(unsubscribe("0")).await;
    assert!(is_not_subscribed(session.message("/a", "too late")));

    client.receipt(subscribe("0", "/a")).await;
    client.receipt(disconnect()).await;
    client.expect_end().await;
    assert!(is_not_subscribed(session.message("/a", "too late")));
    drop(client);
    finished(connection).await;
    assert!(session.is_closed());
    assert!(is_not_subscribed(session.message("/a", "too late")));
    assert!(session.observe("/a", stream::empty::<Message>()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_receives_no_messages() {
    let refuse = |request: &Request| match request.command() {
        Command::Subscribe => Err(ClientError::new("forbidden", "Not for you.").into()),
        _ => Ok(Response::Done),
    };
    let (session, mut client, _) = start(Config::default(), refuse).await;
    client.send(subscribe("0", "/a")).await;
    let error = client.expect_error("forbidden").await;
    assert_eq!(error.headers.get("subscription"), Some("0"));
    assert!(is_not_subscribed(session.message("/a", "never")));
    client.receipt(unsubscribe("0")).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_handler_sends_waits_until_its_subscription_is_accepted() {
    let greet = |request: &Request| match request.command() {
        Command::Subscribe => {
            request
                .session()
                .message(request.destination().as_str(), "welcome")?;
            match request.headers().get("id") {
                Some("0") => Err(ClientError::new("forbidden", "Not for you.").into()),
                _ => Ok(Response::Done),
            }
        }
        _ => Ok(Response::Done),
    };
    let (_session, mut client, _) = start(Config::default(), greet).await;
    client.send(subscribe("0", "/a")).await;
    client.expect(Command::Error).await;
    client.receipt(subscribe("1", "/a")).await;
    client.expect_message_for("1", "welcome").await;
    client.receipt(send("/b", "")).await;
}

/// A service that takes a second for `SUBSCRIBE` and refuses `/secret`.
async fn hesitate(request: Request) -> Answer {
    if request.command() == Command::Subscribe {
        sleep(Duration::from_secs(1)).await;
        if request.destination().as_str() == "/secret" {
            return Err(ClientError::new("forbidden", "Not for you.").into());
        }
    }
    Ok(Response::Done)
}

/// A client whose subscription is not accepted yet, but already has a message and a stream.
async fn send_early(destination: &str) -> Client {
    let (session, mut client, _) = run(Config::default(), service_fn(hesitate));
    client.connect(Version::V1_2).await;
    client.request(subscribe("0", destination)).await;
    settle().await;
    session.message(destination, "early").unwrap();
    session
        .observe(
            destination,
            stream::iter(["streamed"]).chain(stream::pending()),
        )
        .unwrap();
    client
}

#[tokio::test(start_paused = true)]
async fn messages_wait_until_their_subscription_is_accepted() {
    let mut client = send_early("/a").await;
    client.expect(Command::Receipt).await;
    client.expect_message("early").await;
    client.expect_message("streamed").await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_never_sent_to_a_subscription_that_is_refused() {
    let mut client = send_early("/secret").await;
    client.expect(Command::Error).await;
    client.receipt(send("/b", "")).await;
    client.receipt(send("/b", "")).await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_handle_wait_for_no_acknowledgment() {
    let mut config = Config::default();
    config.max_unacked_messages = 1;
    let (session, mut client, _) = start(config, accept).await;
    client
        .receipt(subscribe_with_ack("0", "/a", "client"))
        .await;
    let texts = ["one", "two", "three"];
    for text in texts {
        session.message("/a", text).unwrap();
    }
    let mut messages = Vec::new();
    for text in texts {
        messages.push(client.expect_message(text).await);
    }
    for message in &messages {
        client.receipt(ack(message)).await;
    }
}
