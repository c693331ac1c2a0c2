//! The log that clients leave which the server refuses or disconnects: it names each of them, with the reason, and
//! contains no secret.
//!
//! This is the only test of its program, since `tracing` has one subscriber for all threads.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod clients;

use clients::{ClientFn, SECRET, all};
use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::port::{Connector, port};
use tracing_subscriber::EnvFilter;
use webstomp::{
    App, ClientError, IntoSubscribeResponse, Observe, Principal, State, Topic,
    broker::{Broker, Memory, MemoryConfig, QueueSettings, Rules},
    frame::{Headers, Limits},
    middleware::TraceLayer,
    server::{ConnectionLimits, Listeners},
    session::{AppErrors, BacklogConfig, Config, Sessions},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The ports and the state of the app under test.
struct Ports {
    web: Connector,
    tcp: Connector,
    sessions: Sessions,
    news: Topic<String>,
}

async fn log_in(headers: Headers) -> Result<Principal, ClientError> {
    match headers.get("login") {
        Some(login @ "ann") => Ok(Principal::new(login)),
        _ => Err(ClientError::new(
            "login-failed",
            format!("{:?} is wrong.", headers.get("passcode")),
        )),
    }
}

async fn watch(State(news): State<Topic<String>>) -> impl IntoSubscribeResponse {
    Observe(news.subscribe())
}

async fn boom() {
    panic!("boom");
}

async fn fail() -> io::Result<()> {
    Err(io::Error::other("the disk is full"))
}

fn start() -> Ports {
    let queues = QueueSettings::default().max_messages(1);
    let engine = Memory::new(MemoryConfig::default().queues(queues)).unwrap();
    let config = webstomp::broker::Config::default().rules(Rules::open());
    let broker = Broker::with_engine(config, engine).unwrap();
    let sessions = Sessions::default();
    let session = Config::default()
        .limits(Limits::default().max_frame_bytes(32 << 10))
        .max_subscriptions(1)
        .max_unacked_messages(8)
        .handler_timeout(Duration::from_secs(5))
        .app_errors(AppErrors::Close)
        .sessions(sessions.clone());
    let limits = ConnectionLimits::default()
        .max_per_address(1)
        .max_unauthenticated(1);
    let news = Topic::<String>::with_backlogs(BacklogConfig::default().max_messages(256));
    let app = App::new()
        .connect(log_in)
        .broker(&broker)
        .subscribe("/news", watch)
        .send("/boom", boom)
        .send("/fail", fail)
        .send("/endless", pending::<()>)
        .layer(TraceLayer::new())
        .with_state(news.clone())
        .session_config(session)
        .server_config(webstomp::server::Config::default().connection_limits(limits));
    let ((web, web_port), (tcp, tcp_port)) = (port(), port());
    let listeners = Listeners::new().websocket(web_port).byte_stream(tcp_port);
    tokio::spawn(app.serve(listeners));
    Ports {
        web,
        tcp,
        sessions,
        news,
    }
}

/// Runs one client until the server has disconnected it. Each has an address of its own.
async fn run(ports: &Ports, number: usize, client: ClientFn) -> SocketAddr {
    let address = SocketAddr::from(([203, 0, 113, u8::try_from(number).unwrap()], 50_000));
    client(ports, address).await;
    address
}

fn subscribe_to_log() -> Log {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_env_filter(EnvFilter::new("trace"))
        .init();
    log
}

#[tokio::test(start_paused = true)]
async fn the_log_names_each_bad_client_with_its_address_and_the_reason_and_no_secret() {
    let log = subscribe_to_log();
    let ports = start();
    let mut missing = Vec::new();
    let clients = all();
    assert!(clients.len() >= 17);
    for (number, (reason, client)) in clients.into_iter().enumerate() {
        let address = run(&ports, number, client).await;
        // The connection's task logs after the client has seen the end.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let text = log.text();
        let mut lines = text.lines().filter(|line| {
            let is_shown = line.contains(" WARN ") || line.contains(" INFO ");
            is_shown && line.contains(&format!("peer={address}"))
        });
        if !lines.any(|line| line.contains(&format!("=\"{reason}\""))) {
            missing.push((reason, address));
        }
    }
    let text = log.text();
    assert!(missing.is_empty(), "{missing:#?} not found in\n{text}");
    assert!(!text.contains(SECRET), "a secret is in the log");
    assert_eq!(
        text.matches("a handler failed error=the disk is full")
            .count(),
        1
    );
    assert!(ports.sessions.all().is_empty());
}
