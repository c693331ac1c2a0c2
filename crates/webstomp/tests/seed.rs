//! The README that this began with, word for word where it is about routes and middleware, and what became of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{Stream, stream};
use support::{Server, send, subscribe};
use webstomp::{
    App, BoxError, ClientError, Json, Observe, Path, Request, Response, Router, Session,
    frame::{Command, Frame, Headers},
    middleware::{Next, from_fn},
};

/// `router.use(function (next) { … next() … next(new Error("colors not coordinated")) })`
async fn colours(request: Request, next: Next) -> Result<Response, BoxError> {
    if request.headers().get("colour") == Some("clashing") {
        // Halt on error.
        return Err(ClientError::new("colours", "colors not coordinated").into());
    }
    // Proceed to next.
    next.run(request).await
}

#[derive(Clone)]
struct User(String);

fn authenticate(email: &str, passcode: &str) -> Option<User> {
    (passcode == "secret").then(|| User(email.to_owned()))
}

/// `router.connect(function () { var {email, passcode} = this.headers; this.state.user = authenticate(email, passcode) })`
async fn connect(session: Session, headers: Headers) -> Result<(), ClientError> {
    let (email, passcode) = (
        headers.get("email").unwrap_or_default(),
        headers.get("passcode").unwrap_or_default(),
    );
    let user = authenticate(email, passcode)
        .ok_or_else(|| ClientError::new("login-failed", "Who are you?"))?;
    session.insert(user);
    Ok(())
}

/// `router.send("/users/:id/messages", function () { var {id} = this.params; this.error(new Error("Invalid id: " + id)) })`
async fn message(session: Session, Path(id): Path<String>, text: String) -> Result<(), BoxError> {
    if id.parse::<u32>().is_err() {
        session.error(ClientError::new("invalid-id", format!("Invalid id: {id}")));
        return Ok(());
    }
    let User(user) = session.get().unwrap();
    session.message("/notifications", format!("{user} to {id}: {text}"))
}

/// `router.subscribe("/stats/:metric", function () { var stream = service.getChanges() … })`
async fn stats(
    Path(metric): Path<String>,
) -> Observe<impl Stream<Item = Json<(String, u32)>> + Send + 'static> {
    let changes = stream::iter([1, 2, 3]);
    Observe(futures_util::StreamExt::map(changes, move |value| {
        Json((metric.clone(), value))
    }))
}

/// `app.use(function () { this.error(new Error("Not found")) })`
async fn not_found() -> Result<(), ClientError> {
    Err(ClientError::new("nothing-here", "Not found"))
}

async fn notifications() {}

fn app() -> App {
    let router = Router::new()
        .connect(connect)
        .send("/users/:id/messages", message)
        .subscribe("/stats/:metric", stats)
        .subscribe("/notifications", notifications);
    // Every app is a router, and takes routers.
    App::new()
        .merge(router)
        .fallback(not_found)
        .layer(from_fn(colours))
}

fn login(passcode: &str) -> Frame {
    Frame::new(Command::Connect)
        .with_header("accept-version", "1.2")
        .with_header("host", "localhost")
        .with_header("email", "ann@example.com")
        .with_header("passcode", passcode)
}

#[tokio::test(start_paused = true)]
async fn what_it_promised() {
    let server = Server::new(app());
    let mut client = server.open().await;
    client.send(login("secret")).await;
    client.gets(Command::Connected).await;

    client.asks(subscribe("n", "/notifications")).await;
    client.begins(send("/users/7/messages", "hello")).await;
    assert_eq!(
        client.gets(Command::Message).await.body,
        "ann@example.com to 7: hello"
    );
    client.is_answered().await;

    client.send(send("/users/x/messages", "hello")).await;
    assert_eq!(client.gets(Command::Error).await.body, "Invalid id: x");

    client.send(subscribe("s", "/stats/load")).await;
    for value in ["1", "2", "3"] {
        let message = client.gets(Command::Message).await;
        assert_eq!(message.headers.get("subscription"), Some("s"));
        assert_eq!(message.body, format!("[\"load\",{value}]"));
    }

    let clashing = send("/users/7/messages", "hello").with_header("colour", "clashing");
    assert_eq!(
        client.is_refused(clashing, "colours").await.body,
        "colors not coordinated"
    );
    assert_eq!(
        client
            .is_refused(send("/nowhere", ""), "nothing-here")
            .await
            .body,
        "Not found"
    );
    client
        .is_refused(subscribe("f", "/nowhere"), "nothing-here")
        .await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_know_the_passcode_is_not_let_in() {
    let mut client = Server::new(app()).open().await;
    client.send(login("guess")).await;
    assert_eq!(
        client.gets(Command::Error).await.headers.get("message"),
        Some("login-failed")
    );
    assert!(client.next().await.is_none());
}

/// The same as routers in routers, each with middleware of its own.
#[tokio::test(start_paused = true)]
async fn middleware_of_a_router_is_around_its_routes_alone() {
    let users = Router::new()
        .send("/:id/messages", message)
        .layer(from_fn(colours));
    async fn sink() {}
    let mut client = Server::new(App::new().nest("/users", users).send("/sink", sink))
        .client()
        .await;
    client
        .is_refused(
            send("/users/7/messages", "").with_header("colour", "clashing"),
            "colours",
        )
        .await;
    client
        .asks(send("/sink", "").with_header("colour", "clashing"))
        .await;
}
