//! Streams that the application gives to a session's handle.

use crate::support::*;
use futures_util::{Stream, StreamExt};
use std::sync::Mutex;
use stomp_session::{ClientError, CloseCode, Config, Message, Request, Response, Topic};

#[tokio::test(start_paused = true)]
async fn unhook_drops_a_stream_and_keeps_its_subscription() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/a")).await;
    let topic = Topic::new();
    let observed = session.observe("/a", topic.subscribe()).unwrap();
    topic.publish("one").unwrap();
    client.expect_message_for("0", "one").await;

    observed.unhook();
    client.receipt(send("/b", "")).await;
    assert_eq!(topic.subscribers(), 0, "the session still holds the stream");
    topic.publish("two").unwrap();
    session.message("/a", "of the handle").unwrap();
    client.expect_message_for("0", "of the handle").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_continues_after_its_handles_are_dropped() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/a")).await;
    let topic = Topic::new();
    drop(session.observe("/a", topic.subscribe()).unwrap());
    drop(session);
    client.receipt(send("/b", "")).await;
    topic.publish("one").unwrap();
    client.expect_message_for("0", "one").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_dropped_with_its_subscription() {
    let (session, mut client, connection) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/a")).await;
    let (stream, held) = open_stream(&["one"]);
    let _observed = session.observe("/a", stream).unwrap();
    client.expect_message_for("0", "one").await;
    assert!(!is_dropped(&held));
    client.receipt(unsubscribe("0")).await;
    assert!(is_dropped(&held));

    client.receipt(subscribe("0", "/a")).await;
    let (stream, held) = open_stream(&["two"]);
    let _observed = session.observe("/a", stream).unwrap();
    client.expect_message_for("0", "two").await;
    drop(client);
    finished(connection).await;
    assert!(is_dropped(&held));
}

/// A handler for one `SUBSCRIBE`: it attaches `stream` through the session's handle, and then returns `answer`.
fn observing(
    stream: impl Stream<Item = Message> + Send + 'static,
    answer: impl Fn() -> Answer + Send,
) -> impl Fn(&Request) -> Answer + Send {
    let stream = Mutex::new(Some(stream));
    move |request| match request.command() {
        Command::Subscribe => {
            let stream = stream.lock().unwrap().take().unwrap();
            let destination = request.destination().as_str();
            drop(request.session().observe(destination, stream)?);
            answer()
        }
        _ => Ok(Response::Done),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_dropped_if_its_subscription_is_refused() {
    let (stream, held) = open_stream(&[]);
    let refused = || Err(ClientError::new("forbidden", "Not for you.").into());
    let (_session, mut client, _) = start(Config::default(), observing(stream, refused)).await;
    client.send(subscribe("0", "/a")).await;
    client.expect(Command::Error).await;
    client.receipt(send("/b", "")).await;
    assert!(is_dropped(&held));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_dropped_if_its_subscription_ends_at_once() {
    let (stream, held) = open_stream(&[]);
    let accepted = || Ok(Response::Done);
    let (_session, mut client, _) = start(Config::default(), observing(stream, accepted)).await;
    client
        .send_together(&[subscribe("0", "/a"), unsubscribe("0")])
        .await;
    client.receipt(send("/b", "")).await;
    client.receipt(send("/b", "")).await;
    assert!(is_dropped(&held));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_dropped_if_its_subscription_has_ended_before() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/a")).await;
    client.receipt(subscribe("1", "/b")).await;
    let topic = Topic::new();
    let (late, held) = open_stream(&[]);
    let (mut late, handle) = (Some(late), session.clone());
    // The session polls this stream before it reads UNSUBSCRIBE, and handles the call to `observe` afterwards.
    let observing = topic
        .subscribe()
        .inspect(move |_| drop(handle.observe("/a", late.take().unwrap()).unwrap()));
    let _observed = session.observe("/b", observing).unwrap();
    client.receipt(send("/c", "")).await;

    topic.publish("now").unwrap();
    let receipt = client.request(unsubscribe("0")).await;
    client.expect_message_for("1", "now").await;
    client.expect_receipt(&receipt).await;
    client.receipt(send("/c", "")).await;
    assert!(is_dropped(&held));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_dropped_if_its_session_has_ended_before() {
    let (session, mut requests, mut client, _) = start_with_requests().await;
    client.send(subscribe("0", "/a")).await;
    let (_, responder) = requests.next().await.unwrap();
    session.close(CloseCode::Away);
    client.expect_end().await;
    let (stream, held) = open_stream(&[]);
    responder.respond(Response::observe(stream));
    // These requests follow only after the session has taken the answer.
    accept_next(&mut requests, Command::Unsubscribe).await;
    accept_next(&mut requests, Command::Disconnect).await;
    assert!(is_dropped(&held));
}
