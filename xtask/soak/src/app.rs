//! The server under load, in a process of its own: `soak server UNAUTHENTICATED`.
//!
//! It listens for WebSockets and for STOMP over TCP, and prints both addresses. When it has gone down it prints, for
//! every client, how many of its messages were handled.

use crate::Result;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use webstomp::{
    App, Path, State,
    server::{Config, Listeners, Shutdown, bind},
};

/// How many messages of each client were handled.
type Handled = Arc<Mutex<BTreeMap<u32, u32>>>;

/// SEND `/job/{client}`: something that takes a while.
async fn work(State(handled): State<Handled>, Path(client): Path<u32>) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    *handled
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(client)
        .or_default() += 1;
}

async fn echo() {}

pub(crate) async fn serve(unauthenticated: &str) -> Result {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut config = Config::default();
    config.connection_limits.max_unauthenticated =
        unauthenticated.parse().map_err(|error| text(&error))?;
    config.shutdown = Shutdown::on_signals().map_err(|error| text(&error))?;
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
        .with_state(Arc::clone(&handled));
    app.serve(Listeners::new().websocket(web).byte_stream(raw))
        .await
        .map_err(|error| text(&error))?;
    for (client, count) in &*handled.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{client} {count}");
    }
    Ok(())
}
