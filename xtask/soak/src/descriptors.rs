//! Opens more connections to a server than it has file descriptors.

use crate::{Result, claim, client::Client, server::Server};
use std::time::{Duration, Instant};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Number of file descriptors that the server may open.
const DESCRIPTORS: u32 = 256;

/// Number of sessions that must keep working.
const SESSIONS: usize = 20;

/// Number of connections that use up the descriptors.
const CONNECTIONS: usize = 1_000;

pub(crate) async fn run() -> Result {
    let server = Server::start_with(DESCRIPTORS, 4_096).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Client::connect(server.web).await?);
    }
    let mut dialling = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let web = server.web;
        dialling
            .spawn(async move { timeout(Duration::from_secs(30), TcpStream::connect(web)).await });
    }
    let mut connections = Vec::new();
    while let Some(dialled) = dialling.join_next().await {
        connections.extend(dialled.ok().and_then(Result::ok).and_then(Result::ok));
    }
    sleep(Duration::from_millis(500)).await;
    let open = server.descriptors()?;
    claim(
        open + 2 >= DESCRIPTORS as usize,
        format!("{} connections, {open} open descriptors", connections.len()),
    )?;

    // For three seconds no descriptor is free, and the sessions must keep working.
    let (start, before) = (Instant::now(), server.cpu_time()?);
    let (mut receipts, mut slowest) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(3) {
        for session in &mut sessions {
            let sent = Instant::now();
            session.request().await?;
            slowest = slowest.max(sent.elapsed());
            receipts += 1;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let busy = (server.cpu_time()? - before).as_secs_f64() / start.elapsed().as_secs_f64();
    claim(
        true,
        format!(
            "{SESSIONS} sessions kept working: {receipts} receipts, the slowest after {slowest:.1?}"
        ),
    )?;
    claim(
        busy < 0.2,
        format!("the server used {:.0} % of a processor", busy * 100.0),
    )?;

    drop(connections);
    let start = Instant::now();
    Client::connect(server.web).await?.request().await?;
    let took = start.elapsed();
    claim(
        took < Duration::from_secs(1),
        format!("a new client was served {took:.1?} after the connections were closed"),
    )?;
    for session in &mut sessions {
        session.request().await?;
    }
    Ok(())
}
