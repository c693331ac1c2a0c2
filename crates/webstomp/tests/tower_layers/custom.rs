//! A layer written by hand, which numbers requests.

use crate::support::Server;
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use stomp_testing::frames::subscribe;
use tower::{Layer, Service};
use webstomp::{App, BoxError, Extension, Handler, Request, Response, Router, frame::Command};

/// Numbers the requests that it sees, and adds a [`Number`] to each.
#[derive(Clone, Default)]
struct CountLayer(Arc<AtomicUsize>);

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count {
            inner,
            count: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone)]
struct Count<S> {
    inner: S,
    count: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
struct Number(usize);

impl<S> Service<Request> for Count<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        request.extensions_mut().insert(Number(number));
        let future = self.inner.call(request);
        Box::pin(async move { future.await.map_err(Into::into) })
    }
}

async fn number(number: Option<Extension<Number>>) -> String {
    match number {
        Some(Extension(Number(number))) => number.to_string(),
        None => "none".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_written_layer_sees_only_the_requests_that_it_wraps() {
    /// Subscribes to another route and then to `/p/number`, and checks the number of the second request.
    async fn check(app: App, expected: &str) {
        let mut client = Server::new(app).client().await;
        client.send(subscribe("0", "/p/other")).await;
        client.expect(Command::Message).await;
        client.send(subscribe("1", "/p/number")).await;
        client.expect_message_for("1", expected).await;
    }
    let layer = CountLayer::default;
    let both = || {
        Router::new()
            .subscribe("/number", number)
            .subscribe("/other", number)
    };
    let nested = |router| App::new().nest("/p", router);
    // The layers of an app and of a session see CONNECT and CONNECTED, too.
    check(nested(both()).layer(layer()), "4").await;
    check(nested(both()).layer_per_session(layer()), "4").await;
    check(nested(both().layer(layer())), "2").await;
    let one = Router::new()
        .subscribe("/number", number.layer(layer()))
        .subscribe("/other", number);
    check(nested(one), "1").await;
    check(nested(both()), "none").await;
}
