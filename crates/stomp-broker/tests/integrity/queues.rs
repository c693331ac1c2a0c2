//! Queues: no message is lost while consumers fail.

use super::{
    Pauses,
    clients::{Client, Random, answer, size, subscribe, unsubscribe},
    unbounded,
};
use futures_util::future::join_all;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use stomp_broker::Broker;
use stomp_frame::{Command, Frame};
use tokio::time::timeout;

/// The messages of a queue that consumers have seen and acknowledged, by body.
#[derive(Default)]
struct Record {
    seen: Mutex<HashSet<String>>,
    acknowledged: Mutex<HashSet<String>>,
    duplicates: AtomicUsize,
}

impl Record {
    /// Records a delivery and returns its body. Checks that a second delivery says `redelivered`.
    fn see(&self, message: &Frame) -> String {
        assert_eq!(message.command, Command::Message, "{message:?}");
        let text = String::from_utf8(message.body.to_vec()).unwrap();
        if !self.seen.lock().unwrap().insert(text.clone()) {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
            assert_eq!(
                message.headers.get("redelivered"),
                Some("true"),
                "{text} was delivered before"
            );
        }
        text
    }
}

impl Client {
    /// Sends a frame and waits for its receipt. Returns the messages that arrive before it.
    async fn send_and_await_receipt(
        &mut self,
        frame: Frame,
        record: &Record,
    ) -> Vec<(Frame, String)> {
        self.send(frame.with_header("receipt", "r")).await;
        let mut messages = Vec::new();
        loop {
            let frame = self.next().await.unwrap();
            if frame.command == Command::Receipt {
                return messages;
            }
            let text = record.see(&frame);
            messages.push((frame, text));
        }
    }
}

/// Consumes with random settings, refuses some messages, and breaks its connection again and again.
async fn unreliable_consumer(broker: Broker, number: u64, total: usize, record: Arc<Record>) {
    let mut random = Random::new(300 + number);
    while record.acknowledged.lock().unwrap().len() < total {
        let mut client = Client::of(&broker).await;
        let mode = if random.below(2) == 0 {
            "client"
        } else {
            "client-individual"
        };
        let prefetch = (1 + random.below(20)).to_string();
        let frame = subscribe("0", "/queue/q")
            .with_header("ack", mode)
            .with_header("prefetch-count", &prefetch);
        let mut unacknowledged = client.send_and_await_receipt(frame, &record).await;
        for _ in 0..random.below(60) {
            let Ok(frame) = timeout(Duration::from_millis(20), client.next()).await else {
                break;
            };
            let message = frame.unwrap();
            let text = record.see(&message);
            unacknowledged.push((message, text));
            Pauses::Yields.pause(&mut random).await;
            if random.below(3) > 0 {
                continue;
            }
            let (message, text) = unacknowledged.pop().unwrap();
            // In mode `client`, an ACK also acknowledges all earlier messages.
            let earlier = if mode == "client" {
                std::mem::take(&mut unacknowledged)
            } else {
                Vec::new()
            };
            if random.below(4) == 0 {
                client.nacks(&message).await;
                continue;
            }
            unacknowledged.extend(
                client
                    .send_and_await_receipt(answer(Command::Ack, &message), &record)
                    .await,
            );
            let texts = earlier.into_iter().map(|(_, text)| text).chain([text]);
            record.acknowledged.lock().unwrap().extend(texts);
        }
        if random.below(4) == 0 {
            client.send(unsubscribe("0")).await;
        }
        client.breaks_off().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_queue_with_failing_consumers_loses_no_message() {
    const PRODUCERS: usize = 4;
    let (each, (mut config, _)) = (size(200, 20_000), unbounded());
    config.max_delivery_attempts = u32::MAX;
    let broker = Broker::new(config).unwrap();
    let record = Arc::new(Record::default());
    let producers = (0..PRODUCERS).map(|number| {
        let broker = broker.clone();
        tokio::spawn(async move {
            let mut client = Client::of(&broker).await;
            for sequence in 0..each {
                client
                    .sends("/queue/q", &format!("{number} {sequence}"))
                    .await;
            }
        })
    });
    let producers: Vec<_> = producers.collect();
    let consumers = (0..6).map(|number| {
        tokio::spawn(unreliable_consumer(
            broker.clone(),
            number,
            PRODUCERS * each,
            Arc::clone(&record),
        ))
    });
    let consumers: Vec<_> = consumers.collect();
    join_all(producers)
        .await
        .into_iter()
        .for_each(Result::unwrap);
    timeout(Duration::from_secs(600), join_all(consumers))
        .await
        .unwrap()
        .into_iter()
        .for_each(Result::unwrap);
    assert_eq!(record.acknowledged.lock().unwrap().len(), PRODUCERS * each);
    let duplicates = record.duplicates.load(Ordering::Relaxed);
    println!("{duplicates} duplicates");
    assert!(duplicates > each / 10, "{duplicates}");
    let statistics = broker.statistics();
    assert_eq!(statistics.delivered, (PRODUCERS * each) as u64);
    let queue = &statistics.destinations[0];
    assert_eq!((queue.waiting, queue.unacknowledged), (0, 0));
}
