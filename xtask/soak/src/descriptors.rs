//! More dials than the server has file descriptors.

use crate::{Result, claim, client::Client, server::Server};
use std::time::{Duration, Instant};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

const DESCRIPTORS: u32 = 256;
const SESSIONS: usize = 20;
const DIALS: usize = 1_000;

pub(crate) async fn run() -> Result {
    let server = Server::start_with(DESCRIPTORS, 4_096).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Client::connect(server.web).await?);
    }
    let mut dialling = JoinSet::new();
    for _ in 0..DIALS {
        let web = server.web;
        dialling
            .spawn(async move { timeout(Duration::from_secs(30), TcpStream::connect(web)).await });
    }
    let mut dials = Vec::new();
    while let Some(dialled) = dialling.join_next().await {
        dials.extend(dialled.ok().and_then(Result::ok).and_then(Result::ok));
    }
    sleep(Duration::from_millis(500)).await;
    let open = server.descriptors()?;
    claim(
        open + 2 >= DESCRIPTORS as usize,
        format!("{} dials, {open} descriptors open", dials.len()),
    )?;

    // Three seconds in which no descriptor is free, and the sessions go on.
    let (start, before) = (Instant::now(), server.cpu_time()?);
    let (mut receipts, mut slowest) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(3) {
        for session in &mut sessions {
            let asked = Instant::now();
            session.ask().await?;
            slowest = slowest.max(asked.elapsed());
            receipts += 1;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let busy = (server.cpu_time()? - before).as_secs_f64() / start.elapsed().as_secs_f64();
    claim(
        true,
        format!(
            "{SESSIONS} sessions unharmed: {receipts} receipts, the slowest after {slowest:.1?}"
        ),
    )?;
    claim(
        busy < 0.2,
        format!("{:.0} % of a processor used meanwhile", busy * 100.0),
    )?;

    drop(dials);
    let start = Instant::now();
    Client::connect(server.web).await?.ask().await?;
    let took = start.elapsed();
    claim(
        took < Duration::from_secs(1),
        format!("a new client was served {took:.1?} after the dials had gone"),
    )?;
    for session in &mut sessions {
        session.ask().await?;
    }
    Ok(())
}
