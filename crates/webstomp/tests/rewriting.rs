//! Requests that a layer or a handler changes before it passes them on, and messages that a layer changes on their way to
//! a subscription.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::StreamExt;
use stomp_testing::frames::{ack, send, subscribe, subscribe_with_ack};
use support::Server;
use tower::ServiceExt;
use webstomp::{
    App, BoxError, ClientError, IntoSubscribeResponse, Json, Path, Principal, Request, Response,
    Router, State,
    broker::{Broker, Config, Rules, Who},
    broker_routes,
    frame::{Command, Headers},
    middleware::{Next, from_fn},
};

async fn log_in(headers: Headers) -> Principal {
    Principal::new(headers.get("login").unwrap_or_default())
}

fn broker() -> Broker {
    let rules = Rules::new().send_and_subscribe("/topic/>", Who::Authenticated);
    let rules = rules.send_and_subscribe("/queue/>", Who::Authenticated);
    Broker::new(Config::default().rules(rules)).unwrap()
}

/// Validates orders, names their sender, and moves them to the topic of their country.
async fn sort_orders(mut request: Request, next: Next) -> Result<Response, BoxError> {
    if request.command() != Command::Send || request.destination().as_str() != "/topic/orders" {
        return next.run(request).await;
    }
    let invalid = || ClientError::new("bad-order", "An order is a pair: a country and a number.");
    let order: Result<(String, u32), _> = serde_json::from_slice(request.body());
    let (country, number) = order.map_err(|_| invalid())?;
    let sender = request.principal().map(ToString::to_string);
    request
        .headers_mut()
        .insert("sender", &sender.unwrap_or_default());
    let destination = request.parse_destination(format!("/topic/orders.{country}"))?;
    let request = request
        .with_destination(destination)
        .with_body(number.to_string());
    next.run(request).await
}

#[tokio::test(start_paused = true)]
async fn a_layer_validates_and_rewrites_a_request_before_the_broker_gets_it() {
    let orders = broker_routes(&broker()).layer(from_fn(sort_orders));
    let server = Server::new(App::new().connect(log_in).merge(orders));
    let (mut ann, mut bob) = (server.client_as("ann").await, server.client_as("bob").await);
    bob.receipt(subscribe("0", "/topic/orders.*")).await;
    let forged = send("/topic/orders", r#"["eu",7]"#).with_header("sender", "root");
    ann.receipt(forged).await;
    let order = bob.expect_message("7").await;
    assert_eq!(order.headers.get("sender"), Some("ann"));
    assert_eq!(order.headers.get("destination"), Some("/topic/orders.eu"));

    ann.expect_refusal(send("/topic/orders", "x"), "bad-order")
        .await;
    let empty = send("/topic/orders", r#"["",7]"#);
    ann.expect_refusal(empty, "bad-destination").await;
    bob.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_passes_a_request_to_the_broker_and_returns_its_response() {
    async fn post(
        State(broker): State<Broker>,
        Path(room): Path<String>,
        request: Request,
    ) -> Result<Response, BoxError> {
        let text = request.body().to_ascii_uppercase();
        let room = request.parse_destination(format!("/topic/{room}"))?;
        broker
            .oneshot(request.with_destination(room).with_body(text))
            .await
    }
    let broker = broker();
    let app = App::new()
        .connect(log_in)
        .broker(&broker)
        .send("/rooms/{room}", post)
        .subscribe("/rooms/{room}", post)
        .with_state(broker);
    let mut client = Server::new(app).client_as("ann").await;
    client.receipt(subscribe("0", "/rooms/blue")).await;
    client.receipt(subscribe("1", "/topic/blue")).await;
    client.send(send("/rooms/blue", "hello")).await;
    for _ in 0..2 {
        let message = client.expect(Command::Message).await;
        assert_eq!(message.body, "HELLO");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_changes_the_messages_of_a_queue_and_keeps_their_acknowledgment() {
    async fn shout(request: Request, next: Next) -> Result<Response, BoxError> {
        Ok(match next.run(request).await? {
            Response::Observe(stream) => Response::observe(stream.map(|delivery| {
                delivery.map(|delivery| {
                    delivery.map_message(|message| {
                        let body = message.body().to_ascii_uppercase();
                        message.with_body(body)
                    })
                })
            })),
            other => other,
        })
    }
    let broker = broker();
    let queues: Router = broker_routes(&broker).layer(from_fn(shout));
    let server = Server::new(App::new().connect(log_in).merge(queues));
    let mut client = server.client_as("ann").await;
    client
        .receipt(subscribe_with_ack("0", "/queue/a", "client"))
        .await;
    client.receipt(send("/queue/a", "job")).await;
    let message = client.expect_message("JOB").await;
    assert!(message.headers.get("ack").is_some());
    client.receipt(ack(&message)).await;
    let statistics = broker.statistics().await.unwrap();
    let unacknowledged = statistics.destinations.iter().map(|it| it.unacknowledged);
    assert_eq!(unacknowledged.sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_was_answered_with_one_message_stays_open() {
    async fn settings() -> Json<u8> {
        Json(1)
    }
    async fn change(session: webstomp::Session) -> Result<(), BoxError> {
        session.message("/settings", Json(2))
    }
    async fn none() -> impl IntoSubscribeResponse {}
    let app = App::new()
        .subscribe("/settings", settings)
        .subscribe("/none", none)
        .send("/settings", change);
    let mut client = Server::new(app).client().await;
    client.send(subscribe("0", "/settings")).await;
    client.expect_message_for("0", "1").await;
    client.send(send("/settings", "")).await;
    client.expect_message_for("0", "2").await;
}
