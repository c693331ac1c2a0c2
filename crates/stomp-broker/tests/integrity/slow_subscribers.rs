//! Slow subscribers: no message is lost without a notice.

use super::{
    PUBLISHERS, SUBSCRIBERS, TOPICS,
    support::{Client, broker_with, connect},
};
use futures_util::future::join_all;
use std::{collections::HashMap, time::Duration};
use stomp_broker::{Broker, MemoryConfig};
use stomp_frame::Command;
use stomp_session::{BacklogConfig, Overflow};
use stomp_testing::{Rng, seeded, usual_or_soak};

/// A subscriber that sometimes stops reading. Checks the order, and returns the numbers of messages that it read and of
/// those that the broker reported as dropped.
async fn read_with_pauses(mut client: Client, mut random: Rng) -> (usize, usize) {
    let mut next = HashMap::new();
    let (mut read, mut dropped) = (0, 0);
    loop {
        let message = client.expect(Command::Message).await;
        let reported = message.headers.get("dropped-messages");
        dropped += reported.map_or(0, |count| count.parse::<usize>().unwrap());
        let text = std::str::from_utf8(&message.body)
            .unwrap()
            .trim_end()
            .to_owned();
        if text == "end" {
            return (read, dropped);
        }
        let (publisher, sequence) = text.split_once(' ').unwrap();
        let sequence: usize = sequence.parse().unwrap();
        let next = next.entry(publisher.to_owned()).or_insert(0);
        assert!(sequence >= *next, "{publisher} {sequence} after {next}");
        *next = sequence + 1;
        read += 1;
        if random.u16(..500) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(..2_000))).await;
        }
    }
}

async fn publish(broker: Broker, number: usize, messages: usize, mut random: Rng) {
    for sequence in 0..messages {
        let topic = random.usize(..TOPICS);
        let body = format!("{number} {sequence}{}", " ".repeat(500));
        broker
            .publish(format!("/topic/t.{topic}"), body)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_micros(random.u64(..500))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_dropped_message_is_reported_to_its_subscriber() {
    let messages = usual_or_soak(2_000, 100_000);
    let mut config = MemoryConfig::default();
    config.backlog = BacklogConfig::default()
        .max_messages(256)
        .overflow(Overflow::DropOldest);
    let broker = broker_with(config);
    let mut random = seeded(200);
    let mut readers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut client = connect(&broker).await;
        client.subscribe("0", "/topic/t.*").await;
        readers.push(tokio::spawn(read_with_pauses(client, random.fork())));
    }
    let publishers = (0..PUBLISHERS)
        .map(|number| tokio::spawn(publish(broker.clone(), number, messages, random.fork())));
    join_all(publishers)
        .await
        .into_iter()
        .for_each(Result::unwrap);
    // Drops are reported with the next message.
    broker.publish("/topic/t.0", "end").await.unwrap();
    let mut all_dropped = 0;
    for (read, dropped) in join_all(readers).await.into_iter().map(Result::unwrap) {
        assert_eq!(
            read + dropped,
            PUBLISHERS * messages,
            "{read} read, {dropped} dropped"
        );
        all_dropped += dropped;
    }
    println!("{all_dropped} dropped");
    assert!(all_dropped > messages / 10, "{all_dropped}");
}

#[tokio::test(start_paused = true)]
async fn by_default_a_slow_subscriber_misses_nothing_until_it_is_disconnected() {
    let backlog = BacklogConfig::default().max_messages(256);
    let broker = broker_with(MemoryConfig::default().backlog(backlog));
    let (mut slow, mut quick) = (connect(&broker).await, connect(&broker).await);
    slow.subscribe("0", "/topic/>").await;
    quick.subscribe("0", "/topic/>").await;
    for sequence in 0..2_000 {
        let body = format!("{sequence}{}", " ".repeat(1_000));
        broker.publish("/topic/t", body.clone()).await.unwrap();
        quick.expect_message(&body).await;
    }
    let mut next = 0;
    let end = loop {
        let frame = slow.next_frame().await.unwrap();
        if frame.command != Command::Message {
            break frame;
        }
        assert_eq!(
            std::str::from_utf8(&frame.body).unwrap().trim_end(),
            next.to_string()
        );
        next += 1;
    };
    assert_eq!(
        (end.command, end.headers.get("message")),
        (Command::Error, Some("slow-consumer"))
    );
    assert!(next > 256 && next < 2_000, "{next}");
}
