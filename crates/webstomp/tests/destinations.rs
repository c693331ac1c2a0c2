//! Spellings and patterns of destinations in an app with a broker.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use stomp_testing::frames::{send, subscribe, unsubscribe};
use support::Server;
use webstomp::{
    App, Connected, Path, Principal, Router,
    broker::Broker,
    frame::Headers,
    middleware::RequirePrincipalLayer,
    session::{Config, PrefixSyntax},
};

/// A message for the subscriber: the parameter of the route.
async fn show(Path(value): Path<String>) -> String {
    value
}

async fn log_in(headers: Headers) -> Connected {
    match headers.get("login") {
        None | Some("") => Connected::new(),
        Some(login) => Connected::from(Principal::new(login)),
    }
}

/// An app whose route `/topic/private/{*path}` is only for clients with a login.
fn app(broker: &Broker) -> App {
    let private = Router::new()
        .subscribe("/topic/private/{*path}", show)
        .policy(RequirePrincipalLayer);
    App::new()
        .connect(log_in)
        .broker(broker)
        .merge(private)
        .subscribe("/notes/{name}", show)
}

fn server() -> (Broker, Server) {
    let broker = Broker::new(Default::default()).unwrap();
    let server = Server::new(app(&broker));
    (broker, server)
}

#[tokio::test(start_paused = true)]
async fn no_spelling_and_no_pattern_avoids_the_policy_of_a_route() {
    let (_, server) = server();
    let mut client = server.client().await;
    for (id, destination, code) in [
        ("0", "/topic/private/x", "login-required"),
        ("1", "/topic/private.x", "login-required"),
        ("2", "/topic/private.x/y", "login-required"),
        ("3", "/topic/*/x", "forbidden"),
        ("4", "/topic/*.*", "forbidden"),
        ("5", "/topic/>", "forbidden"),
        ("6", "/topic/#", "forbidden"),
        ("7", "/topic/private.>", "forbidden"),
        ("8", "/topic/private..x", "bad-destination"),
        ("9", "/topic/private/x/", "bad-destination"),
    ] {
        client
            .expect_refusal(subscribe(id, destination), code)
            .await;
    }
    let mut ann = server.client_as("ann").await;
    ann.send(subscribe("0", "/topic/private.x.y")).await;
    ann.expect_message("x/y").await;
}

#[tokio::test(start_paused = true)]
async fn a_pattern_beside_the_route_reaches_the_broker() {
    let (broker, server) = server();
    let mut client = server.client().await;
    for (id, destination) in [("0", "/topic/news.>"), ("1", "/topic/news/sport")] {
        client.receipt(subscribe(id, destination)).await;
    }
    broker.publish("/topic/news.sport", "goal").await.unwrap();
    let mut shown: Vec<_> = Vec::new();
    for _ in 0..2 {
        let message = client.expect_message("goal").await;
        let header = |name| message.headers.get(name).unwrap().to_owned();
        shown.push((header("subscription"), header("destination")));
    }
    shown.sort();
    let expected = [("0", "/topic/news.sport"), ("1", "/topic/news/sport")];
    assert_eq!(
        shown,
        expected.map(|(id, destination)| (id.to_owned(), destination.to_owned())),
        "an exact subscriber sees its own spelling"
    );
    client.receipt(unsubscribe("0")).await;
}

#[tokio::test(start_paused = true)]
async fn a_dot_outside_the_broker_is_data() {
    let (_, server) = server();
    let mut client = server.client().await;
    client.send(subscribe("0", "/notes/john.doe")).await;
    client.expect_message("john.doe").await;
    client
        .expect_refusal(send("/notes/..", ""), "not-found")
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_syntax_of_the_broker_applies_whatever_the_settings_say() {
    let broker = Broker::new(Default::default()).unwrap();
    let destinations = webstomp::session::DestinationSyntax::default()
        .with_prefix("/topic/", PrefixSyntax::default())
        .with_prefix("/notes/", PrefixSyntax::dotted());
    let settings = Config::default().destinations(destinations);
    let server = Server::new(app(&broker).session_config(settings));
    let mut client = server.client().await;
    client
        .expect_refusal(subscribe("0", "/topic/private.x"), "login-required")
        .await;
    client
        .expect_refusal(subscribe("1", "/notes/john.doe"), "not-found")
        .await;
}
