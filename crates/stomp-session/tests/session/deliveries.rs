//! Deliveries and mailboxes, and their settlement.

use crate::support::*;
use futures_util::{FutureExt, StreamExt, stream};
use std::{
    future::ready,
    sync::{Arc, Mutex},
};
use stomp_frame::Version;
use stomp_session::{
    BacklogConfig, BoxError, CloseCode, Config, Delivery, Gap, Mailbox, Message, MessageId,
    Request, Response, Session, Settlement,
};
use stomp_testing::{Client, soon};
use tokio::task::JoinHandle;
use tower::service_fn;

#[test]
fn a_delivery_can_be_settled_without_a_session() {
    let settled = Arc::new(Mutex::new(Vec::new()));
    let delivery = || {
        let settled = Arc::clone(&settled);
        Delivery::new(Message::new("7"))
            .on_settled(move |settlement| settled.lock().unwrap().push(settlement))
    };
    delivery().settle(Settlement::Nacked);
    let again = delivery().with_redelivered();
    assert!(again.is_redelivered() && !delivery().is_redelivered());
    again.settle(Settlement::Acked);
    assert_eq!(
        *settled.lock().unwrap(),
        [Settlement::Nacked, Settlement::Unsent, Settlement::Acked]
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_message_was_changed_keeps_its_id_gap_and_outcome() {
    const ID: u128 = 7;
    let settled = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&settled);
    let deliver = move |_: &str| {
        let log = Arc::clone(&log);
        let stored = Message::new("7")
            .with_header("unit", "kg")
            .with_id(ID.into());
        let delivery = Delivery::new(stored)
            .with_redelivered()
            .with_gap(Gap::Dropped(3))
            .on_settled(move |settlement| log.lock().unwrap().push(settlement))
            .map_message(|message| message.with_body("seven"));
        stream::iter([Ok(delivery)])
            .chain(stream::pending())
            .boxed()
    };
    let (_session, mut client, _) = start(Config::default(), streaming(deliver)).await;
    client.send(subscribe_with_ack("0", "/a", "client")).await;
    let message = client.expect(Command::Message).await;
    assert_eq!(message.body, "seven");
    let id = MessageId::from(ID).to_string();
    for (name, value) in [
        ("message-id", &*id),
        ("unit", "kg"),
        ("redelivered", "true"),
        ("dropped-messages", "3"),
    ] {
        assert_eq!(message.headers.get(name), Some(value), "{name}");
    }
    assert!(settled.lock().unwrap().is_empty());
    client.send(nack(&message)).await;
    client.receipt(send("/sink", "")).await;
    assert_eq!(*settled.lock().unwrap(), [Settlement::Nacked]);
}

/// Offers six deliveries to a client, which acknowledges the first `acks` and receives three more. Returns the
/// settlements after `end` has ended the session.
async fn settlements(
    acks: usize,
    end: impl AsyncFnOnce(Client, Session, JoinHandle<()>),
) -> Vec<(usize, Settlement)> {
    let settled = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&settled);
    let queue = streaming(move |_| {
        let log = Arc::clone(&log);
        stream::iter(0..6)
            .map(move |number| {
                let log = Arc::clone(&log);
                let delivery = Delivery::new(Message::new(number.to_string()));
                Ok(delivery.on_settled(move |settlement| {
                    log.lock().unwrap().push((number, settlement));
                }))
            })
            .boxed()
    });
    let (session, mut client, connection) = start(Config::default(), queue).await;
    let subscribe = subscribe_with_ack("0", "/queue", "client-individual");
    client
        .send(subscribe.with_header("prefetch-count", "3"))
        .await;
    for _ in 0..acks {
        let message = client.expect(Command::Message).await;
        client.request(ack(&message)).await;
        while client.next_frame().await.unwrap().command != Command::Receipt {}
    }
    tokio::task::yield_now().await;
    end(client, session, connection).await;
    let settled = settled.lock().unwrap();
    settled.clone()
}

#[tokio::test(start_paused = true)]
async fn each_delivery_is_settled_exactly_once_when_its_session_ends() {
    use Settlement::{Abandoned, Acked};
    let expected = [(0, Acked), (1, Abandoned), (2, Abandoned), (3, Abandoned)];
    let closed = settlements(1, async |client, session, connection| {
        session.close(CloseCode::Normal);
        drop(client);
        finished(connection).await;
    });
    assert_eq!(closed.await, expected, "the server closed the session");
    let lost = settlements(1, async |client, _, connection| {
        drop(client);
        finished(connection).await;
    });
    assert_eq!(lost.await, expected, "the client disappeared");
    let dropped = settlements(1, async |_client, _, connection| {
        connection.abort();
        assert!(connection.await.unwrap_err().is_cancelled());
    });
    assert_eq!(dropped.await, expected, "the connection was dropped");
}

#[tokio::test(start_paused = true)]
async fn the_stream_of_a_mailbox_ends_when_the_last_mailbox_handle_is_dropped() {
    let (mailbox, mut messages) = Mailbox::new(BacklogConfig::default());
    let other = mailbox.clone();
    let reader = tokio::spawn(async move {
        let first = messages.next().await.unwrap().unwrap();
        (first, messages.next().await.is_none())
    });
    drop(mailbox);
    settle().await;
    assert!(!reader.is_finished(), "there is another handle");
    assert!(other.push(&[Message::new("last words")]));
    drop(other);
    let (last, is_end) = soon(reader).await.unwrap();
    assert_eq!(last.body(), "last words");
    assert!(is_end);
}

/// A mailbox counts in the budget of a session that polls its stream. A settlement callback runs on the task of a
/// session, but does not poll for it.
#[tokio::test(start_paused = true)]
async fn a_mailbox_that_a_settlement_callback_reads_counts_in_no_budget() {
    let (mailbox, mut messages) = Mailbox::new(BacklogConfig::default());
    let back = Arc::new(Mutex::new(None));
    let given = Arc::clone(&back);
    let delivery = Delivery::new(Message::new("x")).on_settled(move |_| {
        assert!(messages.next().now_or_never().is_none());
        *given.lock().unwrap() = Some(messages);
    });
    let stream = Mutex::new(Some(
        stream::iter([Ok::<_, BoxError>(delivery)]).chain(stream::pending()),
    ));
    let mut config = Config::default();
    config.max_total_backlog_bytes = 2000;
    let service = service_fn(move |request: Request| {
        ready(Ok::<_, BoxError>(match request.command() {
            Command::Subscribe => Response::observe(stream.lock().unwrap().take().unwrap()),
            _ => Response::Done,
        }))
    });
    let (_session, mut client, _) = run(config, service);
    client.connect(Version::V1_2).await;
    client.send(subscribe("0", "/a")).await;
    client.expect(Command::Message).await;
    let mut messages = back.lock().unwrap().take().unwrap();
    for _ in 0..10 {
        mailbox.push(&[Message::new("x".repeat(1000))]);
    }
    for _ in 0..10 {
        let message = messages.next().now_or_never().expect("a message is ready");
        assert!(message.unwrap().is_ok());
    }
}
