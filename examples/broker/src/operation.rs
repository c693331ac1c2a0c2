//! The port for metrics and health checks.

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::time::Duration;
use tokio::net::TcpListener;
use webstomp::{
    App, BoxError, ClientError,
    broker::{Broker, BrokerMetrics},
    server::{Listeners, Shutdown},
};

/// Interval at which the figures of the broker are taken.
const INTERVAL: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets for durations, in seconds.
const BUCKETS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

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
