//! The JavaScript examples of the project's first README, written in Rust.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{Stream, StreamExt, stream};
use stomp_testing::frames::{connect, send, subscribe};
use support::Server;
use webstomp::{
    App, BoxError, ClientError, Json, Observe, Path, Request, Response, Router, Session,
    frame::{Frame, Headers, Version},
    middleware::{Next, from_fn},
};

/// Rust form of: `router.use(function (next) { … next() … next(new Error("colors not coordinated")) })`
async fn colours(request: Request, next: Next) -> Result<Response, BoxError> {
    if request.headers().get("colour") == Some("clashing") {
        return Err(ClientError::new("colours", "colors not coordinated").into());
    }
    next.run(request).await
}

#[derive(Clone)]
struct User(String);

fn authenticate(email: &str, passcode: &str) -> Option<User> {
    (passcode == "secret").then(|| User(email.to_owned()))
}

/// Rust form of: `router.connect(function () { var {email, passcode} = this.headers; this.state.user =
/// authenticate(email, passcode) })`
async fn log_in(session: Session, headers: Headers) -> Result<(), ClientError> {
    let email = headers.get("email").unwrap_or_default();
    let passcode = headers.get("passcode").unwrap_or_default();
    let user = authenticate(email, passcode)
        .ok_or_else(|| ClientError::new("login-failed", "Wrong email or passcode."))?;
    session.insert(user);
    Ok(())
}

/// Rust form of: `router.send("/users/:id/messages", function () { var {id} = this.params; this.error(new
/// Error("Invalid id: " + id)) })`
async fn message(session: Session, Path(id): Path<String>, text: String) -> Result<(), BoxError> {
    if id.parse::<u32>().is_err() {
        session.error(ClientError::new("invalid-id", format!("Invalid id: {id}")))?;
        return Ok(());
    }
    let User(user) = session.get().unwrap();
    session.message("/notifications", format!("{user} to {id}: {text}"))
}

/// Rust form of: `router.subscribe("/stats/:metric", function () { var stream = service.getChanges() … })`
async fn stats(
    Path(metric): Path<String>,
) -> Observe<impl Stream<Item = Json<(String, u32)>> + Send + 'static> {
    let changes = stream::iter([1, 2, 3]);
    Observe(changes.map(move |value| Json((metric.clone(), value))))
}

/// Rust form of: `app.use(function () { this.error(new Error("Not found")) })`
async fn not_found() -> Result<(), ClientError> {
    Err(ClientError::new("nothing-here", "Not found"))
}

async fn notifications() {}

fn app() -> App {
    let router = Router::new()
        .connect(log_in)
        .send("/users/:id/messages", message)
        .subscribe("/stats/:metric", stats)
        .subscribe("/notifications", notifications);
    App::new()
        .merge(router)
        .fallback(not_found)
        .layer(from_fn(colours))
}

fn login(passcode: &str) -> Frame {
    connect(Version::V1_2)
        .with_header("email", "ann@example.com")
        .with_header("passcode", passcode)
}

#[tokio::test(start_paused = true)]
async fn the_examples_of_the_first_readme_work() {
    let mut client = Server::new(app()).open().await;
    client.connect_with(login("secret")).await;

    client.receipt(subscribe("n", "/notifications")).await;
    let id = client.request(send("/users/7/messages", "hello")).await;
    client.expect_message("ann@example.com to 7: hello").await;
    client.expect_receipt(&id).await;

    client.send(send("/users/x/messages", "hello")).await;
    let error = client.expect_error("invalid-id").await;
    assert_eq!(error.body, "Invalid id: x");

    client.send(subscribe("s", "/stats/load")).await;
    for body in ["[\"load\",1]", "[\"load\",2]", "[\"load\",3]"] {
        client.expect_message_for("s", body).await;
    }

    let clashing = send("/users/7/messages", "hello").with_header("colour", "clashing");
    let error = client.expect_refusal(clashing, "colours").await;
    assert_eq!(error.body, "colors not coordinated");

    for frame in [send("/nowhere", ""), subscribe("f", "/nowhere")] {
        let error = client.expect_refusal(frame, "nothing-here").await;
        assert_eq!(error.body, "Not found");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_passcode_refuses_the_client() {
    let mut client = Server::new(app()).open().await;
    client.send(login("guess")).await;
    client.expect_error("login-failed").await;
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_layer_of_a_nested_router_wraps_only_its_routes() {
    async fn sink() {}
    let users = Router::new()
        .send("/:id/messages", message)
        .layer(from_fn(colours));
    let server = Server::new(App::new().nest("/users", users).send("/sink", sink));
    let mut client = server.client().await;
    let clashing = |destination| send(destination, "").with_header("colour", "clashing");
    client
        .expect_refusal(clashing("/users/7/messages"), "colours")
        .await;
    client.receipt(clashing("/sink")).await;
}
