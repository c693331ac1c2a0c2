//! Errors of an application: the `ERROR` that the client gets, and the state of its session afterwards.

#![allow(clippy::panic, reason = "a panic of a handler is one of the errors")]

mod support;

use std::{error::Error, future::pending, time::Duration};
use stomp_testing::frames::{send, subscribe};
use support::Server;
use tower::timeout::TimeoutLayer;
use webstomp::{
    App, ClientError, Handler, Json, Path, Response,
    frame::{Command, Frame},
    middleware::{Next, from_fn},
    router::map_error,
    session::{AppErrors, Config},
};

/// An app with a destination for each kind of error.
fn app(app_errors: AppErrors) -> App {
    async fn refuse() -> Result<(), ClientError> {
        Err(ClientError::new("out-of-stock", "There is none left."))
    }
    async fn fail() -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }
    async fn panic() {
        panic!("secret: a bug");
    }
    async fn order(_: Json<Vec<(String, u8)>>) {}
    async fn room(_: Path<u8>) {}
    async fn sink() {}
    let panicking = from_fn(
        |_, _: Next| -> std::future::Ready<Result<Response, ClientError>> { panic!("another") },
    );
    let timeout = TimeoutLayer::new(Duration::from_secs(5));

    App::new()
        .session_config(Config::default().app_errors(app_errors))
        .send("/refused", refuse)
        .subscribe("/refused", refuse)
        .send("/failed", fail)
        .send("/panic", panic)
        .send("/panic/in/layer", sink.layer(panicking))
        .send("/slow", pending::<()>.layer(timeout))
        .send("/orders", order)
        .send("/rooms/{room}", room)
        .send("/sink", sink)
}

/// Frames, each with the code and text of the error that it gets.
fn cases() -> Vec<(Frame, &'static str, &'static str)> {
    const INTERNAL: &str = "The server failed to handle this frame.";
    const NONE_LEFT: &str = "There is none left.";
    vec![
        (send("/refused", ""), "out-of-stock", NONE_LEFT),
        (subscribe("s", "/refused"), "out-of-stock", NONE_LEFT),
        (send("/failed", ""), "internal-error", INTERNAL),
        (send("/panic", ""), "internal-error", INTERNAL),
        (send("/panic/in/layer", ""), "internal-error", INTERNAL),
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
async fn an_error_of_the_application_leaves_the_session_open() {
    let mut client = Server::new(app(AppErrors::KeepOpen)).client().await;
    for (frame, code, text) in cases() {
        let is_subscribe = frame.command == Command::Subscribe;
        let error = client.expect_refusal(frame, code).await;
        assert_eq!(error.body, text);
        assert_eq!(
            error.headers.get("subscription"),
            is_subscribe.then_some("s")
        );
        client.receipt(send("/sink", "")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_application_closes_the_session_if_configured() {
    let server = Server::new(app(AppErrors::Close));
    for (frame, code, _) in cases() {
        let mut client = server.client().await;
        client.expect_refusal(frame, code).await;
        client.expect_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_mapper_chooses_what_the_client_sees() {
    #[derive(Debug, thiserror::Error)]
    #[error("none of {0} is left")]
    struct OutOfStock(u8);

    fn shown(error: &(dyn Error + 'static)) -> ClientError {
        match error.downcast_ref() {
            Some(OutOfStock(article)) => {
                ClientError::new("out-of-stock", format!("Order less of {article}."))
            }
            None => map_error(error),
        }
    }
    async fn order() -> Result<(), OutOfStock> {
        Err(OutOfStock(7))
    }
    let app = App::new()
        .session_config(Config::default().error_mapper(shown))
        .send("/orders", order);
    let mut client = Server::new(app).client().await;
    let error = client
        .expect_refusal(send("/orders", ""), "out-of-stock")
        .await;
    assert_eq!(error.body, "Order less of 7.");
    client
        .expect_refusal(send("/nowhere", ""), "not-found")
        .await;
}
