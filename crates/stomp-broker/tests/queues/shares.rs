//! Shares of clients in the names and the bytes of all queues.

use super::support::{broker_with, connect, connect_as};
use stomp_broker::{
    Address, Broker, Config, Engine, Memory, MemoryConfig, Publication, QueueSettings,
    SubscribeRequest,
};
use stomp_frame::Headers;
use stomp_session::{BoxError, ClientError, Message, MessageStream, Principal};
use stomp_testing::frames::{send, subscribe};

/// A broker with the default limits, and its engine.
fn default_broker() -> (Broker, Memory) {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let broker = Broker::with_engine(Config::default(), engine.clone()).unwrap();
    (broker, engine)
}

async fn subscribe_as(engine: &Memory, name: &str, queue: &str) -> Result<MessageStream, BoxError> {
    let request = SubscribeRequest::new(Address::queue(queue));
    let principal = Some(Principal::new(name));
    engine.subscribe(request.principal(principal)).await
}

async fn publish_as(
    engine: &Memory,
    name: &str,
    queue: &str,
    body: &bytes::Bytes,
) -> Result<(), BoxError> {
    let message = Message::from_parts(Headers::new(), body.clone());
    let publication = Publication::new(message).principal(Some(Principal::new(name)));
    engine.publish(&Address::queue(queue), publication).await
}

fn code(error: &BoxError) -> Option<&str> {
    error.downcast_ref::<ClientError>().map(ClientError::code)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_uses_all_names_stops_nobody_else() {
    let (broker, engine) = default_broker();
    let mut streams = Vec::new();
    let mut refused = 0;
    for number in 0..66_000 {
        match subscribe_as(&engine, "hog", &number.to_string()).await {
            Ok(stream) => streams.push(stream),
            Err(error) => {
                assert_eq!(code(&error), Some("too-many-destinations"));
                refused += 1;
            }
        }
    }
    assert_eq!(streams.len(), 65_536, "a single client gets all names");
    assert_eq!(refused, 66_000 - 65_536);
    streams.push(subscribe_as(&engine, "other", "new").await.unwrap());
    let body = bytes::Bytes::from_static(b"1");
    for queue in ["new", "newer", "0"] {
        publish_as(&engine, "other", queue, &body).await.unwrap();
    }
    broker.publish("/queue/of-the-app", "1").await.unwrap();
    let settings = QueueSettings::default();
    broker.declare("/queue/declared", settings).await.unwrap();
    assert!(subscribe_as(&engine, "hog", "more").await.is_err());
    streams.truncate(10);
    assert!(subscribe_as(&engine, "hog", "more").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fills_all_queues_stops_nobody_else() {
    let (broker, engine) = default_broker();
    let junk = bytes::Bytes::from(vec![0; 1 << 20]);
    let mut accepted = 0;
    for number in 0..300 {
        let queue = format!("junk.{}", number / 10);
        match publish_as(&engine, "hog", &queue, &junk).await {
            Ok(()) => accepted += 1,
            Err(error) => assert_eq!(code(&error), Some("queue-full")),
        }
    }
    assert_eq!(accepted, 255, "a single client gets the whole");
    for number in 0..40 {
        let queue = format!("good.{}", number / 10);
        publish_as(&engine, "other", &queue, &junk).await.unwrap();
    }
    broker.publish("/queue/of-the-app", "1").await.unwrap();
    assert!(publish_as(&engine, "hog", "more", &junk).await.is_err());
    for number in 0..26 {
        broker.purge(format!("/queue/junk.{number}")).await.unwrap();
    }
    publish_as(&engine, "hog", "more", &junk).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_largest_of_several_clients_is_refused_first() {
    let mut config = MemoryConfig::default();
    (config.max_destinations, config.max_total_queue_bytes) = (8, 8_000);
    let broker = broker_with(config);
    let mut hog = connect_as(&broker, "hog").await;
    let mut hog_too = connect_as(&broker, "hog").await;
    let mut other = connect_as(&broker, "other").await;
    let body = "x".repeat(1_000 - 128);
    other.publish("/queue/0", &body).await;
    for number in 1..6 {
        hog.publish(&format!("/queue/{number}"), &body).await;
    }
    // Three quarters are in use.
    let error = hog_too
        .expect_refusal(send("/queue/0", &body), "queue-full")
        .await;
    assert_eq!(
        String::from_utf8_lossy(&error.body),
        "All queues together hold 6000 bytes of clients, and the limit is 8000 (max_total_queue_bytes). This client has \
         sent 5000 of them, and no other clearly more."
    );
    let error = hog_too
        .expect_refusal(subscribe("0", "/queue/6"), "too-many-destinations")
        .await;
    assert_eq!(
        String::from_utf8_lossy(&error.body),
        "Clients have created 6 queues, and the limit is 8 (max_destinations). This client has created 5 of them, and \
         no other clearly more."
    );
    for number in 6..9 {
        other.publish(&format!("/queue/{number}"), &body).await;
    }
    hog.consume("1", "/queue/1").await;
    let message = hog.expect_message(&body).await;
    hog.ack(&message).await;
}

#[tokio::test(start_paused = true)]
async fn a_declared_queue_no_longer_counts_for_the_client_that_created_it() {
    let mut config = MemoryConfig::default();
    config.max_destinations = 1;
    let broker = broker_with(config);
    let mut client = connect(&broker).await;
    client.subscribe("0", "/queue/a").await;
    client
        .expect_refusal(subscribe("1", "/queue/b"), "too-many-destinations")
        .await;
    let settings = QueueSettings::default();
    broker.declare("/queue/a", settings.clone()).await.unwrap();
    let error = broker.declare("/queue/c", settings).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "too-many-destinations: The broker already has 1 queues, its limit (max_destinations)."
    );
    assert_eq!(broker.delete("/queue/a").await.unwrap(), 0);
    client.subscribe("2", "/queue/b").await;
}
