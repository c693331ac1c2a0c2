//! Everybody at once, as after a restart.

use crate::{
    Result, claim,
    client::{Client, Dialled},
    server::{Server, UNAUTHENTICATED},
};
use std::time::Instant;
use tokio::task::JoinSet;

const CLIENTS: usize = 5_000;

pub(crate) async fn run() -> Result {
    for unauthenticated in [8_192, UNAUTHENTICATED] {
        let server = Server::start(unauthenticated).await?;
        let start = Instant::now();
        let mut dialling = JoinSet::new();
        for _ in 0..CLIENTS {
            dialling.spawn(Client::dial(server.web));
        }
        let (mut served, mut refused, mut failed) = (Vec::new(), 0, Vec::new());
        while let Some(dialled) = dialling.join_next().await {
            match dialled.map_err(|error| error.to_string())? {
                Ok(Dialled::Served(client)) => served.push(client),
                Ok(Dialled::Refused) => refused += 1,
                Err(reason) => failed.push(reason),
            }
        }
        let took = start.elapsed();
        let text = format!(
            "{} served, {refused} told 503, {} neither, in {took:.1?}",
            served.len(),
            failed.len()
        );
        let holds = failed.is_empty() && (refused == 0 || unauthenticated == UNAUTHENTICATED);
        claim(
            holds,
            format!(
                "limit {unauthenticated}: {text}{}",
                failed
                    .first()
                    .map_or(String::new(), |why| format!(": {why}"))
            ),
        )?;
        // Each of them is a session that works.
        for client in &mut served {
            client.ask().await?;
        }
        claim(true, format!("each of the {} got a receipt", served.len()))?;
    }
    Ok(())
}
