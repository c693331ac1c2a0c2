//! An app in memory: every frame goes through an HTTP upgrade and a WebSocket, but through no port.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "no test needs all of it; a helper that fails is a test that fails"
)]

pub(crate) mod port;

use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use stomp_testing::{Client, frames};
use webstomp::{App, frame::Version, server::Upgrade};

/// An app, mounted on an HTTP server without a port.
pub(crate) struct Server(Upgrade);

impl Server {
    pub(crate) fn new(app: App) -> Server {
        Server(app.into_service().unwrap())
    }

    /// Returns a client that is connected without a login.
    pub(crate) async fn client(&self) -> Client {
        self.client_as("").await
    }

    /// Returns a client that is connected with this login.
    pub(crate) async fn client_as(&self, login: &str) -> Client {
        let mut client = self.open().await;
        let connect = frames::connect(Version::V1_2).with_header("login", login);
        client.connect_with(connect).await;
        client
    }

    /// Returns a client that has not sent `CONNECT` yet.
    pub(crate) async fn open(&self) -> Client {
        self.handshake(&[]).await.unwrap()
    }

    /// Opens a WebSocket, with these headers in its handshake. The error is the response that refuses it.
    pub(crate) async fn handshake(&self, headers: &[(&str, &str)]) -> Result<Client, String> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let service = TowerToHyperService::new(self.0.clone());
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        tokio::spawn(serving.with_upgrades());
        Client::upgrade(near, "/", headers).await
    }
}
