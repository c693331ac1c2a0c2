//! Metrics, as a recorder gets them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod table;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{future::pending, io, time::Duration};
use stomp_testing::frames::{nack, send, subscribe, subscribe_with_ack};
use support::{Server, port::port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use webstomp::{
    App, ClientError, IntoSubscribeResponse, Observe, Path, State, Topic,
    broker::{Broker, BrokerMetrics, Memory, MemoryConfig, QueueSettings, Rules},
    frame::Headers,
    middleware::RejectOverRateLayer,
    server::{Listeners, Shutdown},
    session::{BacklogConfig, Config, MemoryBudget, Overflow},
};

async fn log_in(headers: Headers) -> Result<(), ClientError> {
    match headers.get("login") {
        Some("bob") => Err(ClientError::new("login-failed", "Not bob.")),
        _ => Ok(()),
    }
}

async fn watch(State(news): State<Topic<String>>) -> impl IntoSubscribeResponse {
    Observe(news.subscribe())
}

async fn echo(_: Path<String>) {}

async fn boom(_: Path<String>) {
    panic!("boom");
}

async fn fail() -> io::Result<()> {
    Err(io::Error::other("the disk is full"))
}

async fn refuse() -> Result<(), ClientError> {
    Err(ClientError::new("out-of-stock", "There is none left."))
}

fn app(news: &Topic<String>) -> App {
    App::new()
        .session_config(Config::default().handler_timeout(Duration::from_secs(5)))
        .connect(log_in)
        .send("/echo/{name}", echo)
        .send("/boom/{name}", boom)
        .send("/fail", fail)
        .send("/refuse", refuse)
        .send("/endless", pending::<()>)
        .subscribe("/news", watch)
        .with_state(news.clone())
}

/// Installs a recorder for this thread, on which the whole test runs.
fn record() -> (PrometheusHandle, metrics::LocalRecorderGuard<'static>) {
    let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    (
        recorder.handle(),
        metrics::set_default_local_recorder(recorder),
    )
}

#[track_caller]
fn expect(metrics: &PrometheusHandle, lines: &[&str]) {
    let text = metrics.render();
    for line in lines {
        assert!(
            text.lines().any(|it| it == *line),
            "{line} is missing in\n{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_is_counted_with_its_outcome_by_the_pattern_of_its_route() {
    let (metrics, _guard) = record();
    let mut client = Server::new(app(&Topic::new())).client().await;
    client.receipt(send("/echo/a", "")).await;
    client.receipt(send("/echo/b", "")).await;
    for (destination, code) in [
        ("/boom/a", "internal-error"),
        ("/fail", "internal-error"),
        ("/refuse", "out-of-stock"),
        ("/endless", "timeout"),
        ("/nowhere/client-text", "not-found"),
    ] {
        client.expect_refusal(send(destination, ""), code).await;
    }
    client.send(send("/endless", "")).await;
    client.expect_nothing().await;
    let request = |route, outcome, count| {
        format!(
            r#"webstomp_requests_total{{command="SEND",route="{route}",outcome="{outcome}"}} {count}"#
        )
    };
    expect(
        &metrics,
        &[
            &request("/echo/{name}", "ok", 2),
            &request("/boom/{name}", "panic", 1),
            &request("/fail", "failed", 1),
            &request("/refuse", "refused", 1),
            &request("/endless", "timeout", 1),
            &request("", "refused", 1),
            r#"webstomp_request_seconds_count{command="SEND",route="/echo/{name}"} 2"#,
            r#"webstomp_request_seconds_sum{command="SEND",route="/endless"} 5"#,
            r#"webstomp_frames_received_total{command="SEND"} 8"#,
            r#"webstomp_frames_sent_total{command="RECEIPT"} 2"#,
            r#"webstomp_frames_sent_total{command="ERROR"} 5"#,
        ],
    );
    let text = metrics.render();
    assert!(!text.contains("client-text"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_layer_of_its_session_refuses_is_counted_with_its_route() {
    let (metrics, _guard) = record();
    let app =
        app(&Topic::new()).layer_per_session(RejectOverRateLayer::new(2, Duration::from_secs(1)));
    let mut client = Server::new(app).client().await;
    client.receipt(send("/echo/a", "")).await;
    client.receipt(send("/echo/a", "")).await;
    client
        .expect_refusal(send("/echo/a", ""), "rate-limited")
        .await;
    expect(
        &metrics,
        &[
            r#"webstomp_requests_total{command="SEND",route="/echo/{name}",outcome="ok"} 2"#,
            r#"webstomp_requests_total{command="SEND",route="/echo/{name}",outcome="refused"} 1"#,
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_connection_is_dropped_is_counted_as_cancelled() {
    let (metrics, _guard) = record();
    let shutdown = Shutdown::default();
    let mut client = Server::new(app(&Topic::new()).shutdown(shutdown.clone()))
        .client()
        .await;
    client.send(send("/endless", "")).await;
    client.expect_nothing().await;
    shutdown.abort();
    shutdown.finished().await;
    expect(
        &metrics,
        &[
            r#"webstomp_requests_total{command="SEND",route="/endless",outcome="cancelled"} 1"#,
            r#"webstomp_sessions_ended_total{reason="server"} 1"#,
            "webstomp_sessions 0",
            "webstomp_connections 0",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_connections_and_refused_logins_are_counted() {
    let (metrics, _guard) = record();
    let server = Server::new(app(&Topic::new()));
    let client = server.client().await;
    let mut refused = server.open().await;
    expect(
        &metrics,
        &[
            "webstomp_sessions 1",
            "webstomp_connections 2",
            "webstomp_unauthenticated_connections 1",
            "webstomp_logins_refused_total 0",
        ],
    );
    refused
        .send(
            stomp_testing::frames::connect(webstomp::frame::Version::V1_2)
                .with_header("login", "bob"),
        )
        .await;
    refused.expect_error("login-failed").await;
    refused.expect_close(1008).await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(60)).await;
    expect(
        &metrics,
        &[
            "webstomp_sessions 0",
            "webstomp_connections 0",
            "webstomp_unauthenticated_connections 0",
            "webstomp_logins_refused_total 1",
            r#"webstomp_sessions_ended_total{reason="error"} 1"#,
            r#"webstomp_sessions_ended_total{reason="lost"} 1"#,
        ],
    );
}

/// Lets the tasks of all sessions run.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The value of a metric without labels.
#[track_caller]
fn value_of(metrics: &PrometheusHandle, name: &str) -> f64 {
    let text = metrics.render();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn slow_consumers_and_the_bytes_that_wait_for_them_are_counted() {
    let (metrics, _guard) = record();
    let news = Topic::<String>::new();
    let mut client = Server::new(app(&news)).client().await;
    client.receipt(subscribe("0", "/news")).await;
    news.publish("x".repeat(200_000)).unwrap();
    settle().await;
    assert!(value_of(&metrics, "webstomp_unsent_bytes") > 100_000.0);
    for _ in 0..1_000 {
        news.publish("x".repeat(2_000)).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    expect(
        &metrics,
        &[
            "webstomp_slow_consumers_total 1",
            "webstomp_unsent_bytes 0",
            "webstomp_sessions 0",
            r#"webstomp_sessions_ended_total{reason="timeout"} 1"#,
        ],
    );
    assert!(value_of(&metrics, "webstomp_sent_bytes_total") > 60_000.0);
}

#[tokio::test(start_paused = true)]
async fn dropped_messages_are_counted() {
    let (metrics, _guard) = record();
    let backlogs = BacklogConfig::default()
        .max_messages(1)
        .overflow(Overflow::DropOldest);
    let news = Topic::with_backlogs(backlogs);
    let mut client = Server::new(app(&news)).client().await;
    client.receipt(subscribe("0", "/news")).await;
    // The client reads nothing meanwhile, and its connection has no room for so much.
    for _ in 0..100 {
        news.publish("x".repeat(64 << 10)).unwrap();
        tokio::task::yield_now().await;
    }
    news.publish("the end".to_owned()).unwrap();
    let mut dropped = 0;
    loop {
        let message = client.next_frame().await.unwrap();
        let before = message.headers.get("dropped-messages");
        dropped += before.map_or(0, |count| count.parse::<u32>().unwrap());
        if message.body == "the end" {
            break;
        }
    }
    assert!(dropped > 50, "{dropped}");
    expect(
        &metrics,
        &[&format!("webstomp_messages_dropped_total {dropped}")],
    );
}

#[tokio::test(start_paused = true)]
async fn queues_are_measured_by_the_first_given_pattern_that_matches() {
    let (metrics, _guard) = record();
    let queues = QueueSettings::default().max_delivery_attempts(2);
    let memory = MemoryConfig::default()
        .queues(queues)
        .memory_budget(MemoryBudget::new(1_000_000));
    let engine = Memory::new(memory).unwrap();
    let config = webstomp::broker::Config::default().rules(Rules::open());
    let broker = Broker::with_engine(config, engine).unwrap();
    let reports = BrokerMetrics::new(&broker, ["/queue/jobs.>", "/queue/dead-letters"]).unwrap();
    let mut client = Server::new(App::new().broker(&broker)).client().await;
    for queue in ["/queue/jobs/a", "/queue/jobs.b", "/queue/client-text"] {
        client.receipt(send(queue, "")).await;
    }
    client
        .receipt(subscribe_with_ack("0", "/queue/jobs/a", "client"))
        .await;
    for _ in 0..2 {
        let message = client.expect_message("").await;
        client.send(nack(&message)).await;
    }
    client.receipt(send("/queue/jobs/a", "")).await;
    client.expect_message("").await;
    client.receipt(subscribe("1", "/topic/x")).await;
    reports.report().await.unwrap();
    expect(
        &metrics,
        &[
            r#"webstomp_queue_messages{queue="/queue/jobs.>"} 1"#,
            r#"webstomp_queue_unacknowledged{queue="/queue/jobs.>"} 1"#,
            r#"webstomp_queue_consumers{queue="/queue/jobs.>"} 1"#,
            r#"webstomp_queue_messages{queue="/queue/dead-letters"} 1"#,
            r#"webstomp_queue_messages{queue="other"} 1"#,
            "webstomp_topic_subscribers 1",
            "webstomp_broker_published_total 4",
            "webstomp_broker_dead_lettered_total 1",
            "webstomp_messages_redelivered_total 1",
            "webstomp_engine_up 1",
            "webstomp_memory_budget_limit_bytes 1000000",
        ],
    );
    assert!(!metrics.render().contains("client-text"));
    broker.shutdown().await.unwrap();
    let _ = reports.report().await;
    expect(&metrics, &["webstomp_engine_up 0"]);
    let invalid = BrokerMetrics::new(&broker, ["/topic/x"]).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "queues contains \"/topic/x\", which is not a pattern of queues: /queue/NAME"
    );
}

#[tokio::test(start_paused = true)]
async fn refused_handshakes_are_counted_by_reason() {
    let (metrics, _guard) = record();
    let server = Server::new(app(&Topic::new()));
    let refused = server
        .handshake(&[("origin", "https://evil.example")])
        .await;
    assert!(refused.is_err());
    expect(&metrics, &[r#"webstomp_refusals_total{reason="origin"} 1"#]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_http_connection_is_counted_until_it_is_closed_and_is_no_refusal() {
    let (metrics, _guard) = record();
    let (connector, listener) = port();
    let health = Shutdown::default().health();
    let listeners = Listeners::new().websocket(listener);
    tokio::spawn(app(&Topic::new()).http(health).serve(listeners));
    let mut stream = connector.connect(([203, 0, 113, 1], 50_000).into());
    let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    settle().await;
    expect(
        &metrics,
        &[
            "webstomp_connections 1",
            "webstomp_unauthenticated_connections 0",
            "webstomp_http_connections 1",
        ],
    );
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    settle().await;
    expect(
        &metrics,
        &["webstomp_connections 0", "webstomp_http_connections 0"],
    );
    let text = metrics.render();
    assert!(!text.contains("webstomp_refusals_total{"), "{text}");
}
