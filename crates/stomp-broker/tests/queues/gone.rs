//! Consumers that leave while a handler of theirs still runs.

use super::support::{connect, open_socket};
use std::{
    task::{Context, Poll},
    time::Duration,
};
use stomp_broker::{Broker, EngineFuture};
use stomp_session::{BoxError, Request, Response};
use stomp_testing::{
    Client,
    frames::{send, subscribe, subscribe_with_ack},
};
use tokio::time::sleep;
use tower::Service;

/// A broker beside a route whose handler takes longer than the test.
#[derive(Clone)]
struct WithSlowRoute(Broker);

impl Service<Request> for WithSlowRoute {
    type Response = Response;
    type Error = BoxError;
    type Future = EngineFuture<Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> EngineFuture<Response> {
        if request.destination().as_str() == "/slow" {
            return EngineFuture::from_future(async {
                sleep(Duration::from_secs(30)).await;
                Ok(Response::Done)
            });
        }
        self.0.call(request)
    }
}

/// An end of a connection.
#[derive(Debug, Clone, Copy)]
enum Departure {
    Close,
    EndOfStream,
    Reset,
}

/// Publishes 2,000 messages while a consumer that has left still has a handler running. A healthy consumer must get all
/// of them, and those that the other one had not acknowledged.
async fn check(departure: Departure, mode: &str) {
    let broker = super::broker_with(Default::default());
    let is_websocket = matches!(departure, Departure::Close);
    let mut leaver = open_socket(WithSlowRoute(broker.clone()), is_websocket);
    leaver.connect(stomp_frame::Version::V1_2).await;
    leaver
        .receipt(subscribe_with_ack("0", "/queue/q", mode))
        .await;
    broker.publish("/queue/q", "first").await.unwrap();
    leaver.expect_message("first").await;
    leaver.send(send("/slow", "")).await;
    let gone: Option<Client> = match departure {
        Departure::Close => {
            leaver.send_close(None).await;
            Some(leaver)
        }
        Departure::EndOfStream => {
            leaver.shutdown().await;
            Some(leaver)
        }
        Departure::Reset => {
            drop(leaver);
            None
        }
    };
    sleep(Duration::from_millis(10)).await;
    let mut healthy = connect(&broker).await;
    healthy.receipt(subscribe("0", "/queue/q")).await;
    if mode != "auto" {
        let first = healthy.expect_message("first").await;
        assert_eq!(first.headers.get("redelivered"), Some("true"));
    }
    for number in 0..2_000 {
        broker
            .publish("/queue/q", format!("{number}"))
            .await
            .unwrap();
    }
    for number in 0..2_000 {
        healthy.expect_message(&number.to_string()).await;
    }
    drop(gone);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_of_a_consumer_that_has_left_costs_no_message() {
    for departure in [Departure::Close, Departure::EndOfStream, Departure::Reset] {
        for mode in ["auto", "client", "client-individual"] {
            check(departure, mode).await;
        }
    }
}
