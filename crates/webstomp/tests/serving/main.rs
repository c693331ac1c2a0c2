//! Whole apps that serve real ports: on their own listener, or mounted on axum.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod closing;
mod errors;
mod handshakes;
mod http;
mod messages;
mod mounting;
mod sessions;
mod startup;

use std::net::SocketAddr;
use stomp_testing::{Client, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use webstomp::{
    App, BoxError, ClientError, IntoSubscribeResponse, Json, Observe, Path, State, Topic,
    frame::Version,
};

/// Runs an app on a port that the system chooses.
async fn serve(app: App) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(app.serve(listener));
    address
}

/// Runs an app under `/stomp` of an axum server.
async fn mount(app: App) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = axum::Router::new()
        .route_service("/stomp", app.into_service().unwrap())
        .route("/health", axum::routing::get(async || "healthy"));
    tokio::spawn(async move { axum::serve(listener, http).await });
    address
}

/// Opens a WebSocket, with these headers in its handshake. The error is the HTTP response that refuses it.
async fn upgrade(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Client, String> {
    let stream = TcpStream::connect(address).await.unwrap();
    Client::upgrade(stream, "/stomp", headers).await
}

/// Opens a WebSocket, without a `CONNECT` frame.
async fn open(address: SocketAddr) -> Client {
    upgrade(address, &[]).await.unwrap()
}

/// Opens a WebSocket and connects in STOMP 1.2.
async fn connect(address: SocketAddr) -> Client {
    let mut client = open(address).await;
    client.connect(Version::V1_2).await;
    client
}

/// Sends an HTTP request and reads the response until the server closes the connection.
async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    soon(stream.read_to_string(&mut response)).await.unwrap();
    response
}

type Prices = Topic<Json<f64>>;

async fn watch(State(prices): State<Prices>) -> impl IntoSubscribeResponse {
    Observe(prices.subscribe())
}

async fn set(
    State(prices): State<Prices>,
    Path(article): Path<String>,
    price: Json<f64>,
) -> Result<(), BoxError> {
    if article != "tea" {
        return Err(ClientError::new("out-of-stock", "There is none left.").into());
    }
    prices.publish(price)
}

async fn sink() {}

/// An app that uses state, parameters, JSON, a topic and errors.
fn shop() -> App {
    async fn panic() {
        panic!("secret: a bug");
    }
    App::new()
        .subscribe("/prices", watch)
        .send("/prices/{article}", set)
        .send("/panic", panic)
        .send("/sink", sink)
        .with_state(Prices::new())
}
