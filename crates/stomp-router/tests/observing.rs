//! The spans, log events and metrics of `TraceLayer` and `MetricsLayer`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use std::sync::{Arc, Mutex, PoisonError};
use stomp_frame::{Command, Frame};
use stomp_router::{Router, Routes};
use stomp_session::{ClientError, Principal, Request};
use tower::ServiceExt;

async fn greet() {
    tracing::info!("inside the handler");
}

async fn reject() -> Result<(), ClientError> {
    Err(ClientError::new("out-of-stock", "There is none left."))
}

fn routes() -> Routes {
    Router::new()
        .send("/greetings/{name}", greet)
        .send("/rejected", reject)
        .build()
        .unwrap()
}

/// Makes the tests run one at a time. `tracing` caches for all threads whether a subscriber is interested in a span, so
/// a test without a subscriber could disable the spans of another test.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn call(routes: &Routes, request: Request) {
    let _ = routes.clone().oneshot(request).now_or_never().unwrap();
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
    use std::io;
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
            .with_ansi(false)
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
                && success.contains("The request succeeded. elapsed="),
            "{lines:#?}"
        );
        for line in &lines {
            for part in [
                "request{",
                "command=\"SEND\"",
                "route=\"/greetings/{name}\"",
                "principal=\"ann\"",
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
                && line.contains("The request failed.")
                && line.contains("out-of-stock"),
            "{line}"
        );
        assert_eq!(
            logged(Level::INFO, send("/greetings/x")).len(),
            1,
            "success is logged at debug"
        );
    }
}

#[cfg(feature = "metrics")]
mod metrics {
    use super::*;
    use ::metrics::{
        Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
        SharedString, Unit, with_local_recorder,
    };
    use std::collections::BTreeMap;
    use stomp_router::middleware::MetricsLayer;

    /// The number of times each metric was incremented or recorded, by name and labels.
    #[derive(Clone, Default)]
    struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

    struct Count(Counts, String);

    impl Counts {
        fn count(&self, key: &Key) -> Arc<Count> {
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            Arc::new(Count(
                self.clone(),
                format!("{} {}", key.name(), labels.join(" ")),
            ))
        }
    }

    impl CounterFn for Count {
        fn increment(&self, by: u64) {
            *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += by;
        }

        fn absolute(&self, _: u64) {}
    }

    impl HistogramFn for Count {
        fn record(&self, seconds: f64) {
            assert!((0.0..60.0).contains(&seconds));
            self.increment(1);
        }
    }

    impl Recorder for Counts {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.count(key))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.count(key))
        }
    }

    #[test]
    fn requests_are_counted_and_timed_by_pattern() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, routes) = (Counts::default(), routes().layer(MetricsLayer::new()));
        with_local_recorder(&counts, || {
            for destination in [
                "/greetings/a",
                "/greetings/b",
                "/rejected",
                "/nowhere/1",
                "/nowhere/2",
            ] {
                call(&routes, send(destination));
            }
            call(&routes, Request::new(Frame::new(Command::Connect)));
        });
        let counts = counts.0.lock().unwrap();
        let lines: Vec<_> = counts
            .iter()
            .map(|(metric, count)| format!("{metric} {count}"))
            .collect();
        assert_eq!(
            lines,
            [
                "stomp_request_duration_seconds command=CONNECT route= 1",
                "stomp_request_duration_seconds command=SEND route= 2",
                "stomp_request_duration_seconds command=SEND route=/greetings/{name} 2",
                "stomp_request_duration_seconds command=SEND route=/rejected 1",
                "stomp_requests_total command=CONNECT route= outcome=ok 1",
                "stomp_requests_total command=SEND route= outcome=error 2",
                "stomp_requests_total command=SEND route=/greetings/{name} outcome=ok 2",
                "stomp_requests_total command=SEND route=/rejected outcome=error 1",
            ]
        );
    }
}
