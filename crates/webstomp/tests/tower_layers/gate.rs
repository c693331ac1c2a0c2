//! Handlers that wait at a gate, so that a test sees which of them a layer lets run at the same time.

use crate::support::Server;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use stomp_testing::{Client, frames::send};
use tokio::sync::Semaphore;
use webstomp::{App, State};

/// A gate at which handlers wait.
#[derive(Clone)]
pub(crate) struct Gate {
    started: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate {
            started: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
        }
    }

    /// The number of handlers that have started.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    /// Lets one handler end.
    pub(crate) fn open_for_one(&self) {
        self.permits.add_permits(1);
    }
}

/// A handler that ends when the gate opens for it.
pub(crate) async fn wait(State(gate): State<Gate>) {
    gate.started.fetch_add(1, Ordering::SeqCst);
    gate.permits.acquire().await.unwrap().forget();
}

/// A client whose request is not answered yet.
pub(crate) struct Waiting {
    client: Client,
    receipt: String,
}

impl Waiting {
    /// Sends to a destination, and waits until the server has handled the frame as far as layers and the gate allow.
    pub(crate) async fn start(mut client: Client, destination: &str) -> Waiting {
        let receipt = client.request(send(destination, "")).await;
        client.expect_nothing().await;
        Waiting { client, receipt }
    }

    /// Expects that the request is still not answered.
    pub(crate) async fn expect_nothing(&mut self) {
        self.client.expect_nothing().await;
    }

    /// Expects that the handler has succeeded.
    pub(crate) async fn expect_receipt(&mut self) {
        self.client.expect_receipt(&self.receipt).await;
    }
}

/// Checks that a request to `second` waits until the request to `first` has ended.
///
/// Both clients connect first, because a layer of an app may make `CONNECT` wait as well.
pub(crate) async fn check_exclusive(app: impl FnOnce(Gate) -> App, first: &str, second: &str) {
    let gate = Gate::new();
    let server = Server::new(app(gate.clone()));
    let [one, other] = [server.client().await, server.client().await];
    let mut one = Waiting::start(one, first).await;
    assert_eq!(gate.started(), 1);
    let mut other = Waiting::start(other, second).await;
    assert_eq!(gate.started(), 1, "the second handler waits");
    gate.open_for_one();
    one.expect_receipt().await;
    other.expect_nothing().await;
    assert_eq!(
        gate.started(),
        2,
        "the second handler starts after the first"
    );
    gate.open_for_one();
    other.expect_receipt().await;
}

/// Checks that requests to `first` and `second` run at the same time.
pub(crate) async fn check_concurrent(app: impl FnOnce(Gate) -> App, first: &str, second: &str) {
    let gate = Gate::new();
    let server = Server::new(app(gate.clone()));
    let [one, other] = [server.client().await, server.client().await];
    let _one = Waiting::start(one, first).await;
    let _other = Waiting::start(other, second).await;
    assert_eq!(gate.started(), 2);
}
