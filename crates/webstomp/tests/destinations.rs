//! Spellings and patterns of destinations in an app with a broker.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{FutureExt, StreamExt};
use stomp_testing::{
    Client,
    frames::{send, subscribe, unsubscribe},
};
use support::Server;
use tower::Service;
use webstomp::{
    App, BoxError, Connected, Path, Principal, Request, Router, State,
    broker::{self, Broker, Rules, Who},
    frame::{Command, Frame, Headers},
    middleware::RequirePrincipalLayer,
    session::{Config, DestinationSyntax, PrefixSyntax},
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
async fn no_pattern_avoids_the_policy_of_a_catch_all_behind_literal_text() {
    let broker = Broker::new(broker::Config::default().rules(Rules::open())).unwrap();
    let private = Router::new()
        .subscribe("/topic/private{*rest}", show)
        .policy(RequirePrincipalLayer);
    let server = Server::new(App::new().broker(&broker).merge(private));
    let mut client = server.client().await;
    for (id, destination, code) in [
        ("0", "/topic/private/x", "login-required"),
        ("1", "/topic/private.x", "login-required"),
        ("2", "/topic/*.x", "forbidden"),
        ("3", "/topic/*.x.>", "forbidden"),
        ("4", "/topic/>", "forbidden"),
    ] {
        client
            .expect_refusal(subscribe(id, destination), code)
            .await;
    }
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
    let destinations = DestinationSyntax::default()
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

#[test]
fn an_app_whose_route_is_written_with_the_dots_of_a_broker_does_not_start() {
    let broker = Broker::new(Default::default()).unwrap();
    let app = App::new()
        .broker(&broker)
        .subscribe("/topic/files.private.{x}", show);
    let error = app.into_service().unwrap_err().to_string();
    for part in [
        "SUBSCRIBE \"/topic/files.private.{x}\"",
        "write \"/topic/files/private/{x}\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// An app with an open broker, a route that is only for clients with a login, and another syntax: in the settings of
/// sessions, or in a router that is merged after the broker.
fn app_with_other_syntax(broker: &Broker, prefix: &str, is_in_settings: bool) -> App {
    let syntax = DestinationSyntax::default().with_prefix(prefix, PrefixSyntax::default());
    let private = Router::new()
        .subscribe("/topic/files/private/{*path}", show)
        .send("/topic/files/private/{*path}", show_nothing)
        .policy(RequirePrincipalLayer);
    let app = App::new().broker(broker);
    if is_in_settings {
        app.merge(private)
            .session_config(Config::default().destinations(syntax))
    } else {
        app.merge(private.destinations(syntax))
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_refuses_what_another_syntax_parsed_for_the_routes() {
    for (prefix, is_in_settings) in [
        ("/topic/", false),
        ("/topic/files/", false),
        ("/topic/files/", true),
    ] {
        let broker = Broker::new(broker::Config::default().rules(Rules::open())).unwrap();
        let mut secrets = broker.subscribe("/topic/files.private.>").await.unwrap();
        let server = Server::new(app_with_other_syntax(&broker, prefix, is_in_settings));
        let mut client = server.client().await;
        for destination in [
            "/topic/files/private/x",
            "/topic/files/private.x",
            "/topic/files.private.x",
            "/topic/files/*/x",
            "/topic/files.*.x",
            "/topic/files/>",
            "/topic/*/private/x",
            "/topic/>",
        ] {
            for frame in [subscribe("0", destination), send(destination, "forged")] {
                let command = frame.command;
                assert!(
                    !succeeds(&mut client, frame).await,
                    "{prefix} {command} {destination}"
                );
            }
        }
        assert!(secrets.next().now_or_never().is_none(), "a forged message");
        client
            .expect_refusal(subscribe("0", "/topic/files/private.x"), "bad-destination")
            .await;
        client.receipt(subscribe("0", "/topic/files/public")).await;
    }
}

/// Hands on what no route has taken. The app does not know that there is a broker.
async fn hand_on(State(mut broker): State<Broker>, request: Request) -> Result<(), BoxError> {
    broker.call(request).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_broker_behind_the_fallback_of_a_router_refuses_what_the_router_has_read_differently() {
    let broker = Broker::new(broker::Config::default().rules(Rules::open())).unwrap();
    let mut secrets = broker.subscribe("/topic/private.>").await.unwrap();
    let private = Router::new()
        .send("/topic/private/{*path}", show_nothing)
        .policy(RequirePrincipalLayer);
    let app = App::new().merge(private).fallback(hand_on);
    let server = Server::new(app.with_state(broker));
    let mut client = server.client().await;
    for (destination, code) in [
        ("/topic/private/x", "login-required"),
        ("/topic/private.x", "bad-destination"),
        ("/topic.private", "not-found"),
    ] {
        client
            .expect_refusal(send(destination, "forged"), code)
            .await;
    }
    client.receipt(send("/topic/public/x", "1")).await;
    assert!(secrets.next().now_or_never().is_none(), "a forged message");
}

/// The parts of destinations of which the next test makes all combinations.
const SEGMENTS: [&str; 7] = ["private", "members", "a", "*", ">", "#", ""];

/// Every destination of up to three segments, in every spelling, with its segments.
fn spellings() -> Vec<(String, Vec<&'static str>)> {
    let mut all = vec![(String::new(), Vec::new())];
    let mut last = all.clone();
    for length in 1..=3 {
        let longer = |(text, segments): &(String, Vec<&'static str>)| {
            let separators: &[&str] = if length == 1 { &[""] } else { &["/", "."] };
            let mut longer = Vec::new();
            for separator in separators {
                for segment in SEGMENTS {
                    let segments = segments.iter().copied().chain([segment]).collect();
                    longer.push((format!("{text}{separator}{segment}"), segments));
                }
            }
            longer
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// Returns true if a client without a login may use the destination: the definition, without any parser.
fn is_open(prefix: &str, segments: &[&str], command: Command) -> bool {
    let is_wildcard = |segment: &&str| ["*", ">", "#"].contains(segment);
    let is_pattern = segments.iter().any(is_wildcard);
    let Some((last, others)) = segments.split_last() else {
        return false;
    };
    let is_valid = !segments.contains(&"") && !others.iter().any(|it| [">", "#"].contains(it));
    let first = others.first().unwrap_or(last);
    let may_be = |name: &str| *first == name || is_wildcard(first);
    is_valid
        && !may_be("private")
        && match prefix {
            "/queue/" => !is_pattern,
            _ => !may_be("members") && (command == Command::Subscribe || !is_pattern),
        }
}

/// Sends a frame. Returns true for a receipt, and false for an error that does not close the connection.
async fn succeeds(client: &mut Client, frame: Frame) -> bool {
    let id = client.request(frame).await;
    loop {
        let answer = client.next_frame().await.unwrap();
        match answer.command {
            Command::Message => {}
            Command::Receipt | Command::Error => {
                assert_eq!(answer.headers.get("receipt-id"), Some(&*id));
                return answer.command == Command::Receipt;
            }
            _ => panic!("received {answer:?}"),
        }
    }
}

/// The rules refuse `private`, a policy of a route refuses `members`.
#[tokio::test(start_paused = true)]
async fn no_spelling_and_no_pattern_reaches_what_its_plain_name_is_refused() {
    let rules = Rules::new()
        .send_and_subscribe("/topic/private.>", Who::Nobody)
        .send_and_subscribe("/queue/private.>", Who::Nobody)
        .then(Rules::open());
    let broker = Broker::new(broker::Config::default().rules(rules)).unwrap();
    let members = Router::new()
        .subscribe("/topic/members", show_nothing)
        .subscribe("/topic/members/{*path}", show)
        .send("/topic/members", show_nothing)
        .send("/topic/members/{*path}", show_nothing)
        .policy(RequirePrincipalLayer);
    let app = App::new()
        .connect(log_in)
        .broker(&broker)
        .merge(members)
        .subscribe("/notes/{name}", show);
    let server = Server::new(app);
    let mut client = server.client().await;
    let mut secrets = [
        broker.subscribe("/topic/private.>").await.unwrap(),
        broker.subscribe("/topic/members.>").await.unwrap(),
        broker.subscribe("/queue/private.a").await.unwrap(),
    ];
    for (path, segments) in spellings() {
        for prefix in ["/topic/", "/queue/"] {
            let destination = format!("{prefix}{path}");
            for (command, frame) in [
                (Command::Subscribe, subscribe("0", &destination)),
                (Command::Send, send(&destination, "forged")),
            ] {
                let is_accepted = succeeds(&mut client, frame).await;
                let is_open = is_open(prefix, &segments, command);
                assert_eq!(is_accepted, is_open, "{command} {destination}");
                if is_accepted && command == Command::Subscribe {
                    assert!(succeeds(&mut client, unsubscribe("0")).await);
                }
            }
        }
    }
    for stream in &mut secrets {
        assert!(stream.next().now_or_never().is_none(), "a forged message");
    }
    client.send(subscribe("0", "/notes/john.doe")).await;
    client.expect_message("john.doe").await;
}

async fn show_nothing() {}
