//! The log of errors that clients do not see.
//!
//! This is the only test of its program, since `tracing` has one subscriber for all threads.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::stream;
use std::{
    future::pending,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use stomp_testing::frames::{send, subscribe};
use support::Server;
use tower::timeout::TimeoutLayer;
use tracing::Level;
use webstomp::{
    App, Extension, Handler, IntoSubscribeResponse, Observe, Path, Router, frame::Frame,
    session::Config,
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes the lines that were logged.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn fail(_: Path<String>) -> Result<(), io::Error> {
    Err(io::Error::other("the disk is full"))
}

async fn two_values(_: Path<(String, String)>) {}

async fn extension(_: Path<String>, _: Extension<u8>) {}

async fn failing_stream() -> impl IntoSubscribeResponse {
    Observe(stream::iter([Err::<String, _>(io::Error::other(
        "the disk is full",
    ))]))
}

fn app() -> App {
    let layer = TimeoutLayer::new(Duration::from_secs(2));
    let rooms = Router::new()
        .send("/{room}/fail", fail)
        .send("/{room}/two", two_values)
        .send("/{room}/extension", extension)
        .send("/{room}/slow", pending::<()>)
        .send("/{room}/layer", pending::<()>.layer(layer));
    App::new()
        .session_config(Config::default().handler_timeout(Duration::from_secs(5)))
        .nest("/rooms", rooms)
        .subscribe("/stream", failing_stream)
}

/// Frames, each with the code of the error that it gets, and parts of the one line that it adds to the log.
fn cases() -> Vec<(Frame, &'static str, &'static [&'static str])> {
    let room = |name: &str| send(&format!("/rooms/blue/{name}"), "");
    vec![
        (
            room("fail"),
            "internal-error",
            &[
                "ERROR session{id=",
                ":request{command=\"SEND\" route=\"/rooms/{room}/fail\"}",
                "a handler failed error=the disk is full",
            ],
        ),
        (
            room("two"),
            "internal-error",
            &[
                "ERROR session{id=",
                "route=\"/rooms/{room}/two\"",
                "the argument `stomp_router::extract::path::Path<(alloc::string::String, alloc::string::String)>` of the \
                 handler `error_log::two_values` is not available: the number of parameters in the pattern is 1, and not 2",
            ],
        ),
        (
            room("extension"),
            "internal-error",
            &[
                "route=\"/rooms/{room}/extension\"",
                "of the handler `error_log::extension` is not available: no layer has inserted one",
            ],
        ),
        (
            room("slow"),
            "timeout",
            &[
                "WARN session{id=",
                ":request{command=\"SEND\" route=\"/rooms/{room}/slow\"}",
                "a handler took too long, and was dropped timeout=5s",
            ],
        ),
        (
            room("layer"),
            "timeout",
            &[
                ":request{command=\"SEND\" route=\"/rooms/{room}/layer\"}",
                "a handler took too long, and was dropped by a layer",
            ],
        ),
        (
            subscribe("0", "/stream"),
            "internal-error",
            &[
                "ERROR session{id=",
                ":stream{",
                "destination=\"/stream\"",
                "error=the disk is full",
            ],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_log_names_the_handler_or_the_route_of_an_error() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(Level::WARN)
        .init();
    let mut client = Server::new(app()).client().await;
    for (frame, code, parts) in cases() {
        client.send(frame).await;
        client.expect_error(code).await;
        let lines = log.take();
        assert_eq!(lines.lines().count(), 1, "{lines}");
        for part in parts {
            assert!(lines.contains(part), "{part} is missing in {lines}");
        }
    }
    client
        .expect_refusal(send("/nowhere", ""), "not-found")
        .await;
    assert_eq!(log.take(), "", "the client's errors are not logged");
}
