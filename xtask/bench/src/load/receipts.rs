//! `receipt 50x16`: 50 connections with 16 outstanding requests each.
//!
//! webstomp answers a SEND with a RECEIPT; the baseline sends the same bytes back.

use super::{Peers, Work, measure};
use crate::{client::Client, dialect, options::Plan, server::Server, wire};
use std::{cell::Cell, io, rc::Rc};

const CONNECTIONS: usize = 50;
const OUTSTANDING: usize = 16;

pub(crate) async fn run(server: &Server, plan: &Plan) -> io::Result<Work> {
    run_with(server, plan, dialect::request).await
}

/// Runs the load. `request` creates the text of each request from its number.
pub(crate) async fn run_with(
    server: &Server,
    plan: &Plan,
    request: fn(usize) -> String,
) -> io::Result<Work> {
    let answered = Rc::new(Cell::new(0));
    let requests = Rc::new(Ring::new(request));
    let mut peers = Peers::new();
    for _ in 0..CONNECTIONS {
        let client = server.requester().await?;
        peers.spawn_local(request_repeatedly(
            client,
            requests.clone(),
            answered.clone(),
        ));
    }
    measure(server, plan, &answered, peers).await
}

/// Sends requests forever. After each read, sends as many requests as were answered, in one write.
async fn request_repeatedly(
    mut client: Client,
    requests: Rc<Ring>,
    answered: Rc<Cell<u64>>,
) -> io::Result<()> {
    let mut sent = 0;
    let mut room = OUTSTANDING;
    loop {
        client.send(requests.from(sent, room)).await?;
        sent += room;
        let count = client.count().await?;
        answered.set(answered.get() + count);
        room = usize::try_from(count).map_err(io::Error::other)?;
    }
}

/// All requests twice in a row, so that consecutive requests from any position are one slice.
struct Ring {
    bytes: Vec<u8>,
    each: usize,
}

impl Ring {
    fn new(request: fn(usize) -> String) -> Ring {
        let once: Vec<_> = (0..OUTSTANDING)
            .map(|number| wire::message(&request(number)))
            .collect();
        Ring {
            each: once.first().map_or(0, Vec::len),
            bytes: once.concat().repeat(2),
        }
    }

    fn from(&self, start: usize, count: usize) -> &[u8] {
        let start = start % OUTSTANDING;
        let range = start * self.each..(start + count) * self.each;
        // At most one ring of requests is outstanding, so at most one ring can be answered.
        self.bytes.get(range).unwrap_or_default()
    }
}
