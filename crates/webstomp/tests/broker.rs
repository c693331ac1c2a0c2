//! A broker among the routes of an app.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use stomp_testing::frames::{ack, send, subscribe, subscribe_with_ack, unsubscribe};
use support::Server;
use webstomp::{
    App, BoxError, Path, Principal, State,
    broker::{Allow, Broker, Config},
    frame::Headers,
};

async fn log_in(headers: Headers) -> Principal {
    Principal::new(headers.get("login").unwrap_or_default())
}

async fn say(
    State(broker): State<Broker>,
    Path(room): Path<String>,
    principal: Principal,
) -> Result<(), BoxError> {
    let destination = format!("/topic/rooms/{room}");
    broker
        .publish(&destination, format!("{principal} is here"))
        .await
}

/// A broker to which clients may send only under `/queue/`, and a route that publishes for them.
fn server() -> (Broker, Server) {
    let queues = Allow::when(|request| request.destination().canonical().starts_with("/queue/"));
    let broker = Broker::new(Config::default().send(queues)).unwrap();
    let app = App::new()
        .connect(log_in)
        .broker(&broker)
        .send("/topic/rooms/{room}", say);
    (broker.clone(), Server::new(app.with_state(broker)))
}

#[tokio::test(start_paused = true)]
async fn a_route_of_the_app_takes_precedence_over_the_broker() {
    let (_, server) = server();
    let (mut ann, mut bob) = (server.client_as("ann").await, server.client_as("bob").await);
    ann.receipt(subscribe("0", "/topic/rooms.*")).await;
    bob.receipt(send("/topic/rooms/lobby", "")).await;
    let message = ann.expect_message("bob is here").await;
    assert_eq!(
        message.headers.get("destination"),
        Some("/topic/rooms/lobby")
    );
    bob.expect_refusal(send("/topic/news", "mine"), "forbidden")
        .await;
    ann.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_app_sends_to_a_user_that_is_subscribed() {
    let (broker, server) = server();
    let (mut ann, mut bob) = (server.client_as("ann").await, server.client_as("bob").await);
    let principal = Principal::new("bob");
    let notify = |text: &'static str| broker.send_to_user(&principal, "/queue/notes", text);
    notify("before the subscription").await.unwrap();
    ann.receipt(subscribe("1", "/user/queue/notes")).await;
    bob.receipt(subscribe("1", "/user/queue/notes")).await;
    bob.expect_nothing().await;
    notify("after the subscription").await.unwrap();
    bob.expect_message("after the subscription").await;
    ann.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_message_is_redelivered_to_another_consumer() {
    let (_, server) = server();
    let (mut ann, mut bob) = (server.client_as("ann").await, server.client_as("bob").await);
    ann.receipt(subscribe_with_ack("0", "/queue/jobs", "client"))
        .await;
    bob.receipt(send("/queue/jobs", "dig")).await;
    ann.expect_message("dig").await;
    bob.receipt(subscribe_with_ack("0", "/queue/jobs", "client"))
        .await;
    ann.receipt(unsubscribe("0")).await;
    let again = bob.expect_message("dig").await;
    assert_eq!(again.headers.get("redelivered"), Some("true"));
    bob.receipt(ack(&again)).await;
    ann.receipt(subscribe("0", "/queue/jobs")).await;
    ann.expect_nothing().await;
}
