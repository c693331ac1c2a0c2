//! Apps that answer HTTP requests on their own port.

use crate::{connect, get, messages::check_prices, serve, shop};
use axum::{Router, routing};
use std::{convert::Infallible, net::SocketAddr};
use stomp_testing::frames::subscribe;
use tower::service_fn;
use webstomp::{
    App, Peer,
    frame::Version,
    server::{Config, RequestBody, TrustedProxies},
};

#[tokio::test]
async fn an_app_serves_an_axum_router_and_sessions_on_one_port() {
    let pages = Router::new().route("/health", routing::get(async || "healthy"));
    let address = serve(shop().websocket_path("/stomp").http(pages)).await;
    check_prices(address).await;
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

#[tokio::test]
async fn an_app_serves_a_plain_function_as_http_service() {
    let service = service_fn(async |request: ::http::Request<RequestBody>| {
        let path = request.uri().path().to_owned();
        Ok::<_, Infallible>(::http::Response::new(path))
    });
    let address = serve(shop().http(service)).await;
    check_prices(address).await;
    let response = get(address, "/any/path").await;
    assert!(
        response.contains("\r\ncontent-length: 9\r\n") && response.ends_with("\r\n\r\n/any/path"),
        "{response}"
    );
}

#[test]
fn an_app_with_an_http_service_or_a_path_cannot_be_mounted() {
    let app = App::<()>::new;
    for (app, expected) in [
        (
            app().http(Router::new()),
            "http is set, but a mounted app cannot answer other HTTP requests",
        ),
        (
            app().websocket_path("/stomp"),
            "server.websocket_path is set, but the path of a mounted app is chosen by its HTTP server",
        ),
    ] {
        let error = app.into_service().unwrap_err();
        let expected = format!("invalid configuration: {expected}");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn handlers_see_the_address_that_a_trusted_proxy_forwards() {
    async fn address(peer: Peer) -> String {
        peer.address.unwrap().to_string()
    }
    let app = || {
        let proxies = TrustedProxies::new(["127.0.0.0/8"]).unwrap();
        App::new()
            .subscribe("/address", address)
            .server_config(Config::default().trusted_proxies(proxies))
    };
    let mounted = app()
        .into_service()
        .unwrap()
        .peer_addr(|_| Some(SocketAddr::from(([127, 0, 0, 1], 1))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let on_axum = listener.local_addr().unwrap();
    let http = Router::new().route_service("/stomp", mounted);
    tokio::spawn(async { axum::serve(listener, http).await });
    for server in [serve(app()).await, on_axum] {
        let forwarded = [("X-Forwarded-For", "6.6.6.6, 192.0.2.1:99, 127.0.0.9")];
        let mut client = crate::upgrade(server, &forwarded).await.unwrap();
        client.connect(Version::V1_2).await;
        client.send(subscribe("0", "/address")).await;
        client.expect_message("192.0.2.1:99").await;
        drop(connect(server).await);
    }
}
