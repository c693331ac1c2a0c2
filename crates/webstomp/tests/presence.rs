//! Presence of users, in the app and in a room, written in the obvious way.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::StreamExt;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use stomp_testing::{
    Client,
    frames::{disconnect, send, subscribe, unsubscribe},
};
use support::Server;
use tokio::{sync::mpsc, task::yield_now};
use webstomp::{
    App, BoxError, ClientError, Connected, DisconnectReason, IntoSubscribeResponse, Json, Observe,
    Path, Principal, Request, Session, Sessions, State, Topic,
    frame::{Command, Headers, header},
    session::{CloseCode, Config, Subscriber},
};

async fn log_in(headers: Headers) -> Connected {
    match headers.get(header::LOGIN) {
        Some(name) if !name.is_empty() => Connected::from(Principal::new(name)),
        _ => Connected::new(),
    }
}

/// Lets the other tasks run until they can do nothing more.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

type Online = Topic<Json<Vec<Principal>>>;

/// Publishes the list of users whenever it changes.
async fn publish_users(sessions: Sessions, online: Online) {
    let mut changes = sessions.changes();
    while changes.next().await.is_some() {
        online.publish(Json(sessions.principals())).unwrap();
    }
}

async fn watch_users(
    State(online): State<Online>,
    sessions: Sessions,
) -> impl IntoSubscribeResponse {
    let changes = online.subscribe();
    Observe(changes).starting_with([Json(sessions.principals())])
}

/// Receives the lists of users until one is this.
async fn expect_users(watcher: &mut Client, users: &str) {
    loop {
        let message = watcher.expect(Command::Message).await;
        if message.body == users {
            return watcher.expect_nothing().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_users_until_their_last_session_has_left_however_it_leaves() {
    let online = Online::new();
    let app = App::new().connect(log_in).subscribe("/online", watch_users);
    let sessions = app.sessions();
    tokio::spawn(publish_users(sessions.clone(), online.clone()));
    // Called after `sessions`: the app keeps its registry.
    let app = app.session_config(Config::default());
    let server = Server::new(app.with_state(online));
    let mut watcher = server.client().await;
    let receipt = watcher.request(subscribe("0", "/online")).await;
    watcher.expect_receipt(&receipt).await;
    watcher.expect_message("[]").await;

    let [ann, mut other] = [server.client_as("ann").await, server.client_as("ann").await];
    let bob = server.client_as("bob").await;
    let mut eve = server.client_as("eve").await;
    expect_users(&mut watcher, r#"["ann","bob","eve"]"#).await;

    drop(ann);
    settle().await;
    eve.receipt(disconnect()).await;
    expect_users(&mut watcher, r#"["ann","bob"]"#).await;
    other.receipt(disconnect()).await;
    expect_users(&mut watcher, r#"["bob"]"#).await;
    let kicked = sessions.close_with(&Principal::new("bob"), CloseCode::Policy, "Bye.");
    assert_eq!(kicked, 1);
    expect_users(&mut watcher, "[]").await;
    drop(bob);
}

#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<BTreeMap<String, Room>>>);

#[derive(Default)]
struct Room {
    topic: Topic<String>,
    members: Vec<String>,
}

impl Rooms {
    fn members(&self, room: &str) -> Vec<String> {
        let rooms = self.0.lock().unwrap();
        rooms
            .get(room)
            .map(|room| room.members.clone())
            .unwrap_or_default()
    }
}

async fn enter(
    State(rooms): State<Rooms>,
    Path(room): Path<String>,
    user: Principal,
    session: Session,
) -> Result<Observe<Subscriber>, ClientError> {
    if user.name() == "mallory" {
        return Err(ClientError::new("banned", "You may not enter."));
    }
    let mut rooms = rooms.0.lock().unwrap();
    let room = rooms.entry(room).or_default();
    room.members.push(user.to_string());
    Ok(Observe(room.topic.subscribe_for(&session)))
}

async fn leave(State(rooms): State<Rooms>, Path(name): Path<String>, user: Principal) {
    let mut rooms = rooms.0.lock().unwrap();
    let room = rooms.get_mut(&name).unwrap();
    let at = room.members.iter().position(|member| member == user.name());
    room.members.swap_remove(at.unwrap());
    if room.members.is_empty() {
        rooms.remove(&name);
    }
}

async fn say(
    State(rooms): State<Rooms>,
    Path(room): Path<String>,
    session: Session,
    text: String,
) -> Result<(), BoxError> {
    let topic = rooms
        .0
        .lock()
        .unwrap()
        .get(&room)
        .map(|room| room.topic.clone());
    topic.map_or(Ok(()), |topic| topic.publish_except(&session, text))
}

#[tokio::test(start_paused = true)]
async fn a_room_is_empty_after_its_members_left_in_any_way() {
    let rooms = Rooms::default();
    let app = App::new()
        .connect(log_in)
        .subscribe("/rooms/{room}", enter)
        .unsubscribe("/rooms/{room}", leave)
        .send("/rooms/{room}", say);
    let sessions = app.sessions();
    let server = Server::new(app.with_state(rooms.clone()));
    let mut clients = BTreeMap::new();
    for name in ["ann", "bob", "cid", "dan", "eve"] {
        let mut client = server.client_as(name).await;
        client.receipt(subscribe("0", "/rooms/tea")).await;
        clients.insert(name, client);
    }
    let mut mallory = server.client_as("mallory").await;
    mallory
        .expect_refusal(subscribe("0", "/rooms/tea"), "banned")
        .await;
    assert_eq!(rooms.members("tea"), ["ann", "bob", "cid", "dan", "eve"]);

    clients
        .get_mut("ann")
        .unwrap()
        .receipt(send("/rooms/tea", "hello"))
        .await;
    clients.get_mut("ann").unwrap().expect_nothing().await;
    clients
        .get_mut("bob")
        .unwrap()
        .expect_message("hello")
        .await;

    clients
        .get_mut("ann")
        .unwrap()
        .receipt(unsubscribe("0"))
        .await;
    clients.get_mut("bob").unwrap().receipt(disconnect()).await;
    clients.remove("cid");
    sessions.close(&Principal::new("dan"), CloseCode::Policy);
    settle().await;
    assert_eq!(rooms.members("tea"), ["eve"]);
    clients
        .get_mut("eve")
        .unwrap()
        .send_bytes("FAULT\n\n\0")
        .await;
    drop(mallory);
    settle().await;
    assert!(rooms.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn handlers_of_a_session_run_in_the_order_of_its_life() {
    let (log, mut lines) = mpsc::unbounded_channel::<String>();
    let note = |what: &'static str| {
        move |State(log): State<mpsc::UnboundedSender<String>>,
              session: Session,
              sessions: Sessions,
              request: Request| async move {
            let is_registered = sessions.get(session.id()).is_some();
            let by_peer = request.is_from_peer();
            log.send(format!("{what} {is_registered} {by_peer}"))
                .unwrap();
        }
    };
    let app = App::new()
        .connect(note("connect"))
        .connected(note("connected"))
        .subscribe("/{*all}", note("subscribe"))
        .unsubscribe("/{*all}", note("unsubscribe"))
        .disconnect(note("disconnect"));
    let server = Server::new(app.with_state(log));
    let mut client = server.client().await;
    client.receipt(subscribe("0", "/a")).await;
    client.receipt(unsubscribe("0")).await;
    client.receipt(subscribe("1", "/b")).await;
    drop(client);
    settle().await;
    let mut seen = Vec::new();
    while let Ok(line) = lines.try_recv() {
        seen.push(line);
    }
    assert_eq!(
        seen,
        [
            "connect false true",
            "connected true false",
            "subscribe true true",
            "unsubscribe true true",
            "subscribe true true",
            "unsubscribe false false",
            "disconnect false false",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_inbox_receives_what_is_sent_to_a_user_and_takes_no_handler() {
    let app = App::new().connect(log_in).inbox("/user/notices");
    let sessions = app.sessions();
    let server = Server::new(app);
    let [mut ann, mut bob] = [server.client_as("ann").await, server.client_as("bob").await];
    for client in [&mut ann, &mut bob] {
        client.receipt(subscribe("0", "/user/notices")).await;
    }
    sessions
        .send(
            &Principal::new("ann"),
            "/user/notices",
            "Your order has left.",
        )
        .unwrap();
    ann.expect_message("Your order has left.").await;
    bob.expect_nothing().await;
    ann.expect_refusal(subscribe("1", "/user/other"), "not-found")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_was_configured_is_that_of_the_app() {
    let config = Config::default().sessions(Sessions::for_node("berlin"));
    let app: App = App::new().session_config(config);
    assert_eq!(&*app.sessions().node(), "berlin");
    let server = Server::new(
        app.disconnect(async |_: DisconnectReason, sessions: Sessions| {
            assert_eq!(&*sessions.node(), "berlin");
        }),
    );
    let mut client = server.client().await;
    client.receipt(disconnect()).await;
}
