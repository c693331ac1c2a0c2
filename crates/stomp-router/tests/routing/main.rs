//! Requests through `Routes`: the handler that they reach, its arguments, and the response.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod body_arguments;
mod commands;
mod custom_arguments;
mod destinations;
mod other_arguments;
mod path_arguments;
mod patterns;
mod responses;
mod route_errors;

use futures_util::{FutureExt, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use std::iter;
use stomp_frame::{Command, Frame};
use stomp_router::{Path, Routes, map_error};
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
        Response::Observe(messages) => Ok(ready_items(messages).into_iter().map(text).collect()),
        other => panic!("the response has no messages: {other:?}"),
    }
}

/// The items that a stream has now. A subscription to one message stays open.
fn ready_items<T>(mut stream: impl Stream<Item = T> + Unpin) -> Vec<T> {
    iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
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

/// The text of the error if a request cannot be handled because of a mistake of the application. The client sees nothing
/// of it.
async fn mistake(routes: &Routes, request: Request) -> String {
    let error = routes.clone().oneshot(request).await.unwrap_err();
    assert_eq!(map_error(&*error), ClientError::internal());
    error.to_string()
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
