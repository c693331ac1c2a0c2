//! Requests through `Routes`: the handler that they reach, its arguments, and the response.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod body_arguments;
mod commands;
mod destinations;
mod other_arguments;
mod path_arguments;
mod patterns;
mod responses;
mod route_errors;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use stomp_frame::{Command, Frame};
use stomp_router::{Path, Routes};
use stomp_session::{BoxError, ClientError, Delivery, Request, Response};
use tower::ServiceExt;

fn request(command: Command, destination: &str, body: &'static [u8]) -> Request {
    Request::new(
        Frame::new(command)
            .with_header("destination", destination)
            .with_body(body),
    )
}

fn send(destination: &str, body: &'static [u8]) -> Request {
    request(Command::Send, destination, body)
}

fn subscribe(destination: &str) -> Request {
    request(Command::Subscribe, destination, b"")
}

/// The bodies of the messages that a subscription to `destination` gets, or the error that rejects it.
async fn messages(routes: &Routes, destination: &str) -> Result<Vec<String>, String> {
    let client_error = |error: BoxError| error.downcast::<ClientError>().unwrap().to_string();
    let text = |message: Result<Delivery, BoxError>| {
        String::from_utf8(message.unwrap().body().to_vec()).unwrap()
    };
    match routes
        .clone()
        .oneshot(subscribe(destination))
        .await
        .map_err(client_error)?
    {
        Response::Observe(messages) => Ok(messages.map(text).collect().await),
        other => panic!("the response has no messages: {other:?}"),
    }
}

/// The error that rejects a request.
async fn rejection(routes: &Routes, request: Request) -> ClientError {
    *routes
        .clone()
        .oneshot(request)
        .await
        .unwrap_err()
        .downcast()
        .unwrap()
}

/// A subscribe handler that returns its parameter.
async fn show(Path(value): Path<String>) -> String {
    value
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    article: String,
    count: u32,
}
