//! The state of a process for load balancers: `/live` and `/ready`.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use http::{Method, Request};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use stomp_server::{HealthService, Shutdown};
use tower_service::Service;

async fn status(service: &HealthService, method: Method, path: &str) -> u16 {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(())
        .unwrap();
    let response = service.clone().call(request).await.unwrap();
    response.status().as_u16()
}

/// The statuses of `/live` and `/ready`.
async fn states(service: &HealthService) -> (u16, u16) {
    let live = status(service, Method::GET, "/live").await;
    (live, status(service, Method::GET, "/ready").await)
}

#[tokio::test(start_paused = true)]
async fn a_server_is_not_ready_before_its_connections_drain_and_live_until_they_have_ended() {
    let shutdown = Shutdown::default();
    let health = shutdown.health();
    let connection = shutdown.abortable(std::future::pending());
    assert_eq!(states(&health).await, (200, 200));

    shutdown.announce();
    assert!(!shutdown.has_started());
    assert_eq!(states(&health).await, (200, 503));

    shutdown.start();
    assert_eq!(states(&health).await, (200, 503));

    drop(connection);
    assert_eq!(states(&health).await, (503, 503));
}

#[tokio::test]
async fn a_shutdown_that_was_not_announced_makes_the_server_unready() {
    let shutdown = Shutdown::default();
    shutdown.start();
    assert!(!shutdown.is_ready());
}

#[tokio::test]
async fn a_check_of_the_application_makes_the_server_unready_but_not_dead() {
    let is_up = Arc::new(AtomicBool::new(true));
    let check = Arc::clone(&is_up);
    let health = Shutdown::default()
        .health()
        .ready_if(move || check.load(Ordering::Relaxed));
    assert_eq!(states(&health).await, (200, 200));
    is_up.store(false, Ordering::Relaxed);
    assert_eq!(states(&health).await, (200, 503));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let health = Shutdown::default().health();
    assert_eq!(status(&health, Method::HEAD, "/health/ready").await, 200);
    assert_eq!(status(&health, Method::POST, "/ready").await, 405);
    assert_eq!(status(&health, Method::GET, "/").await, 404);
    assert_eq!(status(&health, Method::GET, "/already").await, 404);
}
