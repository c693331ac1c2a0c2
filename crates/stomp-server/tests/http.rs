//! Tests for HTTP requests on listeners for WebSockets: which requests reach the HTTP service, deadlines, rates, limits
//! and the shutdown.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper fails the test"
)]

mod support;

use axum::{
    Extension, Router,
    http::{Request, Response, StatusCode},
    routing::{get, post},
};
use std::{future::pending, io, net::SocketAddr, time::Duration};
use stomp_frame::{Limits, Version};
use stomp_server::{Config, HttpConfig, Listeners, RequestBody, Server, Shutdown};
use stomp_socket::Socket;
use stomp_testing::soon;
use support::{Client, Dial, HANDSHAKE, in_memory, serve, settle};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep, timeout},
};
use tower::service_fn;

const BIG: usize = 64 << 10;

fn pages() -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/length", post(async |body: String| body.len().to_string()))
        .route("/big", get(async || "x".repeat(BIG)))
        .route(
            "/slow",
            get(async || {
                sleep(Duration::from_secs(10)).await;
                "done"
            }),
        )
        .route("/never", get(pending::<()>))
        .route(
            "/address",
            get(async |Extension(address): Extension<SocketAddr>| address.to_string()),
        )
        .fallback((StatusCode::NOT_FOUND, "no such page"))
}

/// Serves the pages, and WebSockets at `/stomp`.
fn serve_pages(config: Config) -> (Dial, UnboundedReceiver<Socket>) {
    let (listener, dial) = in_memory();
    let listeners = Listeners::new().websocket(listener).http(pages());
    let sockets = serve(listeners, config.websocket_path("/stomp"));
    (dial, sockets)
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

impl Client {
    /// Sends a request without a body. Returns the status and the body of the response.
    async fn fetch(&mut self, method: &str, path: &str) -> (u16, String) {
        self.send(&request(method, path, "")).await;
        self.response().await
    }

    async fn response(&mut self) -> (u16, String) {
        let head = self.head().await.to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        soon(self.0.read_exact(&mut body)).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// Waits for the end of the connection, and returns the time until then.
    async fn closed_after(&mut self) -> Duration {
        let start = Instant::now();
        let mut rest = Vec::new();
        let closed = timeout(Duration::from_secs(600), self.0.read_to_end(&mut rest)).await;
        closed.expect("the connection was not closed").unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), "");
        start.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_websocket_path_all_other_paths_belong_to_the_http_service() {
    let (dial, mut sockets) = serve_pages(Config::default());
    let mut page = dial.connect();
    assert_eq!(page.fetch("GET", "/hello").await, (200, "hello".into()));
    assert_eq!(page.fetch("GET", "/else").await.0, 404);
    for (method, status) in [("GET", 426), ("POST", 405)] {
        assert_eq!(page.fetch(method, "/stomp").await.0, status, "{method}");
    }
    // A handshake to another path is a request like any other.
    page.send(&HANDSHAKE.replace("/stomp", "/hello")).await;
    assert_eq!(page.response().await, (200, "hello".into()));
    // A query is not part of the path.
    page.send(&HANDSHAKE.replace("/stomp", "/stomp?a=b")).await;
    assert_eq!(page.response().await.0, 101);
    let socket = soon(sockets.recv()).await.unwrap();
    assert_eq!(socket.peer().request.as_ref().unwrap().uri, "/stomp?a=b");
}

#[tokio::test(start_paused = true)]
async fn without_a_websocket_path_only_requests_for_an_upgrade_are_handshakes() {
    let (listener, dial) = in_memory();
    let listeners = Listeners::new().websocket(listener).http(pages());
    let _sockets = serve(listeners, Config::default());
    let mut page = dial.connect();
    for (path, status) in [("/hello", 200), ("/stomp", 404)] {
        assert_eq!(page.fetch("GET", path).await.0, status, "{path}");
    }
    let incomplete = "Connection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n";
    page.send(&request("GET", "/hello", incomplete)).await;
    assert_eq!(
        page.response().await.0,
        426,
        "a handshake without a version"
    );
    assert_eq!(page.handshake().await, 101);
}

#[tokio::test(start_paused = true)]
async fn without_an_http_service_other_paths_get_404() {
    let (listener, dial) = in_memory();
    let _sockets = serve(listener, Config::default().websocket_path("/stomp"));
    let mut page = dial.connect();
    assert_eq!(
        page.fetch("GET", "/hello").await,
        (
            404,
            "WebSocket handshakes are accepted at the path \"/stomp\".\n".into()
        )
    );
    assert_eq!(page.handshake().await, 101);
}

#[tokio::test(start_paused = true)]
async fn any_tower_service_can_answer_and_its_error_is_status_500() {
    let (listener, dial) = in_memory();
    let service = service_fn(
        async |request: Request<RequestBody>| match request.uri().path() {
            "/error" => Err(io::Error::other("a secret")),
            path => Ok(Response::new(path.to_owned())),
        },
    );
    let _sockets = serve(
        Listeners::new().websocket(listener).http(service),
        Config::default(),
    );
    let mut page = dial.connect();
    assert_eq!(page.fetch("GET", "/a").await, (200, "/a".into()));
    assert_eq!(
        page.fetch("GET", "/error").await,
        (500, "The server has failed.\n".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_has_the_address_of_its_client() {
    let (dial, _sockets) = serve_pages(Config::default());
    let mut page = dial.connect_from(Some("192.0.2.1"));
    assert_eq!(page.fetch("GET", "/address").await.1, "192.0.2.1:4711");
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn a_request_has_axums_connect_info() {
    use axum::extract::ConnectInfo;
    let (listener, dial) = in_memory();
    let address = async |ConnectInfo(address): ConnectInfo<SocketAddr>| address.to_string();
    let router = Router::new().route("/", get(address));
    let _sockets = serve(
        Listeners::new().websocket(listener).http(router),
        Config::default(),
    );
    let mut page = dial.connect_from(Some("192.0.2.1"));
    assert_eq!(page.fetch("GET", "/").await.1, "192.0.2.1:4711");
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_first_request_has_the_handshake_timeout() {
    let (dial, _sockets) = serve_pages(Config::default());
    for start in ["", "GET / HT"] {
        let mut client = dial.connect();
        client.send(start).await;
        assert_eq!(client.closed_after().await.as_secs(), 5, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_keep_alive_timeout() {
    let (dial, _sockets) = serve_pages(Config::default());
    let mut page = dial.connect();
    for pause in [0, 4, 59] {
        sleep(Duration::from_secs(pause)).await;
        assert_eq!(page.fetch("GET", "/hello").await.0, 200, "{pause}");
    }
    // Bytes of a head do not extend the time.
    sleep(Duration::from_secs(50)).await;
    page.send("GET / HT").await;
    assert_eq!(page.closed_after().await.as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_timeout_below_the_handshake_timeout_is_exact() {
    for pause in [0, 1, 4] {
        let http = HttpConfig::default().keep_alive_timeout(Duration::from_secs(3));
        let config = Config::default().handshake_timeout(Duration::from_secs(10));
        let (dial, _sockets) = serve_pages(config.http(http));
        let mut page = dial.connect();
        sleep(Duration::from_secs(pause)).await;
        assert_eq!(page.fetch("GET", "/hello").await.0, 200, "{pause}");
        assert_eq!(page.closed_after().await.as_secs(), 3, "{pause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_response_time_of_the_service_closes_no_connection() {
    let http = HttpConfig::default().keep_alive_timeout(Duration::from_secs(2));
    let (dial, _sockets) = serve_pages(Config::default().http(http));
    let mut page = dial.connect();
    assert_eq!(page.fetch("GET", "/slow").await, (200, "done".into()));
    assert_eq!(page.closed_after().await.as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_the_maximum_duration_never_pass() {
    let http = HttpConfig::default()
        .keep_alive_timeout(Duration::MAX)
        .stall_timeout(Duration::MAX);
    let config = Config::default()
        .http(http)
        .handshake_timeout(Duration::MAX);
    let (dial, _sockets) = serve_pages(config);
    let mut page = dial.connect();
    for path in ["/hello", "/big", "/hello"] {
        page.send(&request("GET", path, "")).await;
        sleep(Duration::from_secs(100_000)).await;
        assert_eq!(page.response().await.0, 200, "{path}");
    }
}

/// Posts a body of `length` bytes in pieces of 512 bytes, each after `pause`. Returns the status of the response.
async fn post_slowly(client: &mut Client, length: usize, pause: Duration) -> u16 {
    let more = format!("Content-Length: {length}\r\n");
    client.send(&request("POST", "/length", &more)).await;
    for _ in 0..length / 512 {
        sleep(pause).await;
        // Fails after the server has refused the body.
        if client.0.write_all(&[b'x'; 512]).await.is_err() {
            break;
        }
    }
    client.response().await.0
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_request_must_have_the_minimum_rate() {
    let (dial, _sockets) = serve_pages(Config::default());
    let mut page = dial.connect();
    // 1,024 bytes per second.
    let pause = Duration::from_millis(500);
    assert_eq!(post_slowly(&mut page, 64 << 10, pause).await, 200);
    // 512 bytes per second lag behind by 10 s after 20 s.
    let pause = Duration::from_secs(1);
    let start = Instant::now();
    assert_eq!(post_slowly(&mut page, 64 << 10, pause).await, 400);
    assert!(start.elapsed().as_secs() >= 20, "{:?}", start.elapsed());
    // The rest of the body is never read.
    page.rest().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_in_a_body_is_disconnected() {
    let (dial, _sockets) = serve_pages(Config::default());
    let mut page = dial.connect();
    page.send(&request("POST", "/length", "Content-Length: 9\r\n"))
        .await;
    let start = Instant::now();
    assert_eq!(page.response().await.0, 400);
    assert_eq!(start.elapsed().as_secs(), 10);
    page.closed_after().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_response_is_disconnected() {
    let (dial, mut sockets) = serve_pages(Config::default());
    let mut page = dial.connect();
    page.send(&request("GET", "/big", "")).await;
    sleep(Duration::from_secs(11)).await;
    let response = page.rest().await;
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.len() < BIG,
        "{} bytes",
        response.len()
    );
    assert!(sockets.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_response_at_the_minimum_rate_gets_all_of_it() {
    for (pause, is_complete) in [(500, true), (2_000, false)] {
        let (dial, _sockets) = serve_pages(Config::default());
        let mut page = dial.connect();
        page.send(&request("GET", "/big", "Connection: close\r\n"))
            .await;
        let (mut piece, mut length) = ([0; 512], 0);
        while let Ok(count @ 1..) = page.0.read(&mut piece).await {
            length += count;
            sleep(Duration::from_millis(pause)).await;
        }
        assert_eq!(length > BIG, is_complete, "{length} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_for_http_take_no_places_of_connections_that_have_not_logged_in() {
    let mut config = Config::default().websocket_path("/stomp");
    config.connection_limits.max_unauthenticated = 1;
    config.connection_limits.max_http = 2;
    let (listener, dial) = in_memory();
    let listeners = Listeners::new().websocket(listener).http(pages());
    let mut server = Server::new(listeners, config).unwrap();
    let connecting = tokio::spawn(async move {
        let mut polling = Vec::new();
        // A failed handshake makes a connection for HTTP too.
        for (path, status) in [("/hello", 200), ("/stomp", 426)] {
            let mut page = dial.connect();
            assert_eq!(page.fetch("GET", path).await.0, status);
            polling.push(page);
        }
        polling
    });
    let mut polling = tokio::select! {
        polling = connecting => polling.unwrap(),
        _ = server.accept() => panic!("nobody has sent a handshake"),
    };
    let counts = |server: &Server| {
        let counts = server.connections();
        (counts.open, counts.unauthenticated, counts.http)
    };
    assert_eq!(counts(&server), (2, 0, 2));
    // A handshake moves its connection.
    let (status, socket) = tokio::join!(polling[0].handshake(), server.accept());
    assert_eq!(status, 101);
    let mut socket = socket.unwrap();
    assert_eq!(counts(&server), (2, 1, 1));
    // There is no place for another handshake.
    let status = tokio::select! {
        status = polling[1].handshake() => status,
        _ = server.accept() => panic!("the server accepted a handshake without a place"),
    };
    assert_eq!(status, 503);
    settle().await;
    assert_eq!(counts(&server), (1, 1, 0));
    socket.resume(Version::V1_2, Limits::default());
    assert_eq!(counts(&server), (1, 0, 0));
    drop(socket);
    assert_eq!(counts(&server), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_http_connection_closes_the_one_that_is_idle_for_the_longest_time() {
    let mut config = Config::default();
    config.connection_limits.max_http = 2;
    let (dial, _sockets) = serve_pages(config);
    let mut pages = [0, 1, 2].map(|_| dial.connect());
    for page in [0, 1, 0, 2] {
        assert_eq!(pages[page].fetch("GET", "/hello").await.0, 200, "{page}");
    }
    assert_eq!(pages[1].closed_after().await, Duration::ZERO);
    for page in [0, 2] {
        assert_eq!(pages[page].fetch("GET", "/hello").await.0, 200, "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn busy_http_connections_are_displaced_only_for_an_address_with_fewer() {
    let mut config = Config::default();
    config.connection_limits.max_http = 3;
    let (dial, _sockets) = serve_pages(config);
    let many = Some("192.0.2.66");
    let mut busy = [many, many, many].map(|address| dial.connect_from(address));
    for (page, path) in busy.iter_mut().zip(["/never", "/big", "/never"]) {
        // A response that is not written yet keeps its connection busy.
        page.send(&request("GET", path, "")).await;
    }
    settle().await;
    let mut same = dial.connect_from(many);
    assert_eq!(
        same.fetch("GET", "/hello").await,
        (
            503,
            "The server has too many connections (max_http is 3). Try again later.\n".into()
        )
    );
    assert_eq!(same.closed_after().await, Duration::ZERO);
    let mut other = dial.connect_from(Some("192.0.2.1"));
    assert_eq!(other.fetch("GET", "/hello").await.0, 200);
    assert_eq!(busy[0].closed_after().await, Duration::ZERO);
    assert!(busy[1].head().await.starts_with("HTTP/1.1 200 "));
}

/// Serves the pages with this shutdown. Returns a task that ends when the server has.
fn serve_until(shutdown: &Shutdown) -> (Dial, tokio::task::JoinHandle<()>) {
    let (listener, dial) = in_memory();
    let listeners = Listeners::new().websocket(listener).http(pages());
    let config = Config::default().shutdown(shutdown.clone());
    let mut server = Server::new(listeners, config.websocket_path("/stomp")).unwrap();
    let serving = tokio::spawn(async move { while server.accept().await.is_some() {} });
    (dial, serving)
}

#[tokio::test(start_paused = true)]
async fn when_a_shutdown_starts_idle_connections_are_closed_and_requests_are_answered() {
    let shutdown = Shutdown::default();
    let (dial, serving) = serve_until(&shutdown);
    let (mut idle, mut silent, mut busy) = (dial.connect(), dial.connect(), dial.connect());
    assert_eq!(idle.fetch("GET", "/hello").await.0, 200);
    busy.send(&request("GET", "/slow", "")).await;
    settle().await;
    shutdown.start();
    assert_eq!(idle.closed_after().await, Duration::ZERO);
    assert_eq!(silent.closed_after().await, Duration::ZERO);
    assert_eq!(busy.response().await, (200, "done".into()));
    assert_eq!(busy.closed_after().await, Duration::ZERO);
    soon(serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_client_keeps_a_server_open_for_longer_than_the_drain_timeout() {
    let shutdown = Shutdown::new(Duration::from_secs(3));
    let (dial, serving) = serve_until(&shutdown);
    let mut clients = Vec::new();
    for start in [
        String::new(),
        "GET / HT".into(),
        request("GET", "/never", ""),
        request("POST", "/length", "Content-Length: 9\r\n"),
        request("GET", "/big", ""),
        request("GET", "/hello", ""),
    ] {
        let mut client = dial.connect();
        client.send(&start).await;
        clients.push(client);
    }
    // Half a head after a response.
    clients[5].response().await;
    clients[5].send("GET / HT").await;
    settle().await;
    let start = Instant::now();
    shutdown.start();
    // Nothing else than the server enforces the drain timeout here.
    serving.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
    soon(shutdown.finished()).await;
}
