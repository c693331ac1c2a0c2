//! Transactions: subscribers get all of their messages or none.

use super::{
    Pauses,
    clients::{Client, Random, in_transaction, send, size, transaction},
    unbounded,
};
use futures_util::future::join_all;
use std::collections::HashMap;
use stomp_broker::Broker;
use stomp_frame::Command;

/// The number of frames in each transaction.
const FRAMES: usize = 5;

/// Commits some transactions, aborts some, and breaks the connection at any time during the commit of others. Returns
/// the transactions with a known outcome, by name, and the number of frames that subscribers get of each.
async fn run_transactions(
    broker: Broker,
    number: u64,
    transactions: usize,
) -> HashMap<String, usize> {
    let (mut random, mut known) = (Random::new(400 + number), HashMap::new());
    let mut client = Client::of(&broker).await;
    for transaction_number in 0..transactions {
        let name = format!("{number}/{transaction_number}");
        client.asks(transaction(Command::Begin)).await;
        for frame in 0..FRAMES {
            let destination = if frame % 2 == 0 {
                "/topic/t"
            } else {
                "/queue/t"
            };
            client
                .send(in_transaction(send(
                    destination,
                    &format!("{name} {frame}"),
                )))
                .await;
        }
        match random.below(3) {
            0 => {
                client.asks(transaction(Command::Abort)).await;
                known.insert(name, 0);
            }
            1 => {
                client.asks(transaction(Command::Commit)).await;
                known.insert(name, FRAMES);
            }
            _ => {
                client.send(transaction(Command::Commit)).await;
                Pauses::Yields.pause(&mut random).await;
                client.breaks_off().await;
                client = Client::of(&broker).await;
            }
        }
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribers_see_each_transaction_completely_or_not_at_all() {
    let (transactions, (config, session)) = (size(100, 5_000), unbounded());
    let broker = Broker::new(config).unwrap();
    let mut watcher = Client::with(broker.clone(), session).await;
    watcher.subscribes("topic", "/topic/t").await;
    watcher.subscribes("queue", "/queue/t").await;
    let clients =
        (0..4).map(|number| tokio::spawn(run_transactions(broker.clone(), number, transactions)));
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
        let message = watcher.gets(Command::Message).await;
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
