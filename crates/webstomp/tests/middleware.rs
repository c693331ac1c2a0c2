//! The layers of this workspace on an app, on a prefix and on one route, over sessions in memory.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use stomp_testing::frames::{disconnect, send, subscribe, unsubscribe};
use support::Server;
use webstomp::{
    App, BoxError, ClientError, Connected, DisconnectReason, Handler, Peer, Principal, Request,
    Response, Router, State,
    frame::{Command, Headers},
    middleware::{Next, RejectOverRateLayer, RequirePrincipalLayer, from_fn},
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn sink() {}

/// Gives a principal to each client that sends a login.
async fn log_in(headers: Headers) -> Connected {
    match headers.get("login").filter(|login| !login.is_empty()) {
        Some(login) => Connected::from(Principal::new(login)),
        None => Connected::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_as_middleware_can_refuse_requests() {
    async fn polite(request: Request, next: Next) -> Result<Response, BoxError> {
        if request.command() == Command::Send && request.body() != "please" {
            return Err(ClientError::new("rude", "Say please.").into());
        }
        next.run(request).await
    }
    let nested = Router::new().send("/sink", sink).layer(from_fn(polite));
    for app in [
        App::new().send("/p/sink", sink).layer(from_fn(polite)),
        App::new().nest("/p", nested),
        App::new().send("/p/sink", sink.layer(from_fn(polite))),
        App::new()
            .send("/p/sink", sink)
            .layer(from_fn(polite))
            .layer(from_fn(polite)),
    ] {
        let mut client = Server::new(app).client().await;
        let error = client.expect_refusal(send("/p/sink", "now"), "rude").await;
        assert_eq!(error.body, "Say please.");
        client.receipt(send("/p/sink", "please")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn require_principal_refuses_clients_without_a_login() {
    let nested = Router::new()
        .send("/sink", sink)
        .subscribe("/sink", sink)
        .policy(RequirePrincipalLayer);
    for app in [
        App::new()
            .send("/p/sink", sink)
            .subscribe("/p/sink", sink)
            .layer(RequirePrincipalLayer),
        App::new().nest("/p", nested),
        App::new()
            .send("/p/sink", sink.policy(RequirePrincipalLayer))
            .subscribe("/p/sink", sink.layer(RequirePrincipalLayer)),
    ] {
        let server = Server::new(app.connect(log_in));
        let mut anonymous = server.client().await;
        for frame in [send("/p/sink", ""), subscribe("0", "/p/sink")] {
            anonymous.expect_refusal(frame, "login-required").await;
        }
        anonymous.receipt(unsubscribe("0")).await;
        let mut ann = server.client_as("ann").await;
        ann.receipt(send("/p/sink", "")).await;
        ann.receipt(subscribe("0", "/p/sink")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reject_over_rate_counts_each_session_separately() {
    let layer = || RejectOverRateLayer::new(2, HOUR);
    let both = || App::new().send("/p/a", sink).send("/p/b", sink);
    let nested = Router::new()
        .send("/a", sink)
        .send("/b", sink)
        .layer(layer());
    let one = App::new()
        .send("/p/a", sink.layer(layer()))
        .send("/p/b", sink);
    for (app, is_b_limited) in [
        (both().layer(layer()), true),
        (App::new().nest("/p", nested), true),
        (one, false),
    ] {
        let server = Server::new(app);
        let [mut first, mut second] = [server.client().await, server.client().await];
        first.receipt(send("/p/a", "")).await;
        first.receipt(send("/p/a", "")).await;
        first.expect_refusal(send("/p/a", ""), "rate-limited").await;
        if is_b_limited {
            first.expect_refusal(send("/p/b", ""), "rate-limited").await;
        } else {
            first.receipt(send("/p/b", "")).await;
        }
        second.receipt(send("/p/a", "")).await;
        first.receipt(disconnect()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reject_over_rate_can_count_the_sessions_of_a_principal_together() {
    let limit = RejectOverRateLayer::new(2, HOUR).per_principal();
    let app = App::new().connect(log_in).send("/a", sink).layer(limit);
    let server = Server::new(app);
    let mut first = server.client_as("ann").await;
    let mut second = server.client_as("ann").await;
    first.receipt(send("/a", "")).await;
    second.receipt(send("/a", "")).await;
    for client in [&mut first, &mut second] {
        client.expect_refusal(send("/a", ""), "rate-limited").await;
    }
    first.receipt(disconnect()).await;
    let mut third = server.client_as("ann").await;
    third.expect_refusal(send("/a", ""), "rate-limited").await;
    server.client_as("bob").await.receipt(send("/a", "")).await;
    // Clients without a login are counted one by one.
    for _ in 0..2 {
        let mut anonymous = server.client().await;
        anonymous.receipt(send("/a", "")).await;
        anonymous.receipt(send("/a", "")).await;
        anonymous
            .expect_refusal(send("/a", ""), "rate-limited")
            .await;
    }
}

type Ends = Arc<Mutex<Vec<(Option<DisconnectReason>, bool)>>>;

/// An app that records each `DISCONNECT` and each `SEND`, inside layers that refuse most requests.
fn noting_app(ends: &Ends) -> App {
    async fn note_end(State(ends): State<Ends>, reason: DisconnectReason, peer: Peer) {
        let end = (Some(reason), peer.request.is_some());
        ends.lock().unwrap().push(end);
    }
    async fn note_send(
        State(ends): State<Ends>,
        reason: Option<DisconnectReason>,
        _: Option<Principal>,
    ) {
        ends.lock().unwrap().push((reason, false));
    }
    let rate_limit = tower::limit::RateLimitLayer::new(100, Duration::from_secs(1));
    App::new()
        .connect(log_in)
        .disconnect(note_end)
        .send("/notes", note_send)
        .with_state(Arc::clone(ends))
        .layer(RejectOverRateLayer::new(1, HOUR))
        .layer_per_session(RequirePrincipalLayer)
        .layer_per_session(rate_limit)
}

#[tokio::test(start_paused = true)]
async fn disconnect_passes_all_layers_even_after_they_refused_requests() {
    let ends = Ends::default();
    let server = Server::new(noting_app(&ends));

    let mut client = server.client_as("ann").await;
    client.receipt(send("/notes", "")).await;
    client
        .expect_refusal(send("/notes", ""), "rate-limited")
        .await;
    client.receipt(disconnect()).await;
    assert_eq!(
        std::mem::take(&mut *ends.lock().unwrap()),
        [(None, false), (Some(DisconnectReason::Requested), true)]
    );

    drop(server.client().await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = ends.lock().unwrap().pop().unwrap();
    assert!(
        matches!(
            last,
            (
                Some(DisconnectReason::Lost | DisconnectReason::Closed),
                true
            )
        ),
        "{last:?}"
    );
}
