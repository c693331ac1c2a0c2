//! Tests for the tower service `Upgrade`: the peer's address, and clones of the service.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod support;

use http::{Extensions, Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use stomp_server::{Config, Upgrade};
use stomp_testing::soon;
use support::HANDSHAKE;
use tokio::{io::AsyncWriteExt, sync::mpsc};
use tower_service::Service;

/// The peer's address according to a proxy. An HTTP server could store it in the extensions of a request.
#[derive(Clone)]
struct Forwarded(SocketAddr);

fn forwarded(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get().map(|Forwarded(address)| *address)
}

/// Sends a handshake to `upgrade` over a connection in memory, with two addresses in the extensions of the request.
async fn handshake(upgrade: Upgrade) {
    let (mut client, server) = tokio::io::duplex(4 << 10);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert::<SocketAddr>("192.0.2.1:1".parse().unwrap());
        extensions.insert(Forwarded("192.0.2.2:2".parse().unwrap()));
        upgrade.clone().call(request)
    });
    client.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(server), service)
        .with_upgrades();
    soon(connection).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn peer_addr_applies_to_the_returned_service_even_if_clones_exist() {
    let (sender, mut addresses) = mpsc::unbounded_channel();
    let upgrade = Upgrade::new(Config::default(), move |socket| {
        sender.send(socket.peer().address.unwrap()).unwrap();
        std::future::ready(())
    })
    .unwrap();
    let clone = upgrade.clone();
    let changed = upgrade.clone().peer_addr(forwarded);

    for (service, expected) in [
        (changed.clone(), "192.0.2.2:2"),
        (changed, "192.0.2.2:2"),
        (clone, "192.0.2.1:1"),
        (upgrade, "192.0.2.1:1"),
    ] {
        handshake(service).await;
        let address = soon(addresses.recv()).await.unwrap();
        assert_eq!(address.to_string(), expected);
    }
}
