//! Clients that send one byte per second: in the HTTP head, and in `CONNECT`.

use crate::{
    Result, claim,
    client::{Client, Dialled},
    server::{MAX_UNAUTHENTICATED, Server},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

/// Number of slow clients at the same time.
const SLOW: usize = 2_000;

/// Maximum delay with which a busy machine may close a connection.
const LATE: Duration = Duration::from_secs(3);

/// Maximum memory for all slow clients, in KiB.
const MAX_MEMORY: u64 = 64 << 10;

/// The default of `Config::handshake_timeout`.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The default of `session::Config::connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default of `session::Config::linger_timeout`: after its ERROR, the server waits for the client to close.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The part that a client sends slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    /// The head of its HTTP request.
    Head,
    /// `CONNECT`, in a WebSocket message.
    Connect,
    /// `CONNECT`, without HTTP.
    Raw,
}

/// Bounds for the time between the start of a deadline in the server and the end of the connection.
#[derive(Debug, Clone, Copy)]
struct Lasted {
    /// Measured from a moment before the server could start its deadline.
    at_most: Duration,
    /// Measured from a moment after the server had started its deadline, as far as the client can tell.
    at_least: Duration,
}

pub(crate) async fn run() -> Result {
    slow_clients_are_closed_in_time().await?;
    silent_clients_lock_out_only_their_own_address().await
}

async fn slow_clients_are_closed_in_time() -> Result {
    let server = Server::start(4_096).await?;
    let before = server.resident()?;
    let mut slow = JoinSet::new();
    for number in 0..SLOW {
        let (kind, address) = match number % 4 {
            0 | 2 => (Slow::Head, server.web),
            1 => (Slow::Connect, server.web),
            _ => (Slow::Raw, server.raw),
        };
        slow.spawn(async move { (kind, dribble(address, kind).await) });
    }
    let (mut slowest, mut most) = (Duration::ZERO, before);
    let (mut heads, mut connects) = (Vec::new(), Vec::new());
    let mut normal = interval(Duration::from_millis(250));
    while !slow.is_empty() {
        tokio::select! {
            Some(done) = slow.join_next() => {
                let (kind, lasted) = done.map_err(|error| error.to_string())?;
                if kind == Slow::Head { heads.push(lasted?) } else { connects.push(lasted?) }
            }
            _ = normal.tick() => {
                let start = Instant::now();
                Client::connect(server.web).await?.request().await?;
                slowest = slowest.max(start.elapsed());
                most = most.max(server.resident()?);
            }
        }
    }
    claim_in_time("a head", &heads, HANDSHAKE_TIMEOUT, Duration::ZERO)?;
    claim_in_time("CONNECT", &connects, CONNECT_TIMEOUT, LINGER_TIMEOUT)?;
    claim(
        slowest < Duration::from_secs(1),
        format!("a normal client connected within {slowest:.1?} meanwhile"),
    )?;
    let grown = most.saturating_sub(before);
    claim(
        grown < MAX_MEMORY,
        format!(
            "memory grew by {grown} KiB, {} for each slow client",
            grown / SLOW as u64
        ),
    )
}

/// Checks that the server closed each connection after `deadline`, but at most `linger` and [`LATE`] later.
fn claim_in_time(what: &str, lasted: &[Lasted], deadline: Duration, linger: Duration) -> Result {
    let first = lasted.iter().map(|lasted| lasted.at_most).min();
    let last = lasted.iter().map(|lasted| lasted.at_least).max();
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    claim(
        first >= deadline && last <= deadline + linger + LATE,
        format!(
            "{} clients that were slow in {what} were closed after {first:.1?} to {last:.1?}",
            lasted.len()
        ),
    )
}

/// Sends one byte per second until the server closes the connection.
async fn dribble(address: SocketAddr, kind: Slow) -> Result<Lasted> {
    let text = |error: std::io::Error| error.to_string();
    // The server starts the first deadline when it accepts the connection. On a busy machine, this can be long before
    // this task continues after `connect`.
    let mut before = Instant::now();
    let mut stream = TcpStream::connect(address).await.map_err(text)?;
    let prefix: &[u8] = match kind {
        Slow::Head => b"GET / HTTP/1.1\r\nX-Long: ",
        Slow::Raw => b"CONNECT\n",
        Slow::Connect => {
            // The deadline for `CONNECT` starts with the server's answer.
            before = Instant::now();
            stream.write_all(HANDSHAKE).await.map_err(text)?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.map_err(text)?;
            if answer != *b"HTTP/1.1 101" {
                let answer = answer.escape_ascii();
                return Err(format!("the server answered a handshake with {answer}"));
            }
            // The header of a message of 1,000 bytes, masked with zeros.
            b"\x81\xfe\x03\xe8\0\0\0\0CONNECT\n"
        }
    };
    let after = Instant::now();
    let (mut reader, mut writer) = stream.into_split();
    let dribbling = async {
        for byte in prefix.iter().chain(std::iter::repeat(&b'a')) {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await
    };
    // The server may send an ERROR or nothing. Only the end of the connection matters.
    let closed = async {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
    };
    tokio::select! {
        () = dribbling => {}
        closed = timeout(Duration::from_secs(60), closed) => {
            closed.map_err(|_| "the server never closed a slow connection".to_owned())?;
        }
    }
    let end = Instant::now();
    Ok(Lasted {
        at_most: end - before,
        at_least: end - after,
    })
}

/// Opens as many silent connections as the default limit allows. Newcomers from the same address must be rejected until
/// the server closes the silent ones at their deadline. Newcomers from another address must be served at once.
async fn silent_clients_lock_out_only_their_own_address() -> Result {
    let server = Server::start(MAX_UNAUTHENTICATED).await?;
    let mut silent = Vec::new();
    for number in 0..MAX_UNAUTHENTICATED {
        let address = match number % 2 {
            0 => server.web,
            _ => server.raw,
        };
        let stream = TcpStream::connect(address).await;
        silent.push(stream.map_err(|error| error.to_string())?);
    }
    let start = Instant::now();
    // Otherwise a newcomer could take the place of a silent connection that the server has not accepted yet.
    sleep(Duration::from_secs(1)).await;
    let at = Instant::now();
    let rejected = matches!(Client::dial(server.web).await?, Dialled::Rejected);
    claim(
        rejected,
        format!(
            "with {MAX_UNAUTHENTICATED} silent clients, a newcomer from their address got 503 after {:.1?}",
            at.elapsed()
        ),
    )?;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let at = Instant::now();
        let stream = connect_from_elsewhere(server.web).await?;
        if matches!(
            Client::dial_over(stream, server.web).await?,
            Dialled::Rejected
        ) {
            return Err("a newcomer from another address got 503".to_owned());
        }
        let mut stream = connect_from_elsewhere(server.raw).await?;
        connect_over_tcp(&mut stream)
            .await
            .map_err(|error| format!("a newcomer from another address was refused: {error}"))?;
        slowest = slowest.max(at.elapsed());
    }
    claim(
        slowest < Duration::from_millis(100),
        format!(
            "newcomers from another address connected over both transports within {slowest:.1?}"
        ),
    )?;
    let end = start + CONNECT_TIMEOUT + LATE;
    let mut connected = false;
    while !connected && Instant::now() < end {
        sleep(Duration::from_millis(100)).await;
        connected = matches!(Client::dial(server.web).await?, Dialled::Connected(_));
    }
    claim(
        connected,
        "after the deadline of the silent clients, a newcomer from their address was connected",
    )
}

/// Connects from 127.0.0.2.
async fn connect_from_elsewhere(address: SocketAddr) -> Result<TcpStream> {
    let connecting = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
        socket.connect(address).await
    };
    connecting.await.map_err(|error| error.to_string())
}

async fn connect_over_tcp(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(b"CONNECT\naccept-version:1.2\n\n\0")
        .await?;
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await?;
    match &answer {
        b"CONNECTED\n" => Ok(()),
        _ => Err(std::io::Error::other("it got another frame than CONNECTED")),
    }
}
