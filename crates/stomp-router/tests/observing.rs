//! The spans and the log events of `TraceLayer`.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};
use stomp_frame::{Command, Frame};
use stomp_router::{Router, Routes};
use stomp_session::{ClientError, Principal, Request};
use tower::ServiceExt;

async fn greet() {
    tracing::info!("inside the handler");
}

async fn fail() -> Result<(), io::Error> {
    Err(io::Error::other("the disk is full"))
}

async fn boom() {
    panic!("boom");
}

async fn reject() -> Result<(), ClientError> {
    Err(ClientError::new("out-of-stock", "There is none left."))
}

fn routes() -> Routes {
    Router::new()
        .send("/greetings/{name}", greet)
        .send("/rejected", reject)
        .send("/failing", fail)
        .send("/panicking", boom)
        .send("/endless", std::future::pending::<()>)
        .build()
        .unwrap()
}

/// Makes the tests run one at a time. `tracing` caches for all threads whether a subscriber is interested in a span, so
/// a test without a subscriber could disable the spans of another test.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn call(routes: &Routes, request: Request) {
    let call = AssertUnwindSafe(|| routes.clone().oneshot(request).now_or_never());
    let _ = catch_unwind(call);
}

fn send(destination: &str) -> Request {
    Request::new(
        Frame::new(Command::Send)
            .with_header("destination", destination)
            .with_header("passcode", "secret"),
    )
}

mod trace {
    use super::*;
    use stomp_router::middleware::TraceLayer;
    use tracing::Level;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Sends a request, and returns the lines that it adds to the log.
    fn logged(level: Level, request: Request) -> Vec<String> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, routes) = (Log::default(), routes().layer(TraceLayer::new()));
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_max_level(level)
            .finish();
        tracing::subscriber::with_default(subscriber, || call(&routes, request));
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn events_of_a_request_are_in_a_span_with_its_fields() {
        let request = send("/greetings/\u{1b}x").with_principal(Principal::new("ann"));
        let lines = logged(Level::DEBUG, request);
        let [inside, success] = &lines[..] else {
            panic!("{lines:#?}")
        };
        assert!(
            inside.contains("inside the handler")
                && success.contains("the request succeeded elapsed="),
            "{lines:#?}"
        );
        for line in &lines {
            for part in [
                "handler{",
                "command=\"SEND\"",
                "route=\"/greetings/{name}\"",
                "destination=\"/greetings/",
            ] {
                assert!(line.contains(part), "{part} is missing in {line}");
            }
            assert!(
                !line.contains('\u{1b}') && !line.contains("secret"),
                "{line}"
            );
        }
    }

    #[test]
    fn an_error_is_logged_at_info_and_a_success_is_not() {
        let lines = logged(Level::INFO, send("/rejected"));
        let [line] = &lines[..] else {
            panic!("{lines:#?}")
        };
        assert!(
            line.contains("INFO")
                && line.contains("the request was refused")
                && line.contains("code=\"out-of-stock\"")
                && !line.contains("There is none left"),
            "{line}"
        );
        assert_eq!(
            logged(Level::INFO, send("/greetings/x")).len(),
            1,
            "success is logged at debug"
        );
    }

    #[test]
    fn an_error_that_its_session_logs_is_not_logged_twice() {
        assert_eq!(logged(Level::INFO, send("/failing")), [""; 0]);
        let lines = logged(Level::DEBUG, send("/failing"));
        assert!(
            lines.len() == 1
                && lines[0].contains("the request failed")
                && !lines[0].contains("disk"),
            "{lines:#?}"
        );
    }

    #[test]
    fn a_request_that_panics_or_is_dropped_is_logged_at_debug() {
        for destination in ["/panicking", "/endless"] {
            let lines = logged(Level::DEBUG, send(destination));
            let expected = "the request was dropped before it was complete elapsed=";
            assert!(
                lines.len() == 1 && lines[0].contains(expected) && lines[0].contains(destination),
                "{lines:#?}"
            );
        }
    }
}
