//! The server under load. It is a separate process: `webstomp-soak server MAX_UNAUTHENTICATED`.
//!
//! It listens for WebSockets and HTTP, and for STOMP over TCP, and prints both addresses. After its shutdown it prints
//! the number of handled messages of each client.

use crate::Result;
use axum::{
    Router,
    routing::{get, post},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use webstomp::{
    App, Path, State,
    server::{Config, ConnectionLimits, Listeners, Shutdown, bind},
};

/// The number of handled messages of each client.
type Handled = Arc<Mutex<BTreeMap<u32, u32>>>;

/// Handles SEND to `/job/{client}`: waits 2 ms, then adds 1 to the number of handled messages of this client.
async fn work(State(handled): State<Handled>, Path(client): Path<u32>) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    *handled
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(client)
        .or_default() += 1;
}

async fn echo() {}

/// The HTTP service: a small page, a response that no client takes in one piece, and one that takes the body of a
/// request.
fn pages() -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/big", get(async || "x".repeat(16 << 20)))
        .route("/length", post(async |body: String| body.len().to_string()))
}

pub(crate) async fn serve(max_unauthenticated: &str) -> Result {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let max_unauthenticated = max_unauthenticated.parse().map_err(|error| text(&error))?;
    let config = Config::default()
        .connection_limits(ConnectionLimits::default().max_unauthenticated(max_unauthenticated))
        .shutdown(Shutdown::on_signals().map_err(|error| text(&error))?);
    let web = bind("127.0.0.1:0").await.map_err(|error| text(&error))?;
    let raw = bind("127.0.0.1:0").await.map_err(|error| text(&error))?;
    for listener in [&web, &raw] {
        println!("{}", listener.local_addr().map_err(|error| text(&error))?);
    }
    let handled = Handled::default();
    let app = App::new()
        .send("/job/{client}", work)
        .send("/echo", echo)
        .send("/never", std::future::pending::<()>)
        .server_config(config)
        .http(pages())
        .with_state(Arc::clone(&handled));
    app.serve(Listeners::new().websocket(web).byte_stream(raw))
        .await
        .map_err(|error| text(&error))?;
    for (client, count) in &*handled.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{client} {count}");
    }
    Ok(())
}
