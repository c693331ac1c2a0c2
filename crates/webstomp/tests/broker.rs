//! An app with a broker beside its own routes.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use stomp_testing::frames::{ack, send, subscribe, subscribe_with_ack, unsubscribe};
use support::Server;
use webstomp::{
    App, BoxError, ClientError, Connected, Json, Path, Principal, Request, Router, State,
    broker::{Broker, Config, Rules, Who},
    broker_routes,
    frame::Headers,
    middleware::RequirePrincipalLayer,
    session::Destination,
};

async fn log_in(headers: Headers) -> Principal {
    Principal::new(headers.get("login").unwrap_or_default())
}

async fn say(
    State(broker): State<Broker>,
    Path(room): Path<String>,
    principal: Principal,
) -> Result<(), BoxError> {
    let room = Destination::from_segments("/topic/rooms", [&room])?;
    broker.publish(room, format!("{principal} is here")).await
}

/// A broker whose queues are open to all clients, and a route that publishes to rooms for them.
fn server() -> (Broker, Server) {
    let rules = Rules::default().send_and_subscribe("/queue/>", Who::Anybody);
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
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
async fn a_parameter_of_a_route_does_not_lead_to_a_deeper_topic() {
    let broker = Broker::new(Config::default()).unwrap();
    let app = App::new()
        .connect(log_in)
        .broker(&broker)
        // Outside of the broker, a dot is part of the name.
        .send("/rooms/{room}", say);
    let server = Server::new(app.with_state(broker));
    let mut ann = server.client_as("ann").await;
    ann.receipt(subscribe("0", "/topic/rooms.>")).await;
    for room in ["blue.admin", "*", ">", "#"] {
        ann.expect_refusal(send(&format!("/rooms/{room}"), ""), "bad-destination")
            .await;
    }
    ann.receipt(send("/rooms/blue", "")).await;
    ann.expect_message("ann is here").await;
    ann.expect_nothing().await;
}

/// A client without the header `login` has no principal. `staff` has a role.
async fn log_in_optionally(headers: Headers) -> Result<Connected, ClientError> {
    Ok(match headers.get("login").unwrap_or_default() {
        "" => Connected::new(),
        "staff" => Connected::from(Principal::new("staff").with_role("staff")),
        name => Connected::from(Principal::new(name)),
    })
}

#[tokio::test(start_paused = true)]
async fn users_read_their_own_and_staff_writes() {
    let rules = Rules::new()
        .subscribe("/topic/users.{user}.>", Who::Authenticated)
        .send("/topic/users.>", Who::role("staff"));
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let server = Server::new(App::new().connect(log_in_optionally).broker(&broker));
    let (mut ann, mut staff, mut nobody) = (
        server.client_as("ann").await,
        server.client_as("staff").await,
        server.client().await,
    );
    ann.receipt(subscribe("0", "/topic/users.ann.>")).await;
    for (client, code) in [
        (&mut ann, "forbidden"),
        (&mut staff, "forbidden"),
        (&mut nobody, "login-required"),
    ] {
        for destination in ["/topic/users.bob.mail", "/topic/users/*/mail", "/topic/>"] {
            client
                .expect_refusal(subscribe("1", destination), code)
                .await;
        }
    }
    let mail = || send("/topic/users/ann/mail", "hello");
    ann.expect_refusal(mail(), "forbidden").await;
    nobody.expect_refusal(mail(), "login-required").await;
    staff.receipt(mail()).await;
    ann.expect_message("hello").await;
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_broker_count_as_the_policy_of_its_routes() {
    async fn open() {}
    let broker = Broker::new(Config::default()).unwrap();
    let strict = |router: Router| App::from(router.require_policies()).broker(&broker);
    assert!(strict(Router::new()).into_service().is_ok());
    let missing = strict(Router::new().send("/open", open)).into_service();
    let error = missing.unwrap_err().to_string();
    assert!(
        error.contains("/open") && !error.contains("/topic"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_around_the_routes_of_a_broker_holds_for_all_spellings() {
    let broker = Broker::new(Config::default().rules(Rules::open())).unwrap();
    let members = broker_routes(&broker).policy(RequirePrincipalLayer);
    let routes = Router::new().merge(members).require_policies();
    let server = Server::new(App::from(routes).connect(log_in_optionally));
    let (mut ann, mut nobody) = (server.client_as("ann").await, server.client().await);
    for destination in ["/topic/a/b", "/topic/a.b", "/queue/a.b"] {
        nobody
            .expect_refusal(subscribe("0", destination), "login-required")
            .await;
        nobody
            .expect_refusal(send(destination, "1"), "login-required")
            .await;
    }
    // The syntax of the broker goes with its routes.
    ann.expect_refusal(subscribe("0", "/topic/a..b"), "bad-destination")
        .await;
    ann.receipt(subscribe("0", "/topic/a/b")).await;
    ann.receipt(send("/topic/a.b", "1")).await;
    let message = ann.expect_message("1").await;
    assert_eq!(message.headers.get("destination"), Some("/topic/a/b"));
}

async fn add(
    State(broker): State<Broker>,
    Json((a, b)): Json<(i64, i64)>,
    request: Request,
) -> Result<(), BoxError> {
    broker.reply(&request, Json(a + b)).await
}

#[tokio::test(start_paused = true)]
async fn a_handler_takes_the_whole_request_and_answers_where_the_client_may_listen() {
    let broker = Broker::new(Config::default()).unwrap();
    let app = App::new().broker(&broker).send("/sums", add);
    let server = Server::new(app.with_state(broker));
    let (mut ann, mut bob) = (server.client().await, server.client().await);
    for client in [&mut ann, &mut bob] {
        for (id, destination) in [("0", "/temp-queue/sums"), ("1", "/topic/prices")] {
            client.receipt(subscribe(id, destination)).await;
        }
    }
    let ask = |reply_to: &str| send("/sums", "[1,2]").with_header("reply-to", reply_to);
    let question = ask("/temp-queue/sums").with_header("correlation-id", "42");
    ann.receipt(question).await;
    let answer = ann.expect_message("3").await;
    for (name, value) in [
        ("destination", "/temp-queue/sums"),
        ("correlation-id", "42"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(answer.headers.get(name), Some(value), "{name}");
    }
    for reply_to in ["/topic/prices", "/topic.prices"] {
        ann.expect_refusal(ask(reply_to), "forbidden").await;
    }
    ann.expect_refusal(send("/sums", "[1,2]"), "bad-request")
        .await;
    bob.expect_nothing().await;
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
