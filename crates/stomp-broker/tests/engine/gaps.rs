//! A subscription that misses messages is told, ends, or is closed.

use crate::{
    scripted::Scripted,
    support::{connect, open},
};
use futures_util::StreamExt;
use stomp_broker::{Broker, Capabilities, Memory, MemoryConfig, OnGap};
use stomp_session::{BacklogConfig, Gap, Overflow};
use stomp_testing::frames::subscribe;

fn broker(on_gap: OnGap, gap: Gap) -> Broker {
    let mut engine = Scripted::new(Capabilities::all());
    engine.gap = Some(gap);
    Broker::with_engine(open().on_gap(on_gap), engine).unwrap()
}

#[tokio::test(start_paused = true)]
async fn by_default_the_next_message_tells_of_a_gap() {
    for (gap, header, value) in [
        (Gap::Dropped(3), "dropped-messages", "3"),
        (Gap::Unknown, "gap", "unknown"),
    ] {
        let broker = broker(OnGap::Mark, gap);
        let mut client = connect(&broker).await;
        client.subscribe("0", "/topic/a").await;
        let message = client.expect_message("after the gap").await;
        assert_eq!(message.headers.get(header), Some(value));
        client.publish("/topic/a", "1").await;
        let message = client.expect_message("1").await;
        assert!(!message.headers.contains(header));
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_may_end_its_subscription_alone() {
    let broker = broker(OnGap::End, Gap::Unknown);
    let mut client = connect(&broker).await;
    client.subscribe("1", "/queue/a").await;
    let error = client.expect_error("gap").await;
    assert_eq!(error.headers.get("subscription"), Some("1"));
    assert_eq!(
        error.body,
        "An unknown number of messages may be missing, so the subscription has ended."
    );
    client.publish("/queue/b", "the session goes on").await;
    let mut stream = broker.subscribe("/topic/a").await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("gap: "), "{error}");
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_gap_may_close_its_session() {
    let mut client = connect(&broker(OnGap::Close, Gap::Dropped(1))).await;
    client.send(subscribe("0", "/topic/a")).await;
    let error = client.expect_error("gap").await;
    assert_eq!(
        error.body,
        "1 message is missing, so the subscription has ended."
    );
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_a_mailbox_drops_are_a_gap() {
    let mailbox = BacklogConfig::default()
        .max_messages(2)
        .overflow(Overflow::DropOldest);
    let engine = Memory::new(MemoryConfig::default().backlog(mailbox)).unwrap();
    let broker = Broker::with_engine(open().on_gap(OnGap::End), engine).unwrap();
    let mut stream = broker.subscribe("/topic/a").await.unwrap();
    for number in 0..5 {
        broker
            .publish("/topic/a", number.to_string())
            .await
            .unwrap();
    }
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "gap: 3 messages are missing, so the subscription has ended."
    );
}
