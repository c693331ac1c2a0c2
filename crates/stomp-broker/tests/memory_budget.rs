//! The memory of a broker whose subscribers do not read, counted by the allocator.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;
use stomp_broker::{Broker, MemoryConfig};
use stomp_frame::Command;
use stomp_session::{BacklogConfig, MemoryBudget, Overflow};
use stomp_testing::{frames, usual_or_soak};
use support::{Client, broker_with, connect, statistics_of};
use tokio::time::Instant;

const BUDGET: usize = 4 << 20;
const TOPICS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(2);
const MESSAGES_OF_A_BURST: usize = 16;
const BODY: usize = 4 << 10;

/// Bursts of each publisher. Without the budget, one stuck subscriber of each topic would keep all their messages.
fn bursts() -> usize {
    usual_or_soak(192, 1_920)
}

async fn subscriber(broker: &Broker, topic: &str) -> Client {
    let mut client = connect(broker).await;
    client.subscribe("0", topic).await;
    client
}

async fn publish_bursts(mut client: Client, topic: String) {
    let body = "x".repeat(BODY);
    let burst: Vec<_> = (1..MESSAGES_OF_A_BURST)
        .map(|_| frames::send(&topic, &body))
        .collect();
    for _ in 0..bursts() {
        client.send_together(&burst).await;
        client.publish(&topic, &body).await;
    }
}

async fn read_everything(mut client: Client) {
    for _ in 0..bursts() * MESSAGES_OF_A_BURST {
        let message = client.expect(Command::Message).await;
        assert_eq!(message.body.len(), BODY);
        assert_eq!(message.headers.get("dropped-messages"), None);
    }
}

/// Bytes that are live at most while all publishers publish.
fn peak(overflow: Overflow, budget: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let memory = MemoryConfig::default()
        .memory_budget(MemoryBudget::new(budget))
        .backlog(BacklogConfig::default().overflow(overflow));
    let broker = broker_with(memory);
    let measured = allocation_counter::measure(|| {
        runtime.block_on(async {
            let (mut stuck, mut tasks) = (Vec::new(), Vec::new());
            for number in 0..TOPICS {
                let topic = format!("/topic/{number}");
                stuck.push(subscriber(&broker, &topic).await);
                let healthy = subscriber(&broker, &topic).await;
                tasks.push(tokio::spawn(read_everything(healthy)));
                tasks.push(tokio::spawn(publish_bursts(connect(&broker).await, topic)));
            }
            let start = Instant::now();
            for task in tasks {
                task.await.unwrap();
            }
            if budget < usize::MAX {
                assert!(start.elapsed() <= PATIENCE + Duration::from_millis(100));
                check_stuck(&broker, overflow);
            }
        });
        drop(broker);
        drop(runtime);
    });
    measured.bytes_max.try_into().unwrap()
}

fn check_stuck(broker: &Broker, overflow: Overflow) {
    let statistics = statistics_of(broker);
    let subscribers: usize = statistics
        .destinations
        .iter()
        .map(|it| it.subscribers)
        .sum();
    let used = broker.memory_budget().unwrap().used();
    if overflow == Overflow::DropOldest {
        assert_eq!(subscribers, TOPICS, "all stay");
        assert!(used <= BUDGET, "{used}");
    } else {
        assert_eq!((subscribers, used), (0, 0), "all are disconnected");
    }
}

#[test]
fn stuck_subscribers_of_many_topics_cost_little_more_memory_than_the_budget() {
    const ALLOWED: usize = BUDGET + (16 << 20);
    for overflow in [
        Overflow::Disconnect,
        Overflow::Wait(PATIENCE),
        Overflow::DropOldest,
    ] {
        let peak = peak(overflow, BUDGET);
        println!("{overflow:?}: {peak} bytes");
        assert!(peak <= ALLOWED, "{overflow:?}: {peak} bytes");
    }
    let unlimited = peak(Overflow::Disconnect, usize::MAX);
    println!("without a budget: {unlimited} bytes");
    assert!(
        unlimited > 2 * ALLOWED,
        "without a budget: {unlimited} bytes"
    );
}
