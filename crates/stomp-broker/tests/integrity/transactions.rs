//! Transactions: subscribers get all of their messages or none.

use super::{
    Pauses,
    support::{broker_with, connect, connect_to},
    unbounded,
};
use futures_util::future::join_all;
use std::collections::HashMap;
use stomp_broker::Broker;
use stomp_frame::Command;
use stomp_testing::{
    Rng,
    frames::{send, transaction},
    seeded, usual_or_soak,
};

/// The number of frames in each transaction.
const FRAMES: usize = 5;

/// Commits some transactions, aborts some, and breaks the connection at any time during the commit of others. Returns
/// the transactions with a known outcome, by name, and the number of frames that subscribers get of each.
async fn run_transactions(
    broker: Broker,
    number: u64,
    transactions: usize,
    mut random: Rng,
) -> HashMap<String, usize> {
    let mut known = HashMap::new();
    let mut client = connect(&broker).await;
    for transaction_number in 0..transactions {
        let name = format!("{number}/{transaction_number}");
        client.receipt(transaction(Command::Begin, "t")).await;
        for frame in 0..FRAMES {
            let destination = if frame % 2 == 0 {
                "/topic/t"
            } else {
                "/queue/t"
            };
            client
                .send(send(destination, &format!("{name} {frame}")).with_header("transaction", "t"))
                .await;
        }
        match random.u8(..3) {
            0 => {
                client.receipt(transaction(Command::Abort, "t")).await;
                known.insert(name, 0);
            }
            1 => {
                client.receipt(transaction(Command::Commit, "t")).await;
                known.insert(name, FRAMES);
            }
            _ => {
                client.send(transaction(Command::Commit, "t")).await;
                Pauses::Yields.pause(&mut random).await;
                client.break_connection().await;
                client = connect(&broker).await;
            }
        }
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribers_see_each_transaction_completely_or_not_at_all() {
    let (transactions, (config, session)) = (usual_or_soak(100, 5_000), unbounded());
    let broker = broker_with(config);
    let mut watcher = connect_to(broker.clone(), session).await;
    watcher.subscribe("topic", "/topic/t").await;
    watcher.subscribe("queue", "/queue/t").await;
    let mut random = seeded(400);
    let clients = (0..4).map(|number| {
        tokio::spawn(run_transactions(
            broker.clone(),
            number,
            transactions,
            random.fork(),
        ))
    });
    let clients: Vec<_> = clients.collect();
    let known: HashMap<_, _> = join_all(clients)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    for destination in ["/topic/t", "/queue/t"] {
        broker.publish(destination, "end").await.unwrap();
    }
    let (mut seen, mut ends) = (HashMap::<String, Vec<usize>>::new(), 0);
    while ends < 2 {
        let message = watcher.expect(Command::Message).await;
        let text = std::str::from_utf8(&message.body).unwrap();
        match text.split_once(' ') {
            Some((name, frame)) => seen
                .entry(name.to_owned())
                .or_default()
                .push(frame.parse().unwrap()),
            None => ends += 1,
        }
    }
    for (name, frames) in &mut seen {
        frames.sort_unstable();
        assert_eq!(
            *frames,
            (0..FRAMES).collect::<Vec<_>>(),
            "transaction {name}"
        );
    }
    for (name, frames) in &known {
        assert_eq!(
            seen.get(name).map_or(0, Vec::len),
            *frames,
            "transaction {name}"
        );
    }
    println!("{} with a known outcome, {} seen", known.len(), seen.len());
    assert!(known.len() < 4 * transactions);
}
