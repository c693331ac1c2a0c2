//! `at rest`: what each of many connections keeps resident that has had one large message and then nothing.
//!
//! The floor's have had none: what is compared is a socket that has worked with a server that has not.

use crate::{
    client::Client,
    dialect::{self, Dialect},
    load::memory::{OTHER_FILES, per_connection},
    proc,
    server::Server,
    wire,
};
use std::{io, time::Duration};

pub(crate) const ROUNDS: usize = 3;
pub(crate) const BYTES: usize = 64 << 10;
pub(crate) const REST: Duration = Duration::from_secs(5);
const CONNECTIONS: u64 = 5_000;
/// These are not counted: they pay for what a server sets up only once.
const FIRST: u64 = 50;

/// Bytes for each connection; nothing where memory cannot be read.
pub(crate) async fn run(server: &Server) -> io::Result<Option<f64>> {
    let large = wire::message(&dialect::large_request(BYTES));
    let connect = async || match server.dialect {
        Dialect::Raw => server.requester().await,
        Dialect::Stomp | Dialect::Frames => after(server.requester().await?, &large).await,
    };
    per_connection(server, FIRST, connections(), REST, connect).await
}

/// As many as are wanted, or as this process may open.
pub(crate) fn connections() -> u64 {
    let limit = proc::open_files_limit().unwrap_or(1024);
    CONNECTIONS.min(limit.saturating_sub(FIRST + OTHER_FILES))
}

async fn after(mut client: Client, message: &[u8]) -> io::Result<Client> {
    client.send(message).await?;
    while client.count().await? == 0 {}
    Ok(client)
}
