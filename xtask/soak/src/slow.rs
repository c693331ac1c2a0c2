//! Sockets that send a byte a second: in the HTTP head, and before `CONNECT` is whole.

use crate::{
    Result, claim,
    client::{Client, Dialled},
    server::{Server, UNAUTHENTICATED},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{interval, sleep, timeout},
};

const SLOW: usize = 2_000;

/// How much later than its deadline a socket may go, on a machine that has other things to do.
const LATE: Duration = Duration::from_millis(1_500);

/// How much memory so many may cost, in KiB.
const MEMORY: u64 = 64 << 10;

const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// How far a socket comes before it turns slow.
#[derive(Clone, Copy)]
enum Slow {
    /// It dribbles the head of its request.
    Head,
    /// It dribbles `CONNECT`, as a WebSocket message.
    Connect,
    /// It dribbles `CONNECT`, without HTTP.
    Raw,
}

pub(crate) async fn run() -> Result {
    gone_in_time().await?;
    newcomers_are_told().await
}

async fn gone_in_time() -> Result {
    let server = Server::start(4_096).await?;
    let before = server.resident()?;
    let mut slow = JoinSet::new();
    for number in 0..SLOW {
        let kind = match number % 4 {
            0 | 2 => Slow::Head,
            1 => Slow::Connect,
            _ => Slow::Raw,
        };
        let address = if matches!(kind, Slow::Raw) {
            server.raw
        } else {
            server.web
        };
        slow.spawn(async move { (kind, dribble(address, kind).await) });
    }
    let (mut slowest, mut most) = (Duration::ZERO, before);
    let (mut heads, mut connects) = (Vec::new(), Vec::new());
    let mut honest = interval(Duration::from_millis(250));
    while !slow.is_empty() {
        tokio::select! {
            Some(done) = slow.join_next() => {
                let (kind, lasted) = done.map_err(|error| error.to_string())?;
                if matches!(kind, Slow::Head) { heads.push(lasted?) } else { connects.push(lasted?) }
            }
            _ = honest.tick() => {
                let start = Instant::now();
                Client::connect(server.web).await?.ask().await?;
                slowest = slowest.max(start.elapsed());
                most = most.max(server.resident()?);
            }
        }
    }
    for (what, lasted, deadline) in [("a head", &heads, 5), ("CONNECT", &connects, 10)] {
        let deadline = Duration::from_secs(deadline);
        let (first, last) = (lasted.iter().min().copied(), lasted.iter().max().copied());
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        let in_time = first + Duration::from_millis(100) >= deadline && last <= deadline + LATE;
        claim(
            in_time,
            format!(
                "{} slow in {what} were gone after {first:.1?} to {last:.1?}",
                lasted.len()
            ),
        )?;
    }
    claim(
        slowest < Duration::from_secs(1),
        format!("an honest client connected within {slowest:.1?} meanwhile"),
    )?;
    let grown = most.saturating_sub(before);
    claim(
        grown < MEMORY,
        format!(
            "memory grew by {grown} KiB, {} a slow socket",
            grown / SLOW as u64
        ),
    )
}

/// Sends a byte a second, and gives how long the server put up with it.
async fn dribble(address: SocketAddr, kind: Slow) -> Result<Duration> {
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    let start = Instant::now();
    let what: &[u8] = match kind {
        Slow::Head => b"GET / HTTP/1.1\r\nX-Long: ",
        Slow::Raw => b"CONNECT\n",
        Slow::Connect => {
            stream
                .write_all(HANDSHAKE)
                .await
                .map_err(|error| error.to_string())?;
            let mut answer = [0; 12];
            stream
                .read_exact(&mut answer)
                .await
                .map_err(|error| error.to_string())?;
            if answer != *b"HTTP/1.1 101" {
                return Err(format!("{}, and no 101", answer.escape_ascii()));
            }
            // A message of 1,000 bytes under a mask of zeros.
            b"\x81\xfe\x03\xe8\0\0\0\0CONNECT\n"
        }
    };
    let (mut reader, mut writer) = stream.into_split();
    let dribbling = async {
        for byte in what.iter().chain(std::iter::repeat(&b'a')) {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await
    };
    // What comes is an ERROR, or nothing; what counts is when it ends.
    let ended = async {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
    };
    tokio::select! {
        () = dribbling => {}
        ended = timeout(Duration::from_secs(60), ended) => ended.map_err(|_| "it was never closed".to_owned())?,
    }
    Ok(start.elapsed())
}

/// At the default limit, as many that say nothing leave no place, until their deadline.
async fn newcomers_are_told() -> Result {
    let server = Server::start(UNAUTHENTICATED).await?;
    let mut silent = Vec::new();
    for _ in 0..UNAUTHENTICATED {
        silent.push(
            TcpStream::connect(server.web)
                .await
                .map_err(|error| error.to_string())?,
        );
    }
    let start = Instant::now();
    let mut dialled = Client::dial(server.web).await?;
    // The last of them may still be on their way in.
    while matches!(dialled, Dialled::Served(_)) && start.elapsed() < Duration::from_secs(2) {
        dialled = Client::dial(server.web).await?;
    }
    let at = Instant::now();
    let refused = matches!(Client::dial(server.web).await?, Dialled::Refused);
    claim(
        refused,
        format!(
            "at {UNAUTHENTICATED} silent ones, a newcomer got 503 after {:.1?}",
            at.elapsed()
        ),
    )?;
    sleep(Duration::from_secs(6)).await;
    claim(
        Client::connect(server.web).await.is_ok(),
        "after their deadline, the next one was served",
    )
}
