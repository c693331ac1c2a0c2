//! `receipt 50x16`: many connections that each keep many requests outstanding.
//!
//! webstomp answers a SEND with a RECEIPT; the floor gives the same bytes back.

use super::{Peers, Work, measure};
use crate::{client::Client, dialect, options::Plan, server::Server, wire};
use std::{cell::Cell, io, rc::Rc};

const CONNECTIONS: usize = 50;
const OUTSTANDING: usize = 16;

pub(crate) async fn run(server: &Server, plan: &Plan) -> io::Result<Work> {
    run_with(server, plan, dialect::request).await
}

/// As `run`, with requests that are made so of their number.
pub(crate) async fn run_with(
    server: &Server,
    plan: &Plan,
    request: fn(usize) -> String,
) -> io::Result<Work> {
    let answered = Rc::new(Cell::new(0));
    let requests = Rc::new(Ring::of(request));
    let mut peers = Peers::new();
    for _ in 0..CONNECTIONS {
        let client = server.requester().await?;
        peers.spawn_local(converse(client, requests.clone(), answered.clone()));
    }
    measure(server, plan, &answered, peers).await
}

/// Asks again for as many as were answered, in one write.
async fn converse(
    mut client: Client,
    requests: Rc<Ring>,
    answered: Rc<Cell<u64>>,
) -> io::Result<()> {
    let mut asked = 0;
    let mut room = OUTSTANDING;
    loop {
        client.send(requests.from(asked, room)).await?;
        asked += room;
        let count = client.count().await?;
        answered.set(answered.get() + count);
        room = usize::try_from(count).map_err(io::Error::other)?;
    }
}

/// All requests twice in a row, so that any few that follow each other are one slice.
struct Ring {
    bytes: Vec<u8>,
    each: usize,
}

impl Ring {
    fn of(request: fn(usize) -> String) -> Self {
        let once: Vec<_> = (0..OUTSTANDING)
            .map(|number| wire::message(&request(number)))
            .collect();
        Self {
            each: once.first().map_or(0, Vec::len),
            bytes: once.concat().repeat(2),
        }
    }

    fn from(&self, start: usize, count: usize) -> &[u8] {
        let start = start % OUTSTANDING;
        let range = start * self.each..(start + count) * self.each;
        // More than a ring was never asked for, so there are no more answers.
        self.bytes.get(range).unwrap_or_default()
    }
}
