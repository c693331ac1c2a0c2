//! The log, and the port for metrics and health checks.

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::{io, time::Duration};
use tokio::net::TcpListener;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use webstomp::{
    App, BoxError, ClientError,
    broker::{Broker, BrokerMetrics},
    server::{Listeners, Shutdown},
};

/// Interval at which the figures of the broker are taken.
const INTERVAL: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets for durations, in seconds.
const BUCKETS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

/// Lines of the log that may wait. Further ones are dropped.
const WAITING_LINES: usize = 8_192;

/// Starts the log. RUST_LOG selects what it contains, such as `debug` or `info,stomp_session=debug`.
///
/// A thread writes the lines, so that no session waits for a program that reads them too slowly. When the result is
/// dropped, the thread writes the lines that wait.
pub(crate) fn start_log() -> WorkerGuard {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let (output, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(output)
        // Otherwise a log that cannot be written, as on a full disk, would be reported with `eprintln!`, which panics.
        .log_internal_errors(false)
        .init();
    guard
}

/// Installs the recorder of metrics. Must precede everything that counts. Returns the service for the port.
pub(crate) fn metrics(shutdown: &Shutdown) -> Result<Router, BoxError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Router::new()
        .route("/metrics", get(async move || handle.render()))
        .route_service("/live", shutdown.health())
        .route_service("/ready", shutdown.health()))
}

/// Counts the broker, and serves the port until the process ends: also while connections are drained.
///
/// The port is that of an app without sessions, so its requests and connections have the app's deadlines and limits.
pub(crate) fn serve(port: TcpListener, service: Router, broker: &Broker) -> Result<(), BoxError> {
    let figures = BrokerMetrics::new(broker, ["/queue/dead-letters"])?;
    tokio::spawn(figures.run(INTERVAL));
    let app = App::new().connect(refuse).http(service);
    tokio::spawn(app.serve(Listeners::new().websocket(port)));
    Ok(())
}

async fn refuse() -> Result<(), ClientError> {
    Err(ClientError::new("forbidden", "This port is for metrics."))
}
