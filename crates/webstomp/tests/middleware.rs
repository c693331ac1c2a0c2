//! The layers of our own, on an app, on a prefix and on one route, and what they do to the frames of real sessions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{Server, send, subscribe};
use webstomp::{
    App, BoxError, ClientError, Connected, DisconnectReason, Handler, Peer, Principal, Request,
    Response, Router, State,
    frame::{Command, Frame, Headers},
    middleware::{Next, RejectOverRateLayer, RequirePrincipalLayer, from_fn},
};

async fn sink() {}

/// Who says a login has one.
async fn login(headers: Headers) -> Connected {
    match headers.get("login").filter(|login| !login.is_empty()) {
        Some(login) => Connected::from(Principal::new(login)),
        None => Connected::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_function() {
    async fn polite(request: Request, next: Next) -> Result<Response, BoxError> {
        if request.command() == Command::Send && request.body() != "please" {
            return Err(ClientError::new("rude", "Say please.").into());
        }
        next.run(request).await
    }
    for app in [
        App::new().send("/p/sink", sink).layer(from_fn(polite)),
        App::new().nest(
            "/p",
            Router::new().send("/sink", sink).layer(from_fn(polite)),
        ),
        App::new().send("/p/sink", sink.layer(from_fn(polite))),
        App::new()
            .send("/p/sink", sink)
            .layer(from_fn(polite))
            .layer(from_fn(polite)),
    ] {
        let mut client = Server::new(app).client().await;
        assert_eq!(
            client.is_refused(send("/p/sink", "now"), "rude").await.body,
            "Say please."
        );
        client.asks(send("/p/sink", "please")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn require_principal() {
    for app in [
        App::new()
            .send("/p/sink", sink)
            .subscribe("/p/sink", sink)
            .layer(RequirePrincipalLayer),
        App::new().nest(
            "/p",
            Router::new()
                .send("/sink", sink)
                .subscribe("/sink", sink)
                .policy(RequirePrincipalLayer),
        ),
        App::new()
            .send("/p/sink", sink.policy(RequirePrincipalLayer))
            .subscribe("/p/sink", sink.layer(RequirePrincipalLayer)),
    ] {
        let server = Server::new(app.connect(login));
        let mut nobody = server.client().await;
        nobody
            .is_refused(send("/p/sink", ""), "login-required")
            .await;
        nobody
            .is_refused(subscribe("0", "/p/sink"), "login-required")
            .await;
        nobody
            .asks(Frame::new(Command::Unsubscribe).with_header("id", "0"))
            .await;
        let mut ann = server.client_as("ann").await;
        ann.asks(send("/p/sink", "")).await;
        ann.asks(subscribe("0", "/p/sink")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limit() {
    let layer = || RejectOverRateLayer::new(2, Duration::from_secs(3_600));
    for (app, other_is_free) in [
        (
            App::new()
                .send("/p/a", sink)
                .send("/p/b", sink)
                .layer(layer()),
            false,
        ),
        (
            App::new().nest(
                "/p",
                Router::new()
                    .send("/a", sink)
                    .send("/b", sink)
                    .layer(layer()),
            ),
            false,
        ),
        (
            App::new()
                .send("/p/a", sink.layer(layer()))
                .send("/p/b", sink),
            true,
        ),
    ] {
        let server = Server::new(app);
        let [mut one, mut other] = [server.client().await, server.client().await];
        one.asks(send("/p/a", "")).await;
        one.asks(send("/p/a", "")).await;
        one.is_refused(send("/p/a", ""), "rate-limited").await;
        match other_is_free {
            true => one.asks(send("/p/b", "")).await,
            false => drop(one.is_refused(send("/p/b", ""), "rate-limited").await),
        }
        other.asks(send("/p/a", "")).await;
        one.asks(Frame::new(Command::Disconnect)).await;
    }
}

/// The layers of our own let `DISCONNECT` pass, however much was refused before.
#[tokio::test(start_paused = true)]
async fn the_end_is_told_through_all_layers() {
    type Ends = Arc<Mutex<Vec<(Option<DisconnectReason>, bool)>>>;
    async fn note(State(ends): State<Ends>, reason: DisconnectReason, peer: Peer) {
        ends.lock()
            .unwrap()
            .push((Some(reason), peer.request.is_some()));
    }
    async fn note_maybe(
        State(ends): State<Ends>,
        reason: Option<DisconnectReason>,
        _: Option<Principal>,
    ) {
        ends.lock().unwrap().push((reason, false));
    }
    let ends = Ends::default();
    let app = App::new()
        .connect(login)
        .disconnect(note)
        .send("/notes", note_maybe)
        .with_state(Arc::clone(&ends))
        .layer(RejectOverRateLayer::new(1, Duration::from_secs(3_600)))
        .layer_per_session(RequirePrincipalLayer)
        .layer_per_session(tower::limit::RateLimitLayer::new(
            100,
            Duration::from_secs(1),
        ));
    let server = Server::new(app);

    let mut client = server.client_as("ann").await;
    client.asks(send("/notes", "")).await;
    client.is_refused(send("/notes", ""), "rate-limited").await;
    client.asks(Frame::new(Command::Disconnect)).await;
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
