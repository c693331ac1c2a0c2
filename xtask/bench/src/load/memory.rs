//! `idle connection`: what each of many idle, subscribed connections keeps resident.

use std::io;
use std::time::Duration;

use crate::proc;
use crate::server::Server;

pub(crate) const ROUNDS: usize = 3;
const CONNECTIONS: u64 = 2_000;
/// These are not counted: they pay for what a server sets up only once.
const FIRST: u64 = 50;
/// Files that a process needs beside its connections.
const OTHER_FILES: u64 = 50;
const SETTLE: Duration = Duration::from_millis(200);

/// Bytes for each connection; nothing where memory cannot be read.
pub(crate) async fn run(server: &Server) -> io::Result<Option<f64>> {
    let count = connections();
    let mut idle = Vec::new();
    for _ in 0..FIRST {
        idle.push(server.subscriber().await?);
    }
    let before = settled(server).await;
    for _ in 0..count {
        idle.push(server.subscriber().await?);
    }
    let after = settled(server).await;
    let grown = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    Ok(grown.map(|bytes| bytes as f64 / count as f64))
}

/// As many as are wanted, or as this process may open.
pub(crate) fn connections() -> u64 {
    let limit = proc::open_files_limit().unwrap_or(1024);
    CONNECTIONS.min(limit.saturating_sub(FIRST + OTHER_FILES))
}

async fn settled(server: &Server) -> Option<u64> {
    tokio::time::sleep(SETTLE).await;
    server.resident()
}
