//! Replies to `SEND`, and subscriptions that begin with current values.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::stream;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use stomp_testing::frames::{send, subscribe};
use support::Server;
use webstomp::{App, ClientError, IntoSubscribeResponse, Json, Observe, Reply, State};

async fn add(
    State(calls): State<Arc<AtomicUsize>>,
    Json((a, b)): Json<(i64, i64)>,
) -> Result<Reply<Json<i64>>, ClientError> {
    calls.fetch_add(1, Ordering::SeqCst);
    a.checked_add(b)
        .map(|sum| Reply(Json(sum)))
        .ok_or_else(|| ClientError::new("too-large", "The sum is too large."))
}

fn server(calls: &Arc<AtomicUsize>) -> Server {
    let app = App::new()
        .send("/sums", add)
        .inbox("/replies")
        .inbox("/other");
    Server::new(app.with_state(Arc::clone(calls)))
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_only_to_the_session_that_sent_the_request() {
    let server = server(&Arc::default());
    let [mut client, mut other] = [server.client().await, server.client().await];
    for client in [&mut client, &mut other] {
        client.receipt(subscribe("r", "/replies")).await;
        client.receipt(subscribe("o", "/other")).await;
    }
    let question = send("/sums", "[1,2]").with_header("reply-to", "/replies");
    let correlated = question.clone().with_header("correlation-id", "42");
    let id = client.request(correlated).await;
    let reply = client.expect_message_for("r", "3").await;
    for (name, value) in [
        ("destination", "/replies"),
        ("correlation-id", "42"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(reply.headers.get(name), Some(value), "{name}");
    }
    client.expect_receipt(&id).await;

    let id = client.request(question).await;
    let reply = client.expect_message("3").await;
    assert_eq!(reply.headers.get("correlation-id"), None);
    client.expect_receipt(&id).await;
    other.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_reply_to_is_refused_before_its_handler() {
    let calls = Arc::default();
    let mut client = server(&calls).client().await;
    let error = client
        .expect_refusal(send("/sums", "[1,2]"), "bad-request")
        .await;
    let text = std::str::from_utf8(&error.body).unwrap();
    assert!(text.contains("\"reply-to\""), "{text}");
    assert_eq!(calls.load(Ordering::SeqCst), 0, "calls of the handler");
}

#[tokio::test(start_paused = true)]
async fn a_reply_needs_a_subscription_of_the_same_session() {
    let server = server(&Arc::default());
    let [mut client, mut other] = [server.client().await, server.client().await];
    other.receipt(subscribe("r", "/replies")).await;
    let question = |body| send("/sums", body).with_header("reply-to", "/replies");
    client
        .expect_refusal(question("[1,2]"), "not-subscribed")
        .await;
    client.receipt(subscribe("r", "/replies")).await;
    client
        .expect_refusal(question("[9223372036854775807,1]"), "too-large")
        .await;
    other.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_can_begin_with_current_values() {
    async fn watch() -> impl IntoSubscribeResponse {
        Observe(stream::iter(["new", "newer"])).starting_with([Json(1), Json(2)])
    }
    let server = Server::new(App::new().subscribe("/changes", watch));
    let mut client = server.client().await;
    client.receipt(subscribe("0", "/changes")).await;
    for body in ["1", "2", "new", "newer"] {
        client.expect_message(body).await;
    }
}
