//! A broker among an app's routes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use support::{Server, send, subscribe};
use webstomp::{
    App, BoxError, Path, Principal, State,
    broker::{Allow, Broker, Config},
    frame::{Command, Frame, Headers},
};

async fn log_in(headers: Headers) -> Principal {
    Principal::new(headers.get("login").unwrap_or_default())
}

async fn say(
    State(broker): State<Broker>,
    Path(room): Path<String>,
    who: Principal,
) -> Result<(), BoxError> {
    broker
        .publish(&format!("/topic/rooms/{room}"), format!("{who} is here"))
        .await
}

/// A broker to which clients send nothing themselves but to `/queue/…`, and a route that publishes for them.
fn server() -> (Broker, Server) {
    let mut config = Config::default();
    config.send = Allow::when(|request| request.destination().starts_with("/queue/"));
    let broker = Broker::new(config).unwrap();
    let app = App::new()
        .connect(log_in)
        .broker(&broker)
        .send("/topic/rooms/{room}", say);
    (broker.clone(), Server::new(app.with_state(broker)))
}

#[tokio::test(start_paused = true)]
async fn a_route_of_the_apps_own_goes_before_the_broker() {
    let (broker, server) = server();
    let (mut ann, mut bob) = (server.client_as("ann").await, server.client_as("bob").await);
    ann.asks(subscribe("0", "/topic/rooms.*")).await;
    bob.asks(send("/topic/rooms/lobby", "")).await;
    let message = ann.gets(Command::Message).await;
    assert_eq!(message.body, "bob is here");
    assert_eq!(
        message.headers.get("destination"),
        Some("/topic/rooms/lobby")
    );
    bob.is_refused(send("/topic/news", "mine"), "forbidden")
        .await;
    broker
        .send_to_user(&Principal::new("bob"), "/queue/notes", "hello")
        .await
        .unwrap();
    bob.asks(subscribe("1", "/user/queue/notes")).await;
    bob.waits().await;
    broker
        .send_to_user(&Principal::new("bob"), "/queue/notes", "hello again")
        .await
        .unwrap();
    assert_eq!(bob.gets(Command::Message).await.body, "hello again");
    ann.waits().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_goes_to_another() {
    let (_, server) = server();
    let (mut ann, mut bob) = (server.client_as("ann").await, server.client_as("bob").await);
    ann.asks(subscribe("0", "/queue/jobs").with_header("ack", "client"))
        .await;
    bob.asks(send("/queue/jobs", "dig")).await;
    assert_eq!(ann.gets(Command::Message).await.body, "dig");
    bob.asks(subscribe("0", "/queue/jobs").with_header("ack", "client"))
        .await;
    ann.asks(Frame::new(Command::Unsubscribe).with_header("id", "0"))
        .await;
    let again = bob.gets(Command::Message).await;
    assert_eq!(
        (&again.body[..], again.headers.get("redelivered")),
        (&b"dig"[..], Some("true"))
    );
    bob.asks(Frame::new(Command::Ack).with_header("id", again.headers.get("ack").unwrap()))
        .await;
    ann.asks(subscribe("0", "/queue/jobs")).await;
    ann.waits().await;
}
