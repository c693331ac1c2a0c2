//! Starts many handshakes at once, as after a restart of the server.

use crate::{
    Result, claim,
    client::{Client, Dialled},
    server::{MAX_UNAUTHENTICATED, Server},
};
use std::time::Instant;
use tokio::task::JoinSet;

const CLIENTS: usize = 5_000;

pub(crate) async fn run() -> Result {
    for max_unauthenticated in [8_192, MAX_UNAUTHENTICATED] {
        let server = Server::start(max_unauthenticated).await?;
        let start = Instant::now();
        let mut dialling = JoinSet::new();
        for _ in 0..CLIENTS {
            dialling.spawn(Client::dial(server.web));
        }
        let (mut connected, mut rejected, mut failed) = (Vec::new(), 0, Vec::new());
        while let Some(dialled) = dialling.join_next().await {
            match dialled.map_err(|error| error.to_string())? {
                Ok(Dialled::Connected(client)) => connected.push(client),
                Ok(Dialled::Rejected) => rejected += 1,
                Err(reason) => failed.push(reason),
            }
        }
        let took = start.elapsed();
        let text = format!(
            "{} connected, {rejected} rejected with 503, {} failed, in {took:.1?}",
            connected.len(),
            failed.len()
        );
        let holds =
            failed.is_empty() && (rejected == 0 || max_unauthenticated == MAX_UNAUTHENTICATED);
        claim(
            holds,
            format!(
                "limit {max_unauthenticated}: {text}{}",
                failed
                    .first()
                    .map_or(String::new(), |why| format!(": {why}"))
            ),
        )?;
        // Each connected client must have a working session.
        for client in &mut connected {
            client.request().await?;
        }
        claim(
            true,
            format!(
                "each of the {} connected clients got a receipt",
                connected.len()
            ),
        )?;
    }
    Ok(())
}
