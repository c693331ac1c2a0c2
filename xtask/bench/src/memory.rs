//! `idle` and `after 64 KiB`: the resident memory of connections that have subscribed and are idle.

use crate::{
    proc,
    server::Running,
    target::{Protocol, Setup, large_message},
};
use std::{io, thread, time::Duration};

/// Size of the message in `after 64 KiB`.
const LARGE: usize = 64 << 10;

/// Number of connections before the first measurement, so that memory which a server allocates only once is not
/// counted.
const FIRST: u64 = 50;

/// Number of files that a process needs besides its connections.
const OTHER_FILES: u64 = 50;

/// Opens `count` connections and leaves them idle for `pause`. Returns the bytes for each, or `None` if the memory of
/// the server cannot be read. With `is_large`, each connection sends and receives a large message before.
pub(crate) fn per_connection(
    server: &Running,
    count: u64,
    pause: Duration,
    is_large: bool,
) -> io::Result<Option<f64>> {
    let limit = proc::open_files_limit().unwrap_or(1024);
    let count = count.min(limit.saturating_sub(FIRST + OTHER_FILES));
    let mut idle = Vec::new();
    let mut open = |count| {
        for _ in 0..count {
            idle.push(connection(server, is_large)?);
        }
        if is_large {
            deliver(server, &mut idle)?;
        }
        thread::sleep(pause);
        Ok::<_, io::Error>(server.resident())
    };
    let (before, after) = (open(FIRST)?, open(count)?);
    let grown = before.zip(after);
    Ok(grown.map(|(before, after)| after.saturating_sub(before) as f64 / count as f64))
}

fn connection(server: &Running, is_large: bool) -> io::Result<Setup> {
    let target = &server.target;
    let (mut setup, answer) = match target.protocol {
        Protocol::Stomp => (target.subscriber()?, Some("RECEIPT\n")),
        // It ignores the messages of subscribers.
        Protocol::Bare => (target.subscriber()?, None),
        Protocol::Frames => (target.requester()?, Some("SEND\n")),
    };
    if is_large {
        setup.send(&large_message(target.destinations.unread, LARGE))?;
        if let Some(answer) = answer {
            setup.expect(answer)?;
        }
    }
    Ok(setup)
}

/// Delivers a large message to all connections.
fn deliver(server: &Running, connections: &mut [Setup]) -> io::Result<()> {
    let target = &server.target;
    let start = match target.protocol {
        Protocol::Stomp => "MESSAGE\n",
        Protocol::Bare => "SEND\n",
        // It has sent the messages back already.
        Protocol::Frames => return Ok(()),
    };
    let mut publisher = target.publisher()?;
    publisher.send(&large_message(target.destinations.topic, LARGE))?;
    for connection in connections {
        connection.expect(start)?;
    }
    Ok(())
}
