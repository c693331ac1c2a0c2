//! `after large`: the resident memory of an idle connection that has sent one large message.
//!
//! The load shows if the buffers for a large message stay allocated. For comparison, the connections to the baseline
//! send no large message.

use crate::{
    client::Client,
    dialect::{self, Dialect},
    load::memory::{at_most, per_connection},
    server::Server,
    wire,
};
use std::{io, time::Duration};

pub(crate) const ROUNDS: usize = 3;
pub(crate) const BYTES: usize = 64 << 10;
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
const CONNECTIONS: u64 = 5_000;

/// Returns the bytes for each connection, or `None` if the memory of a process cannot be read.
pub(crate) async fn run(server: &Server) -> io::Result<Option<f64>> {
    let large = wire::message(&dialect::large_request(BYTES));
    let connect = async || match server.dialect {
        Dialect::Raw => server.requester().await,
        Dialect::Stomp | Dialect::Frames => send_one(server.requester().await?, &large).await,
    };
    per_connection(server, connections(), PAUSE, connect).await
}

/// The number of connections in this load, or fewer if this process may not open as many.
pub(crate) fn connections() -> u64 {
    at_most(CONNECTIONS)
}

async fn send_one(mut client: Client, message: &[u8]) -> io::Result<Client> {
    client.send(message).await?;
    while client.count().await? == 0 {}
    Ok(client)
}
