//! Replies, and subscriptions that begin with what there is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::stream;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use support::{Server, send, subscribe};
use webstomp::{
    App, ClientError, IntoSubscribeResponse, Json, Observe, Reply, State, frame::Command,
};

async fn add(
    State(calls): State<Arc<AtomicUsize>>,
    Json((a, b)): Json<(i64, i64)>,
) -> Result<Reply<Json<i64>>, ClientError> {
    calls.fetch_add(1, Ordering::SeqCst);
    a.checked_add(b)
        .map(|sum| Reply(Json(sum)))
        .ok_or_else(|| ClientError::new("too-large", "That is too much."))
}

async fn replies() {}

fn server(calls: &Arc<AtomicUsize>) -> Server {
    let app = App::new()
        .send("/sums", add)
        .subscribe("/replies", replies)
        .subscribe("/other", replies);
    Server::new(app.with_state(Arc::clone(calls)))
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_to_who_has_asked() {
    let server = server(&Arc::default());
    let [mut client, mut other] = [server.client().await, server.client().await];
    for client in [&mut client, &mut other] {
        client.asks(subscribe("r", "/replies")).await;
        client.asks(subscribe("o", "/other")).await;
    }
    let ask = send("/sums", "[1,2]").with_header("reply-to", "/replies");
    client
        .begins(ask.clone().with_header("correlation-id", "42"))
        .await;
    let reply = client.gets(Command::Message).await;
    assert_eq!(reply.headers.get("subscription"), Some("r"));
    assert_eq!(reply.headers.get("destination"), Some("/replies"));
    assert_eq!(reply.headers.get("correlation-id"), Some("42"));
    assert_eq!(reply.headers.get("content-type"), Some("application/json"));
    assert_eq!(reply.body, "3");
    client.is_answered().await;

    client.begins(ask).await;
    assert_eq!(
        client
            .gets(Command::Message)
            .await
            .headers
            .get("correlation-id"),
        None
    );
    client.is_answered().await;
    other.waits().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replied_to_is_refused() {
    let calls = Arc::default();
    let server = server(&calls);
    let mut client = server.client().await;
    let error = client
        .is_refused(send("/sums", "[1,2]"), "bad-request")
        .await;
    assert!(
        std::str::from_utf8(&error.body)
            .unwrap()
            .contains("\"reply-to\"")
    );
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the handler is not called");

    // Another session's subscription does not count.
    let mut other = server.client().await;
    other.asks(subscribe("r", "/replies")).await;
    let ask = |body| send("/sums", body).with_header("reply-to", "/replies");
    client.is_refused(ask("[1,2]"), "not-subscribed").await;
    client.asks(subscribe("r", "/replies")).await;
    client
        .is_refused(ask("[9223372036854775807,1]"), "too-large")
        .await;
    other.waits().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_begins_with_what_there_is() {
    async fn watch() -> impl IntoSubscribeResponse {
        Observe(stream::iter(["new", "newer"])).starting_with([Json(1), Json(2)])
    }
    let mut client = Server::new(App::new().subscribe("/changes", watch))
        .client()
        .await;
    client.begins(subscribe("0", "/changes")).await;
    client.is_answered().await;
    for body in ["1", "2", "new", "newer"] {
        assert_eq!(client.gets(Command::Message).await.body, body);
    }
}
