//! A chat: rooms that any STOMP client can join, and a page that does.
//!
//! `cargo run -p chat`, then open the address that it prints in two tabs.

use axum::{Router, http::header, routing::get};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;
use webstomp::{
    App, BoxError, ClientError, Json, Observe, Path, Principal, State, SubscribeAnswer, Topic, frame::Headers,
    session::Subscriber,
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

/// The rooms that somebody is in.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<HashMap<String, Topic<Json<Heard>>>>>);

impl Rooms {
    fn join(&self, room: String) -> Subscriber {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, topic| topic.subscribers() > 0);
        rooms.entry(room).or_default().subscribe()
    }

    fn say(&self, room: &str, heard: Heard) -> Result<(), BoxError> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(room).map_or(Ok(()), |topic| topic.publish(Json(heard)))
    }
}

/// CONNECT: who does not say a name is not let in.
async fn login(headers: Headers) -> Result<Principal, ClientError> {
    match headers.get("login") {
        Some(name) if !name.trim().is_empty() => Ok(Principal::new(name)),
        _ => Err(ClientError::new("login-required", "Please say your name.")),
    }
}

/// SUBSCRIBE /rooms/{room}
async fn join(State(rooms): State<Rooms>, Path(room): Path<String>) -> impl SubscribeAnswer {
    Observe(rooms.join(room))
}

/// SEND /rooms/{room}
async fn say(
    State(rooms): State<Rooms>,
    Path(room): Path<String>,
    from: Principal,
    Json(Said { text }): Json<Said>,
) -> Result<(), BoxError> {
    rooms.say(&room, Heard { from: from.to_string(), text })
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let stomp = App::new()
        .connect(login)
        .subscribe("/rooms/{room}", join)
        .send("/rooms/{room}", say)
        .with_state(Rooms::default())
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
        .route("/", file("text/html; charset=utf-8", include_str!("../page/index.html")))
        .route("/chat.js", file("text/javascript; charset=utf-8", include_str!("../page/chat.js")))
        .route("/stomp.js", file("text/javascript; charset=utf-8", include_str!("../page/stomp.js")))
        .route("/style.css", file("text/css; charset=utf-8", include_str!("../page/style.css")))
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
