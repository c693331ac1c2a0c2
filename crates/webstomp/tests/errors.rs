//! What clients are told when something goes wrong in an application, and what becomes of their sessions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::{error::Error, future::pending, time::Duration};
use support::{Server, send, subscribe};
use tower::timeout::TimeoutLayer;
use webstomp::{
    App, ClientError, Handler, Json, Path, Response,
    frame::{Command, Frame},
    middleware::{Next, from_fn},
    session::{AppErrors, Config},
};

/// Everything that can fail, by destination.
fn app(app_errors: AppErrors) -> App {
    async fn refuse() -> Result<(), ClientError> {
        Err(ClientError::new("out-of-stock", "There is none left."))
    }
    async fn fail() -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }
    async fn break_down() {
        panic!("secret: a bug");
    }
    async fn order(_: Json<Vec<(String, u8)>>) {}
    async fn room(_: Path<u8>) {}
    async fn sink() {}
    let panics = from_fn(
        |_, _: Next| -> std::future::Ready<Result<Response, ClientError>> { panic!("another") },
    );

    let mut config = Config::default();
    config.app_errors = app_errors;
    App::new()
        .session_config(config)
        .send("/refused", refuse)
        .subscribe("/refused", refuse)
        .send("/failed", fail)
        .send("/panic", break_down)
        .send("/panic/in/layer", sink.layer(panics))
        .send(
            "/slow",
            pending::<()>.layer(TimeoutLayer::new(Duration::from_secs(5))),
        )
        .send("/orders", order)
        .send("/rooms/{room}", room)
        .send("/sink", sink)
}

fn cases() -> Vec<(Frame, &'static str, &'static str)> {
    vec![
        (send("/refused", ""), "out-of-stock", "There is none left."),
        (
            subscribe("s", "/refused"),
            "out-of-stock",
            "There is none left.",
        ),
        (
            send("/failed", ""),
            "internal-error",
            "The server failed to handle this frame.",
        ),
        (
            send("/panic", ""),
            "internal-error",
            "The server failed to handle this frame.",
        ),
        (
            send("/panic/in/layer", ""),
            "internal-error",
            "The server failed to handle this frame.",
        ),
        (
            send("/slow", ""),
            "timeout",
            "The server took too long to handle this frame.",
        ),
        (
            send("/nowhere", ""),
            "not-found",
            "No SEND route matches the destination \"/nowhere\".",
        ),
        (
            subscribe("s", "/nowhere"),
            "not-found",
            "No SUBSCRIBE route matches the destination \"/nowhere\".",
        ),
        (
            send("/rooms/x", ""),
            "bad-request",
            "The parameters in the destination are invalid: \"room\" must be an integer from 0 to 255, but is \"x\".",
        ),
        (
            send("/orders", r#"[["tea",1],["milk","x"]]"#),
            "bad-request",
            "The body is not the expected JSON, at [1][1]: invalid type: string \"x\", expected u8 at line 1 column 22.",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_session_goes_on() {
    let mut client = Server::new(app(AppErrors::KeepOpen)).client().await;
    for (frame, code, text) in cases() {
        let is_subscribe = frame.command == Command::Subscribe;
        let error = client.is_refused(frame, code).await;
        assert_eq!(error.body, text);
        assert_eq!(
            error.headers.get("subscription"),
            is_subscribe.then_some("s")
        );
        client.asks(send("/sink", "")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_is_closed_where_that_is_wanted() {
    let server = Server::new(app(AppErrors::Close));
    for (frame, code, _) in cases() {
        let mut client = server.client().await;
        client.is_refused(frame, code).await;
        assert!(client.next().await.is_none(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_maps_errors_as_it_likes() {
    #[derive(Debug, thiserror::Error)]
    #[error("none of {0} is left")]
    struct OutOfStock(u8);

    fn shown(error: &(dyn Error + 'static)) -> ClientError {
        match error.downcast_ref() {
            Some(OutOfStock(article)) => {
                ClientError::new("out-of-stock", format!("Order less of {article}."))
            }
            None => webstomp::router::map_error(error),
        }
    }
    async fn order() -> Result<(), OutOfStock> {
        Err(OutOfStock(7))
    }
    let config = Config::default().error_mapper(shown);
    let mut client = Server::new(App::new().session_config(config).send("/orders", order))
        .client()
        .await;
    assert_eq!(
        client
            .is_refused(send("/orders", ""), "out-of-stock")
            .await
            .body,
        "Order less of 7."
    );
    client.is_refused(send("/nowhere", ""), "not-found").await;
}
