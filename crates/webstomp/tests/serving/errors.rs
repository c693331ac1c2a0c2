//! Errors and panics of an app, and malformed frames of a client.

use crate::{connect, open, serve, shop, sink};
use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use stomp_testing::frames::{self, send, subscribe};
use tower::timeout::TimeoutLayer;
use webstomp::{
    App, ClientError, Principal,
    frame::{Headers, Version},
    session::Config,
};

#[tokio::test]
async fn an_error_of_a_handler_leaves_the_session_open() {
    let mut client = connect(serve(shop()).await).await;
    let error = client
        .expect_refusal(send("/prices/coffee", "1"), "out-of-stock")
        .await;
    assert_eq!(error.body, "There is none left.");
    client
        .expect_refusal(send("/prices/tea", "cheap"), "bad-request")
        .await;
    client.receipt(send("/prices/tea", "12.5")).await;
}

#[tokio::test]
async fn a_panic_of_a_handler_is_an_internal_error_of_its_session() {
    let address = serve(shop()).await;
    let (mut client, mut other) = (connect(address).await, connect(address).await);
    for _ in 0..2 {
        let error = client
            .expect_refusal(send("/panic", ""), "internal-error")
            .await;
        assert_eq!(error.body, "The server failed to handle this frame.");
        let mut values = error.headers.iter().map(|(_, value)| value);
        assert!(values.all(|value| !value.contains("secret")), "{error:?}");
        client.receipt(send("/sink", "")).await;
    }
    other.receipt(send("/sink", "")).await;
    connect(address).await;
}

/// Layers per session are built for each connection. A panic at that time must not reach the loop that accepts
/// connections.
#[tokio::test]
async fn a_layer_that_panics_when_built_ends_only_its_own_session() {
    let count = AtomicUsize::new(0);
    let layer = tower::layer::layer_fn(move |service| {
        assert!(
            count.fetch_add(1, Ordering::SeqCst) > 0,
            "the layer of the first session panics"
        );
        service
    });
    let address = serve(App::new().send("/sink", sink).layer_per_session(layer)).await;
    let mut first = open(address).await;
    assert!(first.next_frame().await.is_none());
    connect(address).await.receipt(send("/sink", "")).await;
}

#[tokio::test]
async fn a_malformed_frame_closes_only_its_own_session() {
    let address = serve(shop()).await;
    let (mut client, mut other) = (connect(address).await, connect(address).await);
    client.send_bytes("SENT\ndestination:/sink\n\n\0").await;
    client.expect_error("malformed-frame").await;
    client.expect_close(1002).await;
    other.receipt(send("/sink", "")).await;
}

#[tokio::test]
async fn a_connect_handler_refuses_a_client_with_an_error_and_a_close() {
    async fn log_in(headers: Headers) -> Result<Principal, ClientError> {
        match headers.get("login") {
            Some(login) => Ok(Principal::new(login)),
            None => Err(ClientError::new("login-required", "The login is missing.")),
        }
    }
    async fn whoami(principal: Principal) -> String {
        principal.name().to_owned()
    }
    let address = serve(App::new().connect(log_in).subscribe("/me", whoami)).await;
    let mut stranger = open(address).await;
    stranger.send(frames::connect(Version::V1_2)).await;
    let error = stranger.expect_error("login-required").await;
    assert_eq!(error.body, "The login is missing.");
    stranger.expect_close(1008).await;

    let mut ann = open(address).await;
    let login = frames::connect(Version::V1_2).with_header("login", "ann");
    ann.connect_with(login).await;
    ann.receipt(subscribe("0", "/me")).await;
    ann.expect_message("ann").await;
}

#[tokio::test]
async fn the_app_maps_errors_of_layers_even_if_the_session_settings_are_replaced() {
    async fn ready() {}
    let app = App::new()
        .send("/never", pending::<()>)
        .send("/ready", ready)
        // A handler that is ready at once never exceeds a timeout.
        .layer(TimeoutLayer::new(Duration::from_millis(1)))
        .session_config(Config::default());
    let mut client = connect(serve(app).await).await;
    client.expect_refusal(send("/never", ""), "timeout").await;
    client.receipt(send("/ready", "")).await;
}
