//! Private destinations: `/user` of a principal, and `/temp-queue` of a session.

mod support;

use stomp_broker::{Broker, Config};
use stomp_frame::Frame;
use stomp_session::{Destination, Principal};
use stomp_testing::frames::{send, subscribe, unsubscribe};
use support::{Client, connect, connect_as, open, statistics_of};

#[tokio::test(start_paused = true)]
async fn all_sessions_of_a_principal_get_its_messages() {
    let broker = Broker::new(open()).unwrap();
    let mut anns = [
        connect_as(&broker, "ann").await,
        connect_as(&broker, "ann").await,
    ];
    let mut bob = connect_as(&broker, "bob").await;
    for client in anns.iter_mut().chain([&mut bob]) {
        client.subscribe("0", "/user/queue/news").await;
        client.subscribe("1", "/user/queue/*").await;
    }
    broker
        .send_to_user(&Principal::new("ann"), "/queue/news", "1")
        .await
        .unwrap();
    for client in &mut anns {
        for _ in 0..2 {
            let message = client.expect_message("1").await;
            assert_eq!(message.headers.get("destination"), Some("/user/queue/news"));
        }
        client.expect_nothing().await;
    }
    bob.expect_nothing().await;
    bob.send(send("/user/queue/news", "to myself")).await;
    for _ in 0..2 {
        bob.expect_message("to myself").await;
    }
    anns[0].expect_nothing().await;
    let parsed = Destination::from_segments("queue", ["news"]).unwrap();
    broker
        .send_to_user(&Principal::new("bob"), &parsed, "parsed")
        .await
        .unwrap();
    for _ in 0..2 {
        bob.expect_message("parsed").await;
    }
    broker
        .send_to_user(
            &Principal::new("nobody"),
            "/queue/news",
            "sending to nobody is no error",
        )
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_client_can_read_or_write_destinations_of_another_principal() {
    let broker = Broker::new(open()).unwrap();
    let mut eve = connect_as(&broker, "eve").await;
    for (id, destination) in [
        "/topic/user/ann/queue/news",
        "/user/ann/queue/news",
        "/topic/>",
        "/user/>",
        "/user/*/queue/news",
        "/topic/*/*/>",
    ]
    .iter()
    .enumerate()
    {
        eve.subscribe(&id.to_string(), destination).await;
    }
    let mut queues = 0;
    for destination in [
        "/queue/user/ann/queue/news",
        "/queue/ann/queue/news",
        "/queue/news",
    ] {
        queues += 1;
        eve.consume(&format!("q{queues}"), destination).await;
    }
    broker
        .send_to_user(&Principal::new("ann"), "/queue/news", "1")
        .await
        .unwrap();
    eve.expect_nothing().await;
    let mut ann = connect_as(&broker, "ann").await;
    ann.subscribe("0", "/user/>").await;
    for destination in [
        "/topic/user/ann/queue/news",
        "/user/ann/queue/news",
        "/user/queue/news",
    ] {
        eve.send(send(destination, "forged")).await;
    }
    ann.expect_nothing().await;
}

/// A name is neither a pattern nor split into segments.
#[tokio::test(start_paused = true)]
async fn a_principal_may_have_any_name() {
    let broker = Broker::new(open()).unwrap();
    let names = ["*", ">", "#", "a.b", "a/b", "a", ""];
    let mut clients = Vec::new();
    for name in names {
        let mut client = connect_as(&broker, name).await;
        client.subscribe("0", "/user/x").await;
        clients.push(client);
    }
    for name in names {
        broker
            .send_to_user(&Principal::new(name), "x", name)
            .await
            .unwrap();
    }
    for (client, name) in clients.iter_mut().zip(names) {
        client.expect_message(name).await;
        client.expect_nothing().await;
    }
}

/// Subscribes to replies and sends a request. Returns the request as the service gets it.
async fn request_reply(client: &mut Client, service: &mut Client) -> Frame {
    client.consume("replies", "/temp-queue/replies").await;
    client
        .receipt(send("/queue/service", "?").with_header("reply-to", "/temp-queue/replies"))
        .await;
    let request = service.expect_message("?").await;
    service.ack(&request).await;
    request
}

#[tokio::test(start_paused = true)]
async fn a_reply_reaches_the_session_that_sent_the_request() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut bob, mut service) = (
        connect(&broker).await,
        connect(&broker).await,
        connect(&broker).await,
    );
    service.consume("0", "/queue/service").await;
    let request_of_ann = request_reply(&mut ann, &mut service).await;
    let request_of_bob = request_reply(&mut bob, &mut service).await;
    let [to_ann, to_bob] =
        [&request_of_ann, &request_of_bob].map(|it| it.headers.get("reply-to").unwrap());
    assert_ne!(to_ann, to_bob);
    service.publish(to_ann, "ann").await;
    service.publish(to_bob, "bob").await;
    let reply = ann.expect_message("ann").await;
    assert_eq!(
        reply.headers.get("destination"),
        Some("/temp-queue/replies")
    );
    bob.expect_message("bob").await;
    // A temporary queue has acknowledgments like any queue.
    ann.nack(&reply).await;
    let reply = ann.expect_message("ann").await;
    assert_eq!(reply.headers.get("redelivered"), Some("true"));
    ann.ack(&reply).await;
    broker
        .publish(to_ann, "from the application")
        .await
        .unwrap();
    ann.expect_message("from the application").await;
    ann.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn all_spellings_of_a_temporary_queue_are_the_same_queue() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut service) = (connect(&broker).await, connect(&broker).await);
    service.consume("0", "/queue/service").await;
    ann.subscribe("0", "/temp-queue/replies.1").await;
    let request = |reply_to: &str| send("/queue/service", "?").with_header("reply-to", reply_to);
    ann.receipt(request("/temp-queue/replies/1")).await;
    ann.expect_refusal(request("/temp-queue/replies..1"), "bad-destination")
        .await;
    let request = service.expect_message("?").await;
    let to_ann = request.headers.get("reply-to").unwrap();
    service.publish(to_ann, "!").await;
    let reply = ann.expect_message("!").await;
    assert_eq!(
        reply.headers.get("destination"),
        Some("/temp-queue/replies.1")
    );
    ann.publish("/temp-queue/replies/1", "to myself").await;
    ann.expect_message("to myself").await;
    assert_eq!(statistics_of(&broker).temporary_queues, 1);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_queue_belongs_to_its_session_and_ends_with_it() {
    let broker = Broker::new(open()).unwrap();
    let (mut ann, mut eve, mut service) = (
        connect(&broker).await,
        connect(&broker).await,
        connect(&broker).await,
    );
    service.consume("0", "/queue/service").await;
    let request = request_reply(&mut ann, &mut service).await;
    let to_ann = request.headers.get("reply-to").unwrap();
    eve.consume("0", "/temp-queue/replies").await;
    eve.consume("1", to_ann).await;
    eve.consume("2", &to_ann.replace("/temp-queue/", "/queue/"))
        .await;
    service.publish(to_ann, "1").await;
    ann.expect_message("1").await;
    eve.expect_nothing().await;
    assert_eq!(statistics_of(&broker).temporary_queues, 3);
    ann.break_connection().await;
    assert_eq!(statistics_of(&broker).temporary_queues, 2);
    // The service gets no error, since it is not at fault.
    service.publish(to_ann, "after the session has ended").await;
    service
        .publish(
            "/temp-queue/00112233445566778899aabbccddeeff",
            "to an invented name",
        )
        .await;
    assert_eq!(statistics_of(&broker).temporary_queues, 2);
    assert_eq!(statistics_of(&broker).dropped, 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_the_name_of_a_reply_may_send_to_it_without_permission() {
    let broker = Broker::new(Config::default()).unwrap();
    let (mut ann, mut service) = (connect(&broker).await, connect(&broker).await);
    ann.subscribe("0", "/temp-queue/replies").await;
    ann.expect_refusal(send("/temp-queue/replies", "1"), "forbidden")
        .await;
    // Another broker creates the name, since clients of the first may not send.
    let mut open = open();
    open.max_temporary_queues = 2;
    let other = Broker::new(open).unwrap();
    let mut requests = other.subscribe("/topic/requests").await.unwrap();
    let mut ann = connect(&other).await;
    ann.consume("0", "/temp-queue/replies").await;
    ann.receipt(send("/topic/requests", "?").with_header("reply-to", "/temp-queue/replies"))
        .await;
    let request = futures_util::StreamExt::next(&mut requests)
        .await
        .unwrap()
        .unwrap();
    let to_ann = request.headers().get("reply-to").unwrap();
    service
        .publish(to_ann, "the first broker does not know the name")
        .await;
    ann.expect_nothing().await;
    ann.subscribe("1", "/temp-queue/more").await;
    ann.expect_refusal(
        subscribe("2", "/temp-queue/too-many"),
        "too-many-destinations",
    )
    .await;
    let too_many = send("/topic/requests", "?").with_header("reply-to", "/temp-queue/too-many");
    ann.expect_refusal(too_many, "too-many-destinations").await;
    ann.receipt(unsubscribe("1")).await;
}
