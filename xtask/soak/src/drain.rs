//! SIGTERM while everybody is sending.

use crate::{
    Result, claim,
    client::{Client, Said},
    server::{Server, UNAUTHENTICATED},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

const CLIENTS: u32 = 200;

/// How many messages of a client wait for their receipts.
const WINDOW: u32 = 8;

pub(crate) async fn run() -> Result {
    everything_is_answered().await?;
    the_second_signal_cuts().await
}

async fn everything_is_answered() -> Result {
    let server = Server::start(UNAUTHENTICATED).await?;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(send_on(server.web, client));
    }
    sleep(Duration::from_secs(2)).await;
    let start = Instant::now();
    server.signal("TERM").await?;
    let (status, lines) = server.wait(Duration::from_secs(40)).await?;
    let took = start.elapsed();
    let (mut receipts, mut away) = (BTreeMap::new(), 0);
    while let Some(client) = clients.join_next().await {
        let (client, count, code) = client.map_err(|error| error.to_string())??;
        receipts.insert(client, count);
        away += u32::from(code == Some(1001));
    }
    let handled = lines.iter().map(|line| {
        let (client, count) = line.split_once(' ')?;
        Some((client.parse().ok()?, count.parse().ok()?))
    });
    let handled: BTreeMap<u32, u32> = handled
        .collect::<Option<_>>()
        .ok_or("the server prints something else")?;
    let of = |counts: &BTreeMap<u32, u32>, client| counts.get(&client).copied().unwrap_or(0);
    let sum = |difference: &dyn Fn(u32) -> u32| (0..CLIENTS).map(difference).sum::<u32>();
    let lost = sum(&|client| of(&receipts, client).saturating_sub(of(&handled, client)));
    let silent = sum(&|client| of(&handled, client).saturating_sub(of(&receipts, client)));
    let total: u32 = handled.values().sum();
    claim(
        total > CLIENTS,
        format!("{CLIENTS} clients, {total} messages handled"),
    )?;
    claim(lost == 0, format!("{lost} receipted and lost"))?;
    claim(silent == 0, format!("{silent} handled without an answer"))?;
    claim(away == CLIENTS, format!("{away} closed with 1001"))?;
    claim(
        status.success(),
        format!("{status}, {took:.1?} after SIGTERM"),
    )
}

/// Sends until the server closes. Receipts come in order, one for each message.
async fn send_on(address: SocketAddr, client: u32) -> Result<(u32, u32, Option<u16>)> {
    let mut socket = Client::connect(address).await?;
    let (mut sent, mut receipts) = (0, 0);
    loop {
        while sent < receipts + WINDOW {
            sent += 1;
            // If it has closed, the receipts are still to be read.
            let frame = format!("SEND\ndestination:/job/{client}\nreceipt:{sent}\n\n\0");
            if socket.send(frame).await.is_err() {
                break;
            }
        }
        match socket.next().await? {
            Said::Frame(frame)
                if frame.starts_with(&format!("RECEIPT\nreceipt-id:{}\n", receipts + 1)) =>
            {
                receipts += 1
            }
            Said::Close(code) => return Ok((client, receipts, code)),
            other => return Err(format!("{other:?}, after {receipts} receipts")),
        }
    }
}

async fn the_second_signal_cuts() -> Result {
    let server = Server::start(UNAUTHENTICATED).await?;
    let mut client = Client::connect(server.web).await?;
    client
        .send("SEND\ndestination:/never\nreceipt:r\n\n\0".to_owned())
        .await?;
    sleep(Duration::from_millis(500)).await;
    server.signal("TERM").await?;
    sleep(Duration::from_secs(2)).await;
    claim(
        server.descriptors().is_ok_and(|open| open > 0),
        "a handler that never ends is waited for",
    )?;
    let start = Instant::now();
    server.signal("TERM").await?;
    let (status, _) = server.wait(Duration::from_secs(10)).await?;
    let took = start.elapsed();
    claim(
        status.success() && took < Duration::from_secs(1),
        format!("{status}, {took:.1?} after a second SIGTERM"),
    )
}
