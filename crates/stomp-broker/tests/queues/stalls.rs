//! Consumers that stop polling, and the delay that they cause for others.

use super::support::{broker_with, connect, statistics_of};
use futures_util::StreamExt;
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use stomp_broker::{Address, Engine, Memory, MemoryConfig, Publication, SubscribeRequest};
use stomp_frame::{Command, Frame};
use stomp_session::{BacklogConfig, Message, MessageStream, Request, SessionId, Settlement};
use stomp_testing::frames::ack;
use tokio::{sync::Semaphore, time::Instant};

/// The longest delay that stalled consumers may cause.
const PATIENCE: Duration = Duration::from_millis(2_500);

fn queue() -> Address {
    Address::queue("q")
}

fn new_session() -> SessionId {
    Request::new(Frame::new(Command::Subscribe)).session().id()
}

async fn consumer(engine: &Memory, session: Option<SessionId>) -> MessageStream {
    let request = SubscribeRequest::new(queue()).session(session);
    engine.subscribe(request).await.unwrap()
}

/// Polls streams once, so that they wait for a message.
fn poll_once(streams: &mut [MessageStream]) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let polls = streams
        .iter_mut()
        .map(|stream| stream.poll_next_unpin(&mut cx));
    polls
        .map(|poll| match poll {
            Poll::Ready(item) => item.unwrap().unwrap().settle(Settlement::Acked),
            Poll::Pending => (),
        })
        .count()
}

async fn publish(engine: &Memory, count: usize) {
    for number in 0..count {
        let publication = Publication::new(Message::new(number.to_string()));
        engine.publish(&queue(), publication).await.unwrap();
    }
}

/// Spawns a consumer that acknowledges all messages, and counts them in a semaphore.
async fn spawn_healthy(engine: &Memory, session: SessionId) -> Arc<Semaphore> {
    let received = Arc::new(Semaphore::new(0));
    let mut stream = consumer(engine, Some(session)).await;
    let counter = Arc::clone(&received);
    tokio::spawn(async move {
        while let Some(Ok(delivery)) = stream.next().await {
            delivery.settle(Settlement::Acked);
            counter.add_permits(1);
        }
    });
    tokio::task::yield_now().await;
    received
}

async fn check_bursts(sessions: usize, polls_again: bool) {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let mut stalled = Vec::new();
    for _ in 0..sessions {
        let session = new_session();
        for _ in 0..250 / sessions {
            stalled.push(consumer(&engine, Some(session)).await);
        }
    }
    poll_once(&mut stalled);
    let received = spawn_healthy(&engine, new_session()).await;
    for burst in 0..10 {
        let start = Instant::now();
        publish(&engine, 100).await;
        received.acquire_many(100).await.unwrap().forget();
        let elapsed = start.elapsed();
        assert!(elapsed <= PATIENCE, "burst {burst} took {elapsed:?}");
        if polls_again {
            poll_once(&mut stalled);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_stalled_subscriptions_of_one_session_delay_a_queue_once() {
    check_bursts(1, false).await;
}

#[tokio::test(start_paused = true)]
async fn stalled_subscriptions_of_several_sessions_delay_a_queue_once() {
    check_bursts(5, false).await;
}

#[tokio::test(start_paused = true)]
async fn consumers_that_stall_again_and_again_delay_each_burst_once() {
    check_bursts(1, true).await;
    check_bursts(5, true).await;
    check_bursts(250, true).await;
}

#[tokio::test(start_paused = true)]
async fn consumers_that_never_polled_delay_a_queue_once() {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let received = spawn_healthy(&engine, new_session()).await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        stalled.push(consumer(&engine, None).await);
    }
    let start = Instant::now();
    publish(&engine, 100).await;
    received.acquire_many(100).await.unwrap().forget();
    assert!(start.elapsed() <= PATIENCE, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_session_with_many_subscriptions_takes_one_turn_with_all_of_them() {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let (many, one) = (new_session(), new_session());
    let mut taken = Vec::new();
    for session in [many, many, many, one] {
        taken.push(spawn_healthy(&engine, session).await);
    }
    for _ in 0..30 {
        publish(&engine, 2).await;
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }
    let taken: Vec<_> = taken.iter().map(|it| it.available_permits()).collect();
    assert_eq!(taken, [10, 10, 10, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_peer_reads_nothing_delays_a_queue_once() {
    let mailbox = BacklogConfig::default().max_bytes(16 << 20);
    let broker = broker_with(MemoryConfig::default().backlog(mailbox));
    let mut stalled = connect(&broker).await;
    stalled.subscribe("topic", "/topic/busy").await;
    for number in 0..250 {
        stalled.consume(&number.to_string(), "/queue/q").await;
    }
    let mut healthy = connect(&broker).await;
    healthy.consume("0", "/queue/q").await;
    // From now on, the stalled peer reads nothing. The session stops polling when its output is full.
    for _ in 0..40 {
        let large = "x".repeat(64 << 10);
        broker.publish("/topic/busy", large).await.unwrap();
        tokio::task::yield_now().await;
    }
    for round in 0..5 {
        let start = Instant::now();
        for number in 0..100 {
            broker
                .publish("/queue/q", number.to_string())
                .await
                .unwrap();
        }
        for _ in 0..100 {
            let message = healthy.expect(Command::Message).await;
            healthy.send(ack(&message)).await;
        }
        let elapsed = start.elapsed();
        assert!(elapsed <= PATIENCE, "round {round} took {elapsed:?}");
        let queue = statistics_of(&broker).destinations.pop().unwrap();
        assert_eq!(queue.subscribers, 251, "the stalled session exists");
    }
}
