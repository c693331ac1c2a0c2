//! Messages between clients, through handlers and topics.

use crate::{connect, serve, shop, sink};
use std::net::SocketAddr;
use stomp_testing::frames::{send, subscribe, unsubscribe};
use tokio::sync::mpsc;
use webstomp::{App, BoxError, IntoSubscribeResponse, Observe, State, Topic, frame::Command};

#[tokio::test]
async fn the_receipt_is_sent_after_the_handler() {
    async fn note(State(texts): State<mpsc::UnboundedSender<String>>, text: String) {
        texts.send(text).unwrap();
    }
    let (sender, mut texts) = mpsc::unbounded_channel();
    let address = serve(App::new().send("/notes", note).with_state(sender)).await;
    let mut client = connect(address).await;
    client.receipt(send("/notes", "h\u{e9}")).await;
    assert_eq!(texts.try_recv().unwrap(), "h\u{e9}");
}

#[tokio::test]
async fn subscribers_get_what_another_client_publishes() {
    check_prices(serve(shop()).await).await;
}

/// Checks that one client of the shop gets the prices that another sends, until it unsubscribes.
pub(crate) async fn check_prices(address: SocketAddr) {
    let (mut watcher, mut shopkeeper) = (connect(address).await, connect(address).await);
    watcher.receipt(subscribe("p", "/prices")).await;
    for price in ["12.5", "13.5"] {
        shopkeeper.receipt(send("/prices/tea", price)).await;
    }
    for price in ["12.5", "13.5"] {
        let message = watcher.expect_message_for("p", price).await;
        let header = |name| message.headers.get(name);
        assert_eq!(header("destination"), Some("/prices"));
        assert_eq!(header("content-type"), Some("application/json"));
    }
    watcher.receipt(unsubscribe("p")).await;
    shopkeeper.receipt(send("/prices/tea", "14.5")).await;
    watcher.receipt(send("/sink", "")).await;
}

/// Uses several threads, and more subscribers than a topic serves without a pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_subscribers_get_all_messages_in_the_same_order() {
    const CLIENTS: usize = 100;
    async fn join(State(room): State<Topic<String>>) -> impl IntoSubscribeResponse {
        Observe(room.subscribe())
    }
    async fn say(State(room): State<Topic<String>>, text: String) -> Result<(), BoxError> {
        room.publish(text)
    }
    let app = App::new().subscribe("/room", join).send("/room", say);
    let address = serve(app.with_state(Topic::new())).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = connect(address).await;
        client.receipt(subscribe("0", "/room")).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.send(send("/room", "hello")).await;
    }
    let mut received = Vec::new();
    for client in &mut clients {
        let mut ids = Vec::new();
        for _ in 0..CLIENTS {
            let message = client.expect(Command::Message).await;
            ids.push(message.headers.get("message-id").unwrap().to_owned());
        }
        received.push(ids);
    }
    let mut ids = received.pop().unwrap();
    assert!(received.iter().all(|others| *others == ids), "{received:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), CLIENTS, "every message arrives once");
}

#[tokio::test]
async fn an_unknown_destination_does_not_end_the_session() {
    let mut client = connect(serve(App::new().send("/sink", sink)).await).await;
    for frame in [send("/nowhere", ""), subscribe("0", "/nowhere")] {
        client.expect_refusal(frame, "not-found").await;
    }
    client.receipt(send("/sink", "")).await;
}
