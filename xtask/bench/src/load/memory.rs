//! `idle connection`: the resident memory of a connection that has subscribed and is idle.

use crate::{client::Client, proc, server::Server};
use std::{io, time::Duration};

pub(crate) const ROUNDS: usize = 3;
const CONNECTIONS: u64 = 2_000;
/// Number of connections before the first measurement, so that memory which a server allocates only once is not
/// counted.
const FIRST: u64 = 50;
/// Number of files that a process needs besides its connections.
const OTHER_FILES: u64 = 50;
const SETTLE: Duration = Duration::from_millis(200);

/// Returns the bytes for each connection, or `None` if the memory of a process cannot be read.
pub(crate) async fn run(server: &Server) -> io::Result<Option<f64>> {
    per_connection(server, connections(), SETTLE, async || {
        server.subscriber().await
    })
    .await
}

/// Opens `count` connections, leaves them idle for `pause`, and returns the bytes for each. Returns `None` if the
/// memory of a process cannot be read.
pub(crate) async fn per_connection(
    server: &Server,
    count: u64,
    pause: Duration,
    connect: impl AsyncFn() -> io::Result<Client>,
) -> io::Result<Option<f64>> {
    let mut idle = Vec::new();
    for _ in 0..FIRST {
        idle.push(connect().await?);
    }
    let before = resident_after(server, pause).await;
    for _ in 0..count {
        idle.push(connect().await?);
    }
    let after = resident_after(server, pause).await;
    let grown = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before));
    Ok(grown.map(|bytes| bytes as f64 / count as f64))
}

/// The number of connections in this load, or fewer if this process may not open as many.
pub(crate) fn connections() -> u64 {
    at_most(CONNECTIONS)
}

/// Returns `count`, or the number of connections that this process may open if it is smaller.
pub(super) fn at_most(count: u64) -> u64 {
    let limit = proc::open_files_limit().unwrap_or(1024);
    count.min(limit.saturating_sub(FIRST + OTHER_FILES))
}

async fn resident_after(server: &Server, pause: Duration) -> Option<u64> {
    tokio::time::sleep(pause).await;
    server.resident()
}
