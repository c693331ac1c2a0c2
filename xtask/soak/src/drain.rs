//! Sends SIGTERM to the server while many clients are sending.

use crate::{
    Result, claim,
    client::{Client, Received},
    server::{MAX_UNAUTHENTICATED, Server},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::sleep};

const CLIENTS: u32 = 200;

/// Number of connections of each kind in [`UNFINISHED`].
const UNFINISHED_EACH: usize = 20;

/// The beginnings of connections that are not yet a session, on the port for WebSockets or on that for TCP.
const UNFINISHED: [(Port, &str); 8] = [
    (Port::Web, ""),
    (Port::Web, "GET / HTTP/1.1\r\nHost: localhost\r\nX-"),
    // Idle after a response.
    (Port::Web, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (
        Port::Web,
        "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
    ),
    // Half a body.
    (
        Port::Web,
        "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
    ),
    // A response that is never read.
    (Port::Web, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (Port::Raw, ""),
    (Port::Raw, "CONNECT\naccept-ver"),
];

/// Maximum time of a shutdown after which no client has anything to wait for: a body and a response that stall have 10 s.
const MAX_SHUTDOWN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
enum Port {
    Web,
    Raw,
}

/// Maximum number of messages for which a client waits for receipts at the same time.
const WINDOW: u32 = 8;

pub(crate) async fn run() -> Result {
    everything_is_answered().await?;
    the_second_signal_aborts().await
}

async fn everything_is_answered() -> Result {
    let server = Server::start(MAX_UNAUTHENTICATED).await?;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(send_until_closed(server.web, client));
    }
    sleep(Duration::from_secs(2)).await;
    let unfinished = open_unfinished(&server).await?;
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    server.signal("TERM").await?;
    let (status, lines) = server.wait(Duration::from_secs(40)).await?;
    let took = start.elapsed();
    let unfinished = unfinished.len();
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
        .ok_or("the server did not print the numbers of handled messages")?;
    let of = |counts: &BTreeMap<u32, u32>, client| counts.get(&client).copied().unwrap_or(0);
    let sum = |difference: &dyn Fn(u32) -> u32| (0..CLIENTS).map(difference).sum::<u32>();
    let lost = sum(&|client| of(&receipts, client).saturating_sub(of(&handled, client)));
    let silent = sum(&|client| of(&handled, client).saturating_sub(of(&receipts, client)));
    let total: u32 = handled.values().sum();
    claim(
        total > CLIENTS,
        format!("{CLIENTS} clients, {total} messages handled"),
    )?;
    claim(
        lost == 0,
        format!("{lost} messages with a receipt were not handled"),
    )?;
    claim(
        silent == 0,
        format!("{silent} handled messages had no receipt"),
    )?;
    claim(
        away == CLIENTS,
        format!("{away} connections were closed with 1001"),
    )?;
    claim(
        status.success() && took < MAX_SHUTDOWN,
        format!(
            "the server ended {took:.1?} after SIGTERM, with {unfinished} connections that were not yet a session: \
             {status}"
        ),
    )
}

/// Opens connections of all kinds that are not yet a session, and keeps them open.
async fn open_unfinished(server: &Server) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for (port, start) in UNFINISHED {
        let address = match port {
            Port::Web => server.web,
            Port::Raw => server.raw,
        };
        for _ in 0..UNFINISHED_EACH {
            let stream = async {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(start.as_bytes()).await?;
                std::io::Result::Ok(stream)
            };
            streams.push(stream.await.map_err(|error| error.to_string())?);
        }
    }
    Ok(streams)
}

/// Sends messages until the server closes the connection. Returns `client`, the number of receipts, and the status code
/// of the Close. Receipts must come in order, one for each message.
async fn send_until_closed(address: SocketAddr, client: u32) -> Result<(u32, u32, Option<u16>)> {
    let mut socket = Client::connect(address).await?;
    let (mut sent, mut receipts) = (0, 0);
    loop {
        while sent < receipts + WINDOW {
            sent += 1;
            // An error means that the connection is closed. Receipts may still be unread.
            let frame = format!("SEND\ndestination:/job/{client}\nreceipt:{sent}\n\n\0");
            if socket.send(frame).await.is_err() {
                break;
            }
        }
        match socket.next().await? {
            Received::Frame(frame)
                if frame.starts_with(&format!("RECEIPT\nreceipt-id:{}\n", receipts + 1)) =>
            {
                receipts += 1
            }
            Received::Close(code) => return Ok((client, receipts, code)),
            other => {
                return Err(format!(
                    "the server sent {other:?} after {receipts} receipts"
                ));
            }
        }
    }
}

async fn the_second_signal_aborts() -> Result {
    let server = Server::start(MAX_UNAUTHENTICATED).await?;
    let mut client = Client::connect(server.web).await?;
    client
        .send("SEND\ndestination:/never\nreceipt:r\n\n\0".to_owned())
        .await?;
    sleep(Duration::from_millis(500)).await;
    server.signal("TERM").await?;
    sleep(Duration::from_secs(2)).await;
    claim(
        server.descriptors().is_ok_and(|open| open > 0),
        "the server waits for a handler that never ends",
    )?;
    let start = Instant::now();
    server.signal("TERM").await?;
    let (status, _) = server.wait(Duration::from_secs(10)).await?;
    let took = start.elapsed();
    claim(
        status.success() && took < Duration::from_secs(1),
        format!("the server ended {took:.1?} after a second SIGTERM: {status}"),
    )
}
