//! A chat with rooms: any STOMP client can join, and a page is included as a client for browsers.
//!
//! The example has an [`App`] that also serves pages with axum's router, a login, and rules for a broker. A handler adds
//! the sender's name to each message, and publishes it through the broker. Two handlers keep the
//! list of those who are in a room.
//!
//! Run `cargo run -p chat`, then open the address that it prints in two tabs. `--help` lists all options.

use axum::{Router, http::header, routing::get};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use webstomp::{
    App, BoxError, ClientError, IntoSubscribeResponse, Json, Observe, Path, Principal, State,
    Topic,
    broker::{Broker, Config, Rules, Who},
    frame::Headers,
    server::{Origins, Shutdown, bind},
    session::Destination,
};

/// A chat over STOMP, with a page.
#[derive(Parser)]
struct Options {
    /// Address for the page, and for WebSockets at the path /stomp.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Origin of pages that may connect, such as `https://example.com`, besides those of this chat. Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Name of this chat, such as chat.example.com, if pages use one and no proxy is between. Repeatable.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
}

/// The body that a client sends.
#[derive(Deserialize)]
struct NewMessage {
    text: String,
}

/// The body that the members of a room receive.
#[derive(Serialize)]
struct ChatMessage {
    from: String,
    text: String,
}

/// CONNECT: logs the client in by its name, and rejects clients without a name.
async fn login(headers: Headers) -> Result<Principal, ClientError> {
    match headers.get("login") {
        Some(name) if !name.trim().is_empty() => Ok(Principal::new(name)),
        _ => Err(ClientError::new(
            "login-required",
            "CONNECT needs a login header with your name.",
        )),
    }
}

/// SEND /topic/rooms/{room}: publishes the text, with the sender's name, to all subscribers of the room.
async fn say(
    State(chat): State<Chat>,
    Path(room): Path<String>,
    from: Principal,
    Json(NewMessage { text }): Json<NewMessage>,
) -> Result<(), BoxError> {
    let message = ChatMessage {
        from: from.to_string(),
        text,
    };
    // Refuses a name such as `*`, which would match more than one room.
    let room = Destination::from_segments("/topic/rooms", [&room])?;
    chat.broker.publish(room, Json(message)).await
}

/// SUBSCRIBE /rooms/{room}/members: enters the room. The client gets the names of all members, now and whenever they
/// change.
async fn enter(
    State(chat): State<Chat>,
    Path(room): Path<String>,
    user: Principal,
) -> impl IntoSubscribeResponse {
    let mut rooms = chat.rooms();
    let room = rooms.entry(room).or_default();
    let lists = room.lists.subscribe();
    room.members.push(user);
    room.publish_members();
    Observe(lists)
}

/// The subscription has ended, because the client left the room or is gone.
async fn leave(State(chat): State<Chat>, Path(name): Path<String>, user: Principal) {
    let mut rooms = chat.rooms();
    let Some(room) = rooms.get_mut(&name) else {
        return;
    };
    if let Some(place) = room.members.iter().position(|member| *member == user) {
        room.members.remove(place);
    }
    room.publish_members();
    if room.members.is_empty() {
        rooms.remove(&name);
    }
}

/// The state of the handlers.
#[derive(Clone)]
struct Chat {
    broker: Broker,
    /// The rooms in which somebody is.
    rooms: Arc<Mutex<BTreeMap<String, Room>>>,
}

#[derive(Default)]
struct Room {
    /// The members in the order in which they came. A user with two tabs is two members.
    members: Vec<Principal>,
    lists: Topic<Json<Vec<Principal>>>,
}

impl Chat {
    fn rooms(&self) -> MutexGuard<'_, BTreeMap<String, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Publishes the names of the members. The caller holds the lock of the rooms, so the lists stay in order.
    fn publish_members(&self) {
        // Fails only for values that have no JSON, and names have one.
        let _ = self.lists.publish(Json(self.members.clone()));
    }
}

/// Lets clients that have logged in subscribe to rooms: to one, or to all with `/topic/rooms/*`. Clients do not send to
/// the broker. [`say`] publishes for them, so that nobody writes under the name of somebody else.
fn rules() -> Rules {
    Rules::new().subscribe("/topic/rooms/*", Who::Authenticated)
}

/// The settings of connections: the pages that may connect, and the names of this chat.
fn server(options: &Options) -> webstomp::server::Config {
    webstomp::server::Config::default()
        .origins(Origins::List(options.origin.clone()))
        .hosts(options.host.clone())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // Otherwise a log that cannot be written, as on a full disk, would cause a panic.
        .log_internal_errors(false)
        .init();
    let broker = Broker::new(Config::default().rules(rules()))?;
    let listener = bind(&options.listen)
        .await
        .map_err(|error| format!("The chat cannot listen on {}: {error}", options.listen))?;
    println!("The chat is at http://{}/", listener.local_addr()?);
    let app = App::new()
        .connect(login)
        .broker(&broker)
        .send("/topic/rooms/{room}", say)
        .subscribe("/rooms/{room}/members", enter)
        .unsubscribe("/rooms/{room}/members", leave)
        .with_state(Chat {
            broker,
            rooms: Arc::default(),
        })
        .server_config(server(&options))
        .websocket_path("/stomp")
        .http(page())
        .shutdown(Shutdown::on_signals()?);
    Ok(app.serve(listener).await?)
}

/// Serves the page's static files, which include a STOMP client.
fn page() -> Router {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
    };
    let html = |text| file("text/html; charset=utf-8", text);
    let script = |text| file("text/javascript; charset=utf-8", text);
    let style = |text| file("text/css; charset=utf-8", text);
    Router::new()
        .route("/", html(include_str!("../page/index.html")))
        .route("/chat.js", script(include_str!("../page/chat.js")))
        .route("/stomp.js", script(include_str!("../page/stomp.js")))
        .route("/style.css", style(include_str!("../page/style.css")))
}
