//! A chat: rooms that any STOMP client can join, and a page that does.
//!
//! `cargo run -p chat`, then open the address that it prints in two tabs.

use axum::{Router, http::header, routing::get};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use webstomp::{
    App, BoxError, ClientError, Json, Path, Principal, State, broker::Broker, frame::Headers,
};

/// What a client sends.
#[derive(Deserialize)]
struct Said {
    text: String,
}

/// What everybody in the room gets.
#[derive(Serialize)]
struct Heard {
    from: String,
    text: String,
}

/// CONNECT: who does not say a name is not let in.
async fn login(headers: Headers) -> Result<Principal, ClientError> {
    match headers.get("login") {
        Some(name) if !name.trim().is_empty() => Ok(Principal::new(name)),
        _ => Err(ClientError::new("login-required", "Please say your name.")),
    }
}

/// SEND /topic/rooms/{room}: everybody who has subscribed to it gets this, with the name of who said it.
async fn say(
    State(broker): State<Broker>,
    Path(room): Path<String>,
    from: Principal,
    Json(Said { text }): Json<Said>,
) -> Result<(), BoxError> {
    broker
        .publish(
            &format!("/topic/rooms/{room}"),
            Json(Heard {
                from: from.to_string(),
                text,
            }),
        )
        .await
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let broker = Broker::new(Default::default())?;
    let stomp = App::new()
        .connect(login)
        .broker(&broker)
        .send("/topic/rooms/{room}", say)
        .with_state(broker)
        .into_service()?;
    let http = page().route_service("/stomp", stomp);
    let listener = TcpListener::bind(address()?).await?;
    println!("The chat is at http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, http).await?)
}

/// The page: plain files, and a STOMP client in one of them.
fn page() -> Router {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
    };
    Router::new()
        .route(
            "/",
            file(
                "text/html; charset=utf-8",
                include_str!("../page/index.html"),
            ),
        )
        .route(
            "/chat.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("../page/chat.js"),
            ),
        )
        .route(
            "/stomp.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("../page/stomp.js"),
            ),
        )
        .route(
            "/style.css",
            file("text/css; charset=utf-8", include_str!("../page/style.css")),
        )
}

/// `--listen ADDR`, or the default.
fn address() -> Result<String, &'static str> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => Ok("127.0.0.1:8080".to_owned()),
        [option, address] if option == "--listen" => Ok(address.clone()),
        _ => Err("usage: chat [--listen ADDR]"),
    }
}
