//! `idle connection`: what each of many idle, subscribed connections keeps resident.

use crate::{client::Client, proc, server::Server};
use std::{io, time::Duration};

pub(crate) const ROUNDS: usize = 3;
const CONNECTIONS: u64 = 2_000;
/// These are not counted: they pay for what a server sets up only once.
const FIRST: u64 = 50;
/// Files that a process needs beside its connections.
pub(crate) const OTHER_FILES: u64 = 50;
const SETTLE: Duration = Duration::from_millis(200);

/// Bytes for each connection; nothing where memory cannot be read.
pub(crate) async fn run(server: &Server) -> io::Result<Option<f64>> {
    per_connection(server, FIRST, connections(), SETTLE, async || {
        server.subscriber().await
    })
    .await
}

/// Bytes for each of `count` connections, after the `first`, once they have rested.
pub(crate) async fn per_connection(
    server: &Server,
    first: u64,
    count: u64,
    rest: Duration,
    connect: impl AsyncFn() -> io::Result<Client>,
) -> io::Result<Option<f64>> {
    let mut idle = Vec::new();
    for _ in 0..first {
        idle.push(connect().await?);
    }
    let before = rested(server, rest).await;
    for _ in 0..count {
        idle.push(connect().await?);
    }
    let after = rested(server, rest).await;
    let grown = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before));
    Ok(grown.map(|bytes| bytes as f64 / count as f64))
}

/// As many as are wanted, or as this process may open.
pub(crate) fn connections() -> u64 {
    let limit = proc::open_files_limit().unwrap_or(1024);
    CONNECTIONS.min(limit.saturating_sub(FIRST + OTHER_FILES))
}

async fn rested(server: &Server, rest: Duration) -> Option<u64> {
    tokio::time::sleep(rest).await;
    server.resident()
}
