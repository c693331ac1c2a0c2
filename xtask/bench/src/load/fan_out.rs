//! `fan-out 1->200`: all subscribers receive the messages of one publisher.
//!
//! The publisher sends 64 messages in one write, and the next 64 when the last delivery has arrived, so that fast and
//! slow servers work on equal batches.

use super::{Peers, Work, measure};
use crate::{
    client::Client,
    dialect::{self, Dialect},
    options::Plan,
    server::Server,
    wire,
};
use std::{cell::Cell, io, rc::Rc};
use tokio::sync::Notify;

const SUBSCRIBERS: u64 = 200;
const WINDOW: usize = 64;

/// Publishes a message, and returns the text that a subscriber receives.
pub(crate) async fn delivery(server: &Server) -> io::Result<String> {
    let mut subscriber = server.subscriber().await?;
    let mut publisher = server.publisher().await?;
    let text = publication(server, &dialect::sample_delivery());
    publisher.send_text(&text).await?;
    subscriber.expect("MESSAGE\n").await
}

/// Returns the message to publish: a SEND for webstomp, and the delivery itself for the baseline, which only forwards
/// it.
fn publication(server: &Server, delivery: &str) -> String {
    match server.dialect {
        Dialect::Raw | Dialect::Frames => delivery.to_owned(),
        Dialect::Stomp => dialect::publication(),
    }
}

pub(crate) async fn run(server: &Server, plan: &Plan, delivery: &str) -> io::Result<Work> {
    let arrivals = Rc::new(Arrivals::default());
    let mut peers = Peers::new();
    for _ in 0..SUBSCRIBERS {
        let client = server.subscriber().await?;
        peers.spawn_local(receive(client, arrivals.clone()));
    }
    let window = wire::message(&publication(server, delivery)).repeat(WINDOW);
    let client = server.publisher().await?;
    peers.spawn_local(publish(client, window, arrivals.clone()));
    measure(server, plan, &arrivals.count, peers).await
}

async fn publish(mut client: Client, window: Vec<u8>, arrivals: Rc<Arrivals>) -> io::Result<()> {
    loop {
        let goal = arrivals.goal.get() + WINDOW as u64 * SUBSCRIBERS;
        arrivals.goal.set(goal);
        client.send(&window).await?;
        arrivals.reached.notified().await;
    }
}

async fn receive(mut client: Client, arrivals: Rc<Arrivals>) -> io::Result<()> {
    loop {
        let arrived = client.count().await?;
        let count = arrivals.count.get() + arrived;
        arrivals.count.set(count);
        if count == arrivals.goal.get() {
            arrivals.reached.notify_one();
        }
    }
}

#[derive(Default)]
struct Arrivals {
    count: Cell<u64>,
    goal: Cell<u64>,
    reached: Notify,
}
