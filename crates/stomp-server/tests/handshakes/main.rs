//! What is answered to handshakes, good and bad: on a port of our own, on axum, and on bare hyper under a prefix.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod cases;

use cases::Case;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, time::Duration};
use stomp_server::{Config, Server, Upgrade};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tower_service::Service;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn alone() -> SocketAddr {
    let (listener, address) = listener().await;
    let mut server = Server::new(listener, Config::default()).unwrap();
    tokio::spawn(async move { while server.accept().await.is_some() {} });
    address
}

fn upgrade() -> Upgrade {
    Upgrade::new(Config::default(), |socket| async { drop(socket) }).unwrap()
}

async fn on_axum() -> SocketAddr {
    let (listener, address) = listener().await;
    let http = axum::Router::new().route_service("/stomp", upgrade());
    tokio::spawn(async { axum::serve(listener, http).await });
    address
}

/// The same path as a prefix that a router takes off.
async fn nested_on_axum() -> SocketAddr {
    let (listener, address) = listener().await;
    let inner = axum::Router::new().route_service("/", upgrade());
    let http = axum::Router::new().nest("/stomp", inner);
    tokio::spawn(async { axum::serve(listener, http).await });
    address
}

async fn on_hyper() -> SocketAddr {
    let (listener, address) = listener().await;
    let upgrade = upgrade();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let upgrade = upgrade.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let mut upgrade = upgrade.clone();
                async move {
                    if request.uri().path() == "/stomp" {
                        return upgrade.call(request).await;
                    }
                    let mut response = http::Response::default();
                    *response.status_mut() = http::StatusCode::NOT_FOUND;
                    Ok(response)
                }
            });
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    address
}

/// The head of the answer, and the body that it announces.
async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // As Latin-1, so that what is no ASCII is no UTF-8 either.
    let request: Vec<u8> = request
        .replace("HOST", &address.to_string())
        .chars()
        .map(|c| u8::try_from(c).unwrap())
        .collect();
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    let head = loop {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "the end, after {}",
            answer.escape_ascii()
        );
        if let Some((head, _)) = String::from_utf8_lossy(&answer).split_once("\r\n\r\n") {
            break head.to_ascii_lowercase();
        }
    };
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    while answer.len() < head.len() + 4 + length && !request.starts_with(b"HEAD") {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "the end, after {}",
            answer.escape_ascii()
        );
    }
    let body = String::from_utf8_lossy(&answer[head.len() + 4..]).into_owned();
    (head, body)
}

async fn check(address: SocketAddr, case: &Case, expected: u16) {
    let asked = timeout(Duration::from_secs(30), ask(address, &case.request)).await;
    let (head, body) = asked.unwrap_or_else(|_| panic!("no answer to: {}", case.name));
    let what = format!("{}\n\n{}\n{head}\n{body}", case.name, case.request);
    assert_eq!(
        head.split(' ').nth(1),
        Some(&*expected.to_string()),
        "{what}"
    );
    let value = |name: &str| {
        Some(
            head.split_once(&format!("\r\n{name}: "))?
                .1
                .lines()
                .next()
                .unwrap(),
        )
    };
    match expected {
        101 => {
            assert_eq!(
                value("sec-websocket-accept"),
                Some("s3pplmbitxaq9kygzzhzrbk+xoo="),
                "{what}"
            );
            assert_eq!(value("sec-websocket-protocol"), case.subprotocol, "{what}");
            assert_eq!(value("sec-websocket-extensions"), None, "{what}");
        }
        404 => {}
        _ => assert!(
            body.ends_with(".\n") || case.request.starts_with("HEAD"),
            "no sentence in {what}"
        ),
    }
    assert_eq!(value("allow"), (expected == 405).then_some("get"), "{what}");
    assert_eq!(
        value("sec-websocket-version"),
        (expected == 426).then_some("13"),
        "{what}"
    );
}

#[tokio::test]
async fn a_server_of_its_own() {
    let (address, cases) = (alone().await, cases::all());
    assert!(cases.len() > 290, "{}", cases.len());
    for case in &cases {
        check(address, case, case.alone).await;
    }
}

#[tokio::test]
async fn mounted_on_axum() {
    let address = on_axum().await;
    for case in &cases::all() {
        check(address, case, case.mounted).await;
    }
}

#[tokio::test]
async fn under_a_prefix() {
    let address = nested_on_axum().await;
    for case in &cases::all() {
        check(address, case, case.mounted).await;
    }
}

#[tokio::test]
async fn on_bare_hyper() {
    let address = on_hyper().await;
    for case in &cases::all() {
        check(address, case, case.mounted).await;
    }
}
