//! Apps that are mounted on an HTTP server.

use crate::{connect, get, messages::check_prices, mount, shop};
use axum::extract::ConnectInfo;
use std::net::SocketAddr;
use stomp_testing::frames::{disconnect, send, subscribe};
use tokio::net::TcpListener;
use webstomp::{App, Peer};

#[tokio::test]
async fn a_mounted_app_is_served_beside_other_axum_routes() {
    let address = mount(shop()).await;
    check_prices(address).await;

    let mut client = connect(address).await;
    client
        .expect_refusal(send("/panic", ""), "internal-error")
        .await;
    client.receipt(disconnect()).await;
    client.expect_close(1000).await;

    let response = get(address, "/health").await;
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\n\r\nhealthy"),
        "{response}"
    );
    for (path, status) in [("/stomp", "426"), ("/elsewhere", "404")] {
        let response = get(address, path).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{path}: {response}");
    }
}

/// An app that tells each peer its own address.
fn address_app() -> App {
    async fn address(peer: Peer) -> String {
        peer.address
            .map_or_else(|| "unknown".to_owned(), |address| address.ip().to_string())
    }
    App::new().subscribe("/address", address)
}

#[tokio::test]
async fn peer_addr_gives_a_mounted_app_the_addresses_of_its_peers() {
    let stomp = address_app()
        .into_service()
        .unwrap()
        .peer_addr(|request| request.get::<ConnectInfo<SocketAddr>>().map(|info| info.0));
    let http = axum::Router::new()
        .route_service("/stomp", stomp)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, http).await });
    let mut client = connect(address).await;
    client.send(subscribe("0", "/address")).await;
    client.expect_message("127.0.0.1").await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_mounted_app_finds_the_addresses_that_axum_provides() {
    let http = axum::Router::new()
        .route_service("/stomp", address_app().into_service().unwrap())
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, http).await });
    let mut client = connect(address).await;
    client.send(subscribe("0", "/address")).await;
    client.expect_message("127.0.0.1").await;
}

#[tokio::test]
async fn a_mounted_app_keeps_the_extensions_that_it_is_told_to_keep() {
    #[derive(Clone)]
    struct User(&'static str);
    async fn user(peer: Peer) -> String {
        let extensions = &peer.request.as_ref().unwrap().extensions;
        let user = extensions.get().map_or("nobody", |User(name)| name);
        format!("{user}, {} extensions", extensions.len())
    }
    let stomp = App::new().subscribe("/user", user).into_service().unwrap();
    let kept = stomp.clone().keep_extension::<User>();
    for (stomp, expected) in [(stomp, "nobody, 0 extensions"), (kept, "ann, 1 extensions")] {
        let http = axum::Router::new()
            .route_service("/stomp", stomp)
            .layer(axum::Extension(User("ann")))
            .layer(axum::Extension(7_u8));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, http).await });
        let mut client = connect(address).await;
        client.send(subscribe("0", "/user")).await;
        client.expect_message(expected).await;
    }
}

#[tokio::test]
async fn a_mounted_app_without_peer_addr_knows_no_addresses() {
    let mut client = connect(mount(address_app()).await).await;
    client.send(subscribe("0", "/address")).await;
    client.expect_message("unknown").await;
}
