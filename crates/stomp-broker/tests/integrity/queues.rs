//! Queues: no message is lost while consumers fail.

use super::{
    Pauses,
    support::{Client, broker_with, connect, statistics_of},
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
use stomp_testing::{
    Rng,
    frames::{ack, subscribe_with_ack, unsubscribe},
    seeded, usual_or_soak,
};
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
        self.request(frame).await;
        let mut messages = Vec::new();
        loop {
            let frame = self.next_frame().await.unwrap();
            if frame.command == Command::Receipt {
                return messages;
            }
            let text = record.see(&frame);
            messages.push((frame, text));
        }
    }
}

/// Consumes with random settings, refuses some messages, and breaks its connection again and again.
async fn unreliable_consumer(broker: Broker, mut random: Rng, total: usize, record: Arc<Record>) {
    while record.acknowledged.lock().unwrap().len() < total {
        let mut client = connect(&broker).await;
        let mode = if random.bool() {
            "client"
        } else {
            "client-individual"
        };
        let prefetch = random.u8(1..=20).to_string();
        let frame =
            subscribe_with_ack("0", "/queue/q", mode).with_header("prefetch-count", &prefetch);
        let mut unacknowledged = client.send_and_await_receipt(frame, &record).await;
        for _ in 0..random.u8(..60) {
            let Ok(frame) = timeout(Duration::from_millis(20), client.next_frame()).await else {
                break;
            };
            let message = frame.unwrap();
            let text = record.see(&message);
            unacknowledged.push((message, text));
            Pauses::Yields.pause(&mut random).await;
            if random.u8(..3) > 0 {
                continue;
            }
            let (message, text) = unacknowledged.pop().unwrap();
            // In mode `client`, an ACK also acknowledges all earlier messages.
            let earlier = if mode == "client" {
                std::mem::take(&mut unacknowledged)
            } else {
                Vec::new()
            };
            if random.u8(..4) == 0 {
                client.nack(&message).await;
                continue;
            }
            unacknowledged.extend(client.send_and_await_receipt(ack(&message), &record).await);
            let texts = earlier.into_iter().map(|(_, text)| text).chain([text]);
            record.acknowledged.lock().unwrap().extend(texts);
        }
        if random.u8(..4) == 0 {
            client.send(unsubscribe("0")).await;
        }
        client.break_connection().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_queue_with_failing_consumers_loses_no_message() {
    const PRODUCERS: usize = 4;
    let (each, (mut config, _)) = (usual_or_soak(200, 20_000), unbounded());
    config.queues.max_delivery_attempts = u32::MAX;
    let broker = broker_with(config);
    let record = Arc::new(Record::default());
    let producers = (0..PRODUCERS).map(|number| {
        let broker = broker.clone();
        tokio::spawn(async move {
            let mut client = connect(&broker).await;
            for sequence in 0..each {
                client
                    .publish("/queue/q", &format!("{number} {sequence}"))
                    .await;
            }
        })
    });
    let producers: Vec<_> = producers.collect();
    let mut random = seeded(300);
    let consumers = (0..6).map(|_| {
        tokio::spawn(unreliable_consumer(
            broker.clone(),
            random.fork(),
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
    let statistics = statistics_of(&broker);
    assert_eq!(statistics.delivered, (PRODUCERS * each) as u64);
    let queue = &statistics.destinations[0];
    assert_eq!((queue.waiting, queue.unacknowledged), (0, 0));
}
