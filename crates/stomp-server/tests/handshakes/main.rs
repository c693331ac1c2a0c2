//! Tests for the responses to valid and invalid handshakes. Each request is sent to a `Server`, and to an `Upgrade`
//! that is mounted on axum, under a path prefix on axum, and on hyper.
//!
//! Each request is a separate test with the name `<mount>/<case> -> <status>`. To run one of them:
//!
//! ```text
//! cargo test -p stomp-server --test handshakes -- --exact 'server/two keys -> 400'
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper fails the test"
)]

#[expect(dead_code, reason = "the interop task uses more of it")]
mod cases;

use axum::extract::ConnectInfo;
use cases::Case;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use libtest_mimic::{Arguments, Trial};
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use stomp_server::{Config, Server, Upgrade};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    time::timeout,
};
use tower_service::Service;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().unwrap());
    // The tests of a mount share one server.
    let (server, mounts) = runtime.block_on(async {
        let mounts = [
            ("axum", on_axum().await),
            ("prefix", nested_on_axum().await),
            ("hyper", on_hyper().await),
        ];
        (standalone().await, mounts)
    });
    let mut trials = Vec::new();
    for case in cases::all().into_iter().map(Arc::new) {
        let mut add = |mount, address, expected| {
            let (runtime, case) = (Arc::clone(&runtime), Arc::clone(&case));
            let name = format!("{mount}/{} -> {expected}", case.name);
            trials.push(Trial::test(name, move || {
                runtime.block_on(check(address, &case, expected));
                Ok(())
            }));
        };
        add("server", server, case.standalone);
        for (mount, address) in mounts {
            add(mount, address, case.mounted);
        }
    }
    assert_eq!(trials.len(), 4 * 467, "467 cases on each mount");
    libtest_mimic::run(&arguments, trials).exit_code()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn standalone() -> SocketAddr {
    let (listener, address) = listener().await;
    let mut server = Server::new(listener, Config::default()).unwrap();
    tokio::spawn(async move { while server.accept().await.is_some() {} });
    address
}

fn upgrade() -> Upgrade {
    Upgrade::new(Config::default(), |socket| async { drop(socket) }).unwrap()
}

/// A service that knows the addresses of its peers, and so recognizes loopback connections.
fn upgrade_on_axum() -> Upgrade {
    upgrade().peer_addr(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0))
}

async fn serve_on_axum(http: axum::Router) -> SocketAddr {
    let (listener, address) = listener().await;
    let http = http.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, http).await });
    address
}

async fn on_axum() -> SocketAddr {
    serve_on_axum(axum::Router::new().route_service("/stomp", upgrade_on_axum())).await
}

/// Mounts the service at the prefix `/stomp`, which the router removes from the path of a request.
async fn nested_on_axum() -> SocketAddr {
    let inner = axum::Router::new().route_service("/", upgrade_on_axum());
    serve_on_axum(axum::Router::new().nest("/stomp", inner)).await
}

async fn on_hyper() -> SocketAddr {
    let (listener, address) = listener().await;
    let upgrade = upgrade();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let upgrade = upgrade.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
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

/// Sends a request, and returns the head of the response in lower case and the body.
async fn send(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The request is encoded as Latin-1, so that characters outside of ASCII are not valid UTF-8.
    let request: Vec<u8> = request
        .replace("HOST", &address.to_string())
        .chars()
        .map(|c| u8::try_from(c).unwrap())
        .collect();
    stream.write_all(&request).await.unwrap();
    let mut response = Vec::new();
    let head = loop {
        read_more(&mut stream, &mut response).await;
        if let Some((head, _)) = String::from_utf8_lossy(&response).split_once("\r\n\r\n") {
            break head.to_ascii_lowercase();
        }
    };
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    while response.len() < head.len() + 4 + length && !request.starts_with(b"HEAD") {
        read_more(&mut stream, &mut response).await;
    }
    let body = String::from_utf8_lossy(&response[head.len() + 4..]).into_owned();
    (head, body)
}

async fn read_more(stream: &mut TcpStream, response: &mut Vec<u8>) {
    assert_ne!(
        stream.read_buf(response).await.unwrap(),
        0,
        "the connection ended after {}",
        response.escape_ascii()
    );
}

/// A refusal names the values that were compared, or the Cookie, and the setting that would allow the request.
fn check_refusal(address: SocketAddr, request: &str, body: &str, what: &str) {
    let setting = ["Config::origins", "Config::hosts"];
    assert!(
        setting.iter().any(|it| body.contains(it)),
        "no setting in {what}"
    );
    let request = request.replace("HOST", &address.to_string());
    let value = |name: &str| Some(request.split_once(name)?.1.split_once("\r\n")?.0);
    match value("Origin: ") {
        Some(origin) if origin.is_ascii() => {
            let target = request.strip_prefix("GET http://");
            let host = match target.and_then(|target| target.split_once('/')) {
                Some((host, _)) => host,
                None => value("\r\nHost: ").unwrap(),
            };
            let compared = [format!("Origin \"{origin}\""), format!("Host \"{host}\"")];
            assert!(compared.iter().all(|it| body.contains(it)), "{what}");
        }
        Some(_) => assert!(body.contains(r#"Origin "http://\xe9""#), "{what}"),
        None => assert!(body.contains("Cookie is the reason"), "{what}"),
    }
}

async fn check(address: SocketAddr, case: &Case, expected: u16) {
    let sent = timeout(Duration::from_secs(30), send(address, &case.request)).await;
    let (head, body) = sent.unwrap_or_else(|_| panic!("no response to: {}", case.name));
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
        403 => check_refusal(address, &case.request, &body, &what),
        404 => {}
        _ => assert!(
            body.ends_with(".\n") || case.request.starts_with("HEAD"),
            "the sentence is missing in {what}"
        ),
    }
    assert_eq!(value("allow"), (expected == 405).then_some("get"), "{what}");
    assert_eq!(
        value("sec-websocket-version"),
        (expected == 426).then_some("13"),
        "{what}"
    );
}
