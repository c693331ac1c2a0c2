//! STOMP servers over WebSocket, as simple as an HTTP framework.
//!
//! [STOMP](https://stomp.github.io) is an open publish/subscribe protocol: clients send messages to named destinations
//! and subscribe to them. It has clients in every language; in browsers, usually `@stomp/stompjs`.
//!
//! An [`App`] is a STOMP server. Async functions handle the frames of each destination, any `Stream` can answer a
//! subscription, and any tower `Layer` is middleware. An app listens on its own port, where it can also serve the pages
//! of an axum router, or is mounted on your existing HTTP server.
//!
//! # First steps
//!
//! ```toml
//! [dependencies]
//! webstomp = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! Add `tower` for middleware, and `serde` with the feature `derive` for your own JSON types.
//!
//! ```no_run
//! use webstomp::{App, BoxError, IntoSubscribeResponse, Json, Observe, Path, State, Topic};
//!
//! type Prices = Topic<Json<f64>>;
//!
//! // SUBSCRIBE /prices: the client gets everything that is published from now on.
//! async fn watch(State(prices): State<Prices>) -> impl IntoSubscribeResponse {
//!     Observe(prices.subscribe())
//! }
//!
//! // SEND /prices/{article}: the body is JSON. If the handler fails, the client gets an ERROR.
//! async fn set(
//!     State(prices): State<Prices>,
//!     Path(_article): Path<String>,
//!     price: Json<f64>,
//! ) -> Result<(), BoxError> {
//!     prices.publish(price)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let app = App::new()
//!         .subscribe("/prices", watch)
//!         .send("/prices/{article}", set)
//!         .with_state(Prices::new());
//!     Ok(app.listen("127.0.0.1:8080").await?)
//! }
//! ```
//!
//! A browser connects with `@stomp/stompjs`:
//!
//! ```js
//! const client = new StompJs.Client({ brokerURL: "ws://localhost:8080/" });
//! client.onConnect = () => {
//!     client.subscribe("/prices", (message) => console.log(JSON.parse(message.body)));
//!     client.publish({ destination: "/prices/tea", body: "12.5" });
//! };
//! client.activate();
//! ```
//!
//! # Chapters
//!
//! | chapter | answers |
//! |---|---|
//! | [Routes](#routes) | which handler runs, and what it takes and returns |
//! | [Logging in](#logging-in) | who may connect: passwords, tokens, cookies; logins that expire |
//! | [Connected sessions](#connected-sessions) | sending to one user; closing sessions |
//! | [Who is online](#who-is-online), [Rooms](#rooms) | presence of users, in the app and in a room |
//! | [Streams](#streams), [Topics](#topics), [Broker](#broker) | three ways to answer a subscription |
//! | [Request and reply](#request-and-reply) | answers to a `SEND`, by a handler or a worker |
//! | [Who may publish and subscribe](#who-may-publish-and-subscribe) | the rules of a broker |
//! | [Errors](#errors) | what a client sees of an error |
//! | [Middleware](#middleware) | layers around a handler, a router, the app or a session |
//! | [HTTP on the same port](#http-on-the-same-port) | pages of an axum router beside the WebSockets |
//! | [Mounting on an HTTP server](#mounting-on-an-http-server) | axum and hyper; shutdown; what that server must bound |
//! | [Addresses and proxies](#addresses-and-proxies) | the address of a client, also behind a proxy |
//! | [Listeners and shutdown](#listeners-and-shutdown) | several ports, TCP, TLS, graceful shutdown |
//! | [Operation](#operation) | the log, metrics, audits, health checks |
//! | [Tests](#tests) | testing handlers without a connection |
//! | [Settings](#settings), [Limits](#limits) | all bounds and timeouts, and what happens beyond them |
//! | [Extensions of the protocol](#extensions-of-the-protocol) | headers that STOMP does not define |
//! | [Features](#features), [Crates](#crates) | what can be switched on, and the layers beneath |
//! | [Not here](#not-here) | what webstomp does not do |
//!
//! # Routes
//!
//! | method | its handler runs when a client | the handler returns |
//! |---|---|---|
//! | [`App::connect`] | connects | `()`, a [`Principal`] or a [`Connected`]; an error refuses the client |
//! | [`App::send`] | sends to a destination | `()` or a [`Reply`] |
//! | [`App::connected`] | is connected: after `CONNECTED` was sent | `()` |
//! | [`App::subscribe`] | subscribes to a destination | `()`, one message, or [`Observe`] with a stream, whose end ends the subscription; an error refuses it |
//! | [`App::inbox`] | subscribes to a destination; there is no handler | |
//! | [`App::unsubscribe`] | ends a subscription, or it ends in any other way, also with the session | `()` |
//! | [`App::disconnect`] | disconnects, for any reason: see [`DisconnectReason`] | `()` |
//! | [`App::fallback`] | sends or subscribes to a destination without a route | `()` |
//!
//! Each handler may return a `Result` of these instead. A client that asked for a receipt gets it after the handler has
//! succeeded. [`Router`] describes patterns, and the answers to requests without a matching handler.
//! [`FromRequestParts`] lists all arguments that a handler can take.
//!
//! ```
//! use webstomp::{App, Json, Path, Router, State, frame::Headers};
//!
//! #[derive(Clone)]
//! struct Database;
//!
//! // The destination's parameters, a header and the body.
//! async fn post(
//!     State(_database): State<Database>,
//!     Path((room, id)): Path<(String, u64)>,
//!     headers: Headers,
//!     text: String,
//! ) {
//!     println!("{room} {id}: {text} ({:?})", headers.get("priority"));
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Settings {
//!     dark: bool,
//! }
//!
//! // Answers the subscription with one message. The client stays subscribed.
//! async fn settings() -> Json<Settings> {
//!     Json(Settings { dark: true })
//! }
//!
//! let rooms = Router::new().send("/{room}/messages/{id}", post);
//!
//! let app: App = App::new()
//!     // Adds the routes of another router under a prefix. `App::merge` adds them without one.
//!     .nest("/rooms", rooms)
//!     .subscribe("/settings", settings)
//!     .with_state(Database);
//! ```
//!
//! Handlers that take [`State`] need [`App::with_state`] before the app can listen or be mounted. Without it, the
//! compiler reports the missing state.
//!
//! A type of your own becomes an argument by [`FromRequestParts`]. It may wait, for example for a database:
//!
//! ```
//! use webstomp::{App, BoxError, ClientError, FromRequestParts, Principal, Request};
//!
//! #[derive(Clone)]
//! struct Database;
//!
//! # impl Database { async fn account(&self, _: &str) -> Result<Option<u32>, std::io::Error> { Ok(Some(7)) } }
//! struct Account(u32);
//!
//! impl FromRequestParts<Database> for Account {
//!     async fn from_request_parts(request: &Request, database: &Database) -> Result<Self, BoxError> {
//!         let user = Principal::from_request_parts(request, database).await?;
//!         let account = database.account(user.name()).await?;
//!         let none = || ClientError::new("no-account", "Open an account first.");
//!         Ok(Account(account.ok_or_else(none)?))
//!     }
//! }
//!
//! async fn pay(Account(number): Account, _amount: String) {
//!     println!("account {number}");
//! }
//!
//! let app: App = App::new().send("/payments", pay).with_state(Database);
//! ```
//!
//! The last argument may be the whole [`Request`]. So a handler can check a request, change it, and pass it to another
//! service, whose [`Response`] it returns.
//!
//! # Logging in
//!
//! The connect handler decides who may connect, and as which [`Principal`]. An error refuses the client. The example
//! `login` of the repository is a site with all that follows, in one file.
//!
//! ## With a password or a token
//!
//! Browsers cannot set HTTP headers on a WebSocket, so passwords and tokens come in the headers of the `CONNECT` frame:
//!
//! ```
//! use webstomp::{App, ClientError, Principal, frame::{Headers, header}};
//!
//! # fn user_of(token: &str) -> Option<String> { Some(token.to_owned()) }
//! async fn log_in(headers: Headers) -> Result<Principal, ClientError> {
//!     // Clients have `passcode` for passwords, and any header for tokens.
//!     let login = headers.get(header::LOGIN).unwrap_or_default();
//!     if headers.get(header::PASSCODE) == Some("open sesame") {
//!         return Ok(Principal::new(login));
//!     }
//!     headers
//!         .get("Authorization")
//!         .and_then(|value| value.strip_prefix("Bearer "))
//!         .and_then(user_of)
//!         .map(Principal::new)
//!         .ok_or_else(|| ClientError::new("unauthorized", "Wrong name, passcode or token."))
//! }
//!
//! // A handler that takes a `Principal` refuses clients that have not logged in.
//! async fn whoami(principal: Principal) -> String {
//!     principal.to_string()
//! }
//!
//! let app: App = App::new().connect(log_in).subscribe("/whoami", whoami);
//! ```
//!
//! With `@stomp/stompjs`: `connectHeaders: { Authorization: "Bearer …" }`. Names of STOMP headers are case-sensitive.
//!
//! ## With a cookie
//!
//! Browsers do send cookies with the WebSocket handshake. [`Peer::request`] is the head of that HTTP request. It also has
//! the extensions that an HTTP layer has added, if [`keep_extension`](server::Upgrade::keep_extension) names them.
//!
//! ```
//! use webstomp::{App, ClientError, Peer, Principal};
//!
//! # fn user_of(session: &str) -> Option<String> { Some(session.to_owned()) }
//! async fn log_in(peer: Peer) -> Result<Principal, ClientError> {
//!     let cookies = peer
//!         .request
//!         .as_ref()
//!         .and_then(|request| request.headers.get("cookie")?.to_str().ok())
//!         .unwrap_or_default();
//!     cookies
//!         .split("; ")
//!         .find_map(|cookie| cookie.strip_prefix("session="))
//!         .and_then(user_of)
//!         .map(Principal::new)
//!         .ok_or_else(|| ClientError::new("login-required", "Log in on the web site first."))
//! }
//!
//! let app: App = App::new().connect(log_in);
//! ```
//!
//! By default, browsers may connect only from pages of the same origin, so other sites cannot use your users' cookies:
//! see [`server::Origins`]. A client that sends a cookie without an `Origin` is refused. Behind a proxy, the proxy must
//! keep the `Host`, or [`Config::origins`](server::Config::origins) must list the site. On a connection from the same
//! machine,
//! the `Host` must be an address or `localhost`, or [`Config::hosts`](server::Config::hosts) must list it, or the proxy
//! must add `X-Forwarded-For`, `Forwarded` or `Via`: otherwise a page could make its own name point to your server.
//!
//! ## Credentials that expire
//!
//! [`Session::expires_at`] sets the time at which a session ends, with the error `credentials-expired`. A client may
//! connect again with a new token, or send it in time and stay connected:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use webstomp::{App, ClientError, Principal, Session, frame::{Headers, header}};
//!
//! // The user of a token, and the time for which the token is still valid.
//! # fn verify(token: &str) -> Option<(Principal, Duration)> { Some((token.into(), Duration::from_secs(60))) }
//! fn accept(session: &Session, token: &str) -> Result<Principal, ClientError> {
//!     let invalid = || ClientError::new("unauthorized", "The token is not valid.");
//!     let (user, valid_for) = verify(token).ok_or_else(invalid)?;
//!     // A session keeps the principal with which it has connected.
//!     if session.principal().is_some_and(|known| *known != user) {
//!         return Err(invalid());
//!     }
//!     session.expires_at(Instant::now() + valid_for);
//!     Ok(user)
//! }
//!
//! async fn connect(session: Session, headers: Headers) -> Result<Principal, ClientError> {
//!     accept(&session, headers.get(header::PASSCODE).unwrap_or_default())
//! }
//!
//! // SEND /token: the body is a new token.
//! async fn renew(session: Session, token: String) -> Result<(), ClientError> {
//!     accept(&session, &token).map(drop)
//! }
//!
//! let app: App = App::new().connect(connect).send("/token", renew);
//! ```
//!
//! When a user logs out, or loses a role, close the sessions: [`Sessions::close`].
//!
//! ## After the login
//!
//! A [`Principal`] can have roles, and a value of your own. The policies of [`middleware`] protect routes, and
//! [`Router::require_policies`] makes sure that every destination has one. The rules of a
//! [broker](#who-may-publish-and-subscribe) know principals and roles. To limit what one user takes with many sessions,
//! set [`max_sessions_per_principal`](session::Config::max_sessions_per_principal),
//! [`max_subscriptions_per_principal`](session::Config::max_subscriptions_per_principal) and
//! [`RejectOverRateLayer::per_principal`](middleware::RejectOverRateLayer::per_principal).
//!
//! # Connected sessions
//!
//! [`Sessions`] is the registry of connected sessions. [`App::sessions`] returns it, and handlers can take it as an
//! argument. It knows the sessions of this process. A session leaves it when its end begins, before its last handlers
//! run.
//!
//! ```
//! use webstomp::{App, Principal, session::CloseCode};
//!
//! // Clients subscribe to /notices, and get what is sent to their sessions.
//! let app: App = App::new().inbox("/notices");
//! let sessions = app.sessions();
//!
//! // Anywhere in the application:
//! let ann = Principal::new("ann");
//! println!("{} sessions are connected", sessions.len());
//! if sessions.send(&ann, "/notices", "Your order has left.").is_err() {
//!     println!("ann is not subscribed to /notices");
//! }
//! sessions.close_with(&ann, CloseCode::Policy, "Your account is closed.");
//! ```
//!
//! [`Session::close_with`] says how a client sees the reason. A handler that takes a [`Session`] can send to the client
//! that it serves: [`Session::message`], [`Session::error`], [`Session::observe`]. [`Session::closed`] waits for its end,
//! and [`Session::subscriptions`] lists its subscriptions.
//!
//! An id of a session is short text that fits into a URL. Handlers of an HTTP server can use it:
//!
//! ```
//! use axum::{Router, extract::{Path, State}, http::StatusCode, routing::delete};
//! use webstomp::{App, Sessions, session::{CloseCode, SessionId}};
//!
//! async fn kick(State(sessions): State<Sessions>, Path(id): Path<SessionId>) -> StatusCode {
//!     match sessions.get(id) {
//!         Some(session) => {
//!             session.close_with(CloseCode::Policy, "Closed by the operator.");
//!             // Until its last handler has ended, and its connection is closed.
//!             session.closed().await;
//!             StatusCode::NO_CONTENT
//!         }
//!         None => StatusCode::NOT_FOUND,
//!     }
//! }
//!
//! let app: App = App::new();
//! let http: Router = Router::new().route("/sessions/{id}", delete(kick)).with_state(app.sessions());
//! ```
//!
//! # Who is online
//!
//! [`Sessions::changes`] is the stream of sessions that join and leave. It begins with those that are connected already,
//! and tells when a user comes online with a first session, and goes offline with the last. One task reads it, and
//! publishes for all clients that watch:
//!
//! ```
//! use futures_util::StreamExt;
//! use webstomp::{App, IntoSubscribeResponse, Json, Observe, Principal, Sessions, State, Topic};
//!
//! type Online = Topic<Json<Vec<Principal>>>;
//!
//! async fn publish_users(sessions: Sessions, online: Online) {
//!     let mut changes = sessions.changes();
//!     while let Some(change) = changes.next().await {
//!         if change.came_online().or(change.went_offline()).is_some() {
//!             // The names, as JSON. This is publishing in memory, and cannot fail for a list of names.
//!             let _ = online.publish(Json(sessions.principals()));
//!         }
//!     }
//! }
//!
//! // SUBSCRIBE /online: the list now, and after each change.
//! async fn watch(State(online): State<Online>, sessions: Sessions) -> impl IntoSubscribeResponse {
//!     let changes = online.subscribe();
//!     Observe(changes).starting_with([Json(sessions.principals())])
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let online = Online::new();
//! let app = App::new().subscribe("/online", watch);
//! tokio::spawn(publish_users(app.sessions(), online.clone()));
//! let app: App = app.with_state(online);
//! # }
//! ```
//!
//! Do not publish such a list from the handlers of [`App::connected`] and [`App::disconnect`]: those of two sessions run
//! at the same time, and the older list may be published last.
//!
//! With several processes, each knows its own sessions. [`Presence::node`](session::Presence::node) names the process
//! in what they tell each other.
//!
//! # Rooms
//!
//! A subscription is a good measure of who is in a room, because its end is certain: the handler of
//! [`App::unsubscribe`] runs once for each subscription that the handler of [`App::subscribe`] has accepted, also if the
//! client vanishes or is closed. The app has a [topic](#topics) for each room in which somebody is:
//!
//! ```
//! use std::{collections::HashMap, sync::{Arc, Mutex, PoisonError}};
//! use webstomp::{App, BoxError, IntoSubscribeResponse, Observe, Path, Session, State, Topic};
//!
//! #[derive(Default)]
//! struct Room {
//!     messages: Topic<String>,
//!     members: usize,
//! }
//!
//! #[derive(Clone, Default)]
//! struct Rooms(Arc<Mutex<HashMap<String, Room>>>);
//!
//! impl Rooms {
//!     fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Room>) -> T) -> T {
//!         act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
//!     }
//! }
//!
//! async fn enter(State(rooms): State<Rooms>, Path(name): Path<String>, session: Session) -> impl IntoSubscribeResponse {
//!     rooms.with(|rooms| {
//!         let room = rooms.entry(name).or_default();
//!         room.members += 1;
//!         Observe(room.messages.subscribe_for(&session))
//!     })
//! }
//!
//! async fn leave(State(rooms): State<Rooms>, Path(name): Path<String>) {
//!     rooms.with(|rooms| {
//!         if let Some(room) = rooms.get_mut(&name) {
//!             room.members -= 1;
//!             if room.members == 0 {
//!                 rooms.remove(&name);
//!             }
//!         }
//!     });
//! }
//!
//! // Sends to all in the room, but not back to the sender.
//! async fn say(
//!     State(rooms): State<Rooms>,
//!     Path(name): Path<String>,
//!     session: Session,
//!     text: String,
//! ) -> Result<(), BoxError> {
//!     match rooms.with(|rooms| Some(rooms.get(&name)?.messages.clone())) {
//!         Some(messages) => messages.publish_except(&session, text),
//!         None => Ok(()),
//!     }
//! }
//!
//! let app: App = App::new()
//!     .subscribe("/rooms/{room}", enter)
//!     .unsubscribe("/rooms/{room}", leave)
//!     .send("/rooms/{room}", say)
//!     .with_state(Rooms::default());
//! ```
//!
//! The example `chat` of the repository shows the names of those in a room.
//!
//! # Streams
//!
//! [`Observe`] answers a subscription with any `Stream`. The stream is polled only while the client takes its messages,
//! and dropped when the subscription ends.
//!
//! ```
//! use futures_util::stream;
//! use webstomp::{App, IntoSubscribeResponse, Observe};
//!
//! async fn count() -> impl IntoSubscribeResponse {
//!     let numbers = stream::unfold(1, async |number: u64| Some((number.to_string(), number + 1)));
//!     Observe(numbers)
//! }
//!
//! let app: App = App::new().subscribe("/numbers", count);
//! ```
//!
//! The subscription ends with its stream, and the client does not see it. A handler that returns `()` or one message
//! keeps the subscription open.
//!
//! The crate `tokio-stream` makes streams of tokio's channels: `WatchStream` sends the latest value. `BroadcastStream`
//! gives an error when the client is too slow, which ends the subscription; [`Observe`] shows a stream that reports the
//! gap, and a [`Topic`] has other policies.
//!
//! # Topics
//!
//! A [`Topic`] sends each published message to all its subscribers. Each subscriber has a bounded backlog, so slow
//! clients do not block others. [`session::Overflow`] selects what happens when a backlog is full.
//!
//! ```
//! use webstomp::{App, BoxError, IntoSubscribeResponse, Observe, State, Topic};
//! use webstomp::session::{BacklogConfig, Overflow};
//!
//! async fn join(State(room): State<Topic<String>>) -> impl IntoSubscribeResponse {
//!     // The client gets the first message, and then everything that is published.
//!     Observe(room.subscribe()).starting_with(["Welcome.".to_owned()])
//! }
//!
//! async fn say(State(room): State<Topic<String>>, text: String) -> Result<(), BoxError> {
//!     room.publish(text)
//! }
//!
//! let backlogs = BacklogConfig::default().max_messages(1_000).overflow(Overflow::DropOldest);
//! let app: App = App::new()
//!     .subscribe("/room", join)
//!     .send("/room", say)
//!     .with_state(Topic::with_backlogs(backlogs));
//! ```
//!
//! With [`Overflow::Wait`](session::Overflow::Wait), publishers wait for a subscriber that is slow for a moment: those of
//! the topic only, for the patience together at most, and then the slow subscribers are disconnected. A broker's topics
//! can have it: see [`MemoryConfig::backlog`](broker::MemoryConfig::backlog). [`Topic::publish`] never waits, so for it the
//! policy disconnects at once.
//!
//! A message exists once, however many backlogs it waits in. A [memory budget](#limits) counts these messages. Topics
//! share one with [`Topic::with_budget`]; without that, each has its own.
//!
//! # Broker
//!
//! A [`Broker`](broker::Broker) has topics and queues like other message brokers: topic patterns, competing consumers,
//! acknowledgments, redelivery, dead letters, destinations of users and temporary queues. [`App::broker`] mounts it
//! under `/topic/`, `/queue/`, `/user/` and `/temp-queue/`.
//!
//! ```
//! use webstomp::{App, BoxError, Path, State, broker::Broker, session::Destination};
//!
//! // A route of the app takes precedence over the broker. This one publishes for the client.
//! async fn say(State(broker): State<Broker>, Path(room): Path<String>, text: String) -> Result<(), BoxError> {
//!     // Exactly one segment after the prefix: a name such as `lobby.secret` or `*` is refused.
//!     let room = Destination::from_segments("/topic/rooms", [&room])?;
//!     broker.publish(room, text).await
//! }
//!
//! # fn main() -> Result<(), BoxError> {
//! let broker = Broker::new(Default::default())?;
//! let app: App = App::new()
//!     .broker(&broker)
//!     .send("/rooms/{room}", say)
//!     .with_state(broker);
//! # Ok(())
//! # }
//! ```
//!
//! Messages for one user go to `/user/` destinations: [`Broker::send_to_user`](broker::Broker::send_to_user).
//!
//! # Request and reply
//!
//! A client asks with the header `reply-to`, and may add a `correlation-id`, which the answer repeats.
//!
//! A handler that returns a [`Reply`] answers to a subscription of the same session, without a broker; the client
//! subscribes to the destination in `reply-to` before it asks. With a broker, a client usually takes a temporary queue of
//! its own, such as `reply-to:/temp-queue/replies`. It may subscribe to it, but [need not](broker#replies), so that
//! `RxStompRPC` of rx-stomp works without a configuration. Anything may answer:
//! another client, which sends to the name that it finds in `reply-to`; a handler, which takes the whole [`Request`]; or
//! a worker of the application. The last two call [`Broker::reply`](broker::Broker::reply):
//!
//! ```
//! use futures_util::StreamExt;
//! use webstomp::{
//!     App, BoxError, Request, State,
//!     broker::{Broker, Config, Rules, Who},
//!     session::Settlement,
//! };
//!
//! // SEND /time: a handler answers at once.
//! async fn time(State(broker): State<Broker>, request: Request) -> Result<(), BoxError> {
//!     broker.reply(&request, "12:30").await
//! }
//!
//! // SEND /queue/reports: a worker takes requests from a queue, one after the other.
//! async fn work(broker: Broker) -> Result<(), BoxError> {
//!     let mut requests = broker.subscribe("/queue/reports").await?;
//!     while let Some(request) = requests.next().await {
//!         let request = request?;
//!         // A request that cannot be answered is done too.
//!         if let Err(error) = broker.reply(&request, "the report").await {
//!             eprintln!("no answer: {error}");
//!         }
//!         request.settle(Settlement::Acked);
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let rules = Rules::default().send("/queue/reports", Who::Authenticated);
//! let broker = Broker::new(Config::default().rules(rules))?;
//! tokio::spawn(work(broker.clone()));
//! let app: App = App::new().broker(&broker).send("/time", time).with_state(broker);
//! # Ok(())
//! # }
//! ```
//!
//! An answer goes only where its asker could send it: to a temporary queue of the asker, to the name of a temporary
//! queue that the asker was given, or to a destination to which the rules let it send. The broker refuses a `SEND` with
//! any other `reply-to`, and `reply` refuses such a request of a handler. So do not publish to the text of a `reply-to`;
//! a client could make the application write anywhere. To pass on a request to a worker, see
//! [`Broker::reply_to`](broker::Broker::reply_to).
//!
//! A client may use a new temporary queue for each request, and unsubscribe after the answer. An answer that comes too
//! late goes nowhere, and never to another queue.
//!
//! # Who may publish and subscribe
//!
//! By default, the clients of a broker may not send. They may subscribe to topics, to the `/user/` destinations of
//! their principal, and to their own temporary queues. Queues, including the dead-letter queue, need a rule. The
//! application's own code may publish and subscribe everywhere.
//!
//! [`Rules`](broker::Rules) replace this default. The first rule whose pattern matches decides. If no rule matches, the
//! client is refused. The following rules let users read their own topics, and staff write to all of them:
//!
//! ```
//! use webstomp::{
//!     App, ClientError, Principal,
//!     broker::{Broker, Config, Rules, Who},
//!     frame::{Headers, header},
//! };
//!
//! async fn log_in(headers: Headers) -> Result<Principal, ClientError> {
//!     // Check the passcode here.
//!     match headers.get(header::LOGIN) {
//!         Some("root") => Ok(Principal::new("root").with_role("staff")),
//!         Some(name) => Ok(Principal::new(name)),
//!         None => Err(ClientError::new("login-required", "Log in first.")),
//!     }
//! }
//!
//! # fn main() -> Result<(), webstomp::BoxError> {
//! let rules = Rules::new()
//!     // `{user}` is the name of the client's principal.
//!     .subscribe("/topic/users.{user}.>", Who::Authenticated)
//!     .send("/topic/users.>", Who::role("staff"));
//! let broker = Broker::new(Config::default().rules(rules))?;
//! let app: App = App::new().connect(log_in).broker(&broker);
//! # Ok(())
//! # }
//! ```
//!
//! Rules see parsed destinations. The client `ann` may subscribe to `/topic/users.ann.mail`, to
//! `/topic/users/ann/mail`, which is the same topic, and to `/topic/users.ann.>`. She may not subscribe to
//! `/topic/users.bob.mail`. Nor may she subscribe to `/topic/users.*.mail` or `/topic/>`, which match topics of others.
//! So no spelling and no pattern gets around a rule. `{user}` is one segment: a name with a `.` or a `/` in it, such as
//! an e-mail address, matches nothing, so use an id as the name of the principal. [`Rules`](broker::Rules) has the
//! details, and [`Who`](broker::Who) lists other kinds of clients.
//!
//! For permissions that rules cannot express, let a handler publish for the client, as above. To put a policy in front
//! of the whole broker, use [`broker_routes`]. The rules count as a policy for [`Router::require_policies`]. Policies of
//! single routes are not asked about the header `reply-to`, so let the rules refuse what such a policy protects.
//!
//! A route of your own below a broker's prefix also gets all spellings of a destination. A subscription to a pattern
//! that covers one of its destinations is refused with `forbidden`. A layer around the whole app has no such
//! protection. To compare a destination, it must use [`may_match`](session::Destination::may_match) of
//! [`request.destination()`](session::Request::destination).
//!
//! # Errors
//!
//! A handler's error becomes an `ERROR` frame, and the session stays open. If the request asked for a receipt, the
//! `ERROR` has the header `receipt-id`. If a subscription was refused or has failed, the `ERROR` has its id in the
//! header `subscription`.
//!
//! The client sees an error's code and text only if the error is a [`ClientError`], or contains one. Any other error is
//! shown as `internal-error`, and logged with its session and route: see [Operation](#operation).
//!
//! A handler may return any error type. A `ClientError` in it is found behind `?`, in an `anyhow::Error` with or without
//! context, in a variant of an enum, and anywhere in a chain of sources:
//!
//! ```
//! use anyhow::Context;
//! use webstomp::{App, ClientError};
//!
//! fn reserve(article: &str) -> Result<(), ClientError> {
//!     Err(ClientError::new("out-of-stock", format!("There is no {article} left.")))
//! }
//!
//! // The client sees `out-of-stock`. It sees `internal-error` if the file cannot be read.
//! async fn order(article: String) -> anyhow::Result<()> {
//!     let _prices = std::fs::read("prices.csv").context("no prices")?;
//!     reserve(&article).context("while ordering")
//! }
//!
//! // An enum of your own, with thiserror.
//! #[derive(Debug, thiserror::Error)]
//! enum CancelError {
//!     #[error(transparent)]
//!     Client(#[from] ClientError),
//!     #[error("the order cannot be read")]
//!     Io(#[from] std::io::Error),
//! }
//!
//! async fn cancel(article: String) -> Result<(), CancelError> {
//!     Ok(reserve(&article)?)
//! }
//!
//! let app: App = App::new().send("/orders", order).send("/cancellations", cancel);
//! ```
//!
//! To give the client another error than the one that occurred, write `.map_err(|_| ClientError::new(…))?`, and not
//! `.context(ClientError::new(…))`: anyhow shows a context to others only as text, so the client would see `internal-error`.
//!
//! For an error type that is always meant for clients, write `impl From<MyError> for ClientError`, and return
//! `ClientError` from the handlers. Or map it for the whole app, with [`session::Config::error_mapper`]:
//!
//! ```
//! use webstomp::{App, ClientError, router::map_error, session::Config};
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("article {0} is out of stock")]
//! struct OutOfStock(u32);
//!
//! async fn order() -> Result<(), OutOfStock> {
//!     Err(OutOfStock(7))
//! }
//!
//! let config = Config::default().error_mapper(|error| match error.downcast_ref() {
//!     Some(OutOfStock(article)) => ClientError::new("out-of-stock", format!("Article {article} is sold out.")),
//!     // The default of an app.
//!     None => map_error(error),
//! });
//! let app: App = App::new().send("/orders", order).session_config(config);
//! ```
//!
//! A `ClientError` can have headers, a body such as JSON in place of its text, and can close the connection:
//! [`with_header`](ClientError::with_header), [`with_body`](ClientError::with_body),
//! [`with_close`](ClientError::with_close).
//!
//! A mistake of the application is not shown as the client's: a `Path` that does not fit its pattern, or an `Extension`
//! that no layer has inserted, is an `internal-error`, and the log names the argument, the handler and the route.
//!
//! A client that breaks the protocol or exceeds a limit gets an `ERROR`, and its connection is closed, as STOMP
//! demands. [`session`] lists the codes. [`session::Config::app_errors`] makes the application's errors close as well.
//!
//! # Middleware
//!
//! Any tower `Layer` wraps one handler, the routes of a router, the whole app or each session:
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceBuilder, limit::RateLimitLayer, timeout::TimeoutLayer};
//! use webstomp::{App, Handler, Router, middleware::RequirePrincipalLayer};
//!
//! async fn slow() {}
//! async fn search() {}
//!
//! // At most 50 searches run at a time; further requests get the error `overloaded`.
//! let limit = ServiceBuilder::new().load_shed().concurrency_limit(50);
//! let members = Router::new().send("/search", search.layer(limit)).layer(RequirePrincipalLayer);
//!
//! let app: App = App::new()
//!     .send("/slow", slow.layer(TimeoutLayer::new(Duration::from_secs(30))))
//!     .nest("/members", members)
//!     .layer(TimeoutLayer::new(Duration::from_secs(60)))
//!     .layer_per_session(RateLimitLayer::new(100, Duration::from_secs(1)));
//! ```
//!
//! | method | wraps | its service |
//! |---|---|---|
//! | [`Handler::layer`] | one handler | must be `Clone` |
//! | [`Router::layer`] | each route that the router has so far, one by one, and its fallback | must be `Clone` |
//! | [`App::layer`] | the whole app, once; also requests without a route | must be `Clone` |
//! | [`App::layer_per_session`] | each session, built for each connection | need not be `Clone` |
//!
//! The simplest middleware of your own is a function: see [`middleware::from_fn`]. [`router`] shows a complete layer. A
//! layer can change the destination, the headers and the body of a [`Request`] before a handler or a broker gets it, and
//! the messages of a subscription with [`Delivery::map_message`](session::Delivery::map_message).
//! The client sees a layer's error like a handler's: only if it is a [`ClientError`]. [`middleware`] has layers that
//! know STOMP: for login, for the rate of a session or of a principal, and for traces.
//!
//! # HTTP on the same port
//!
//! [`App::http`] sets the service that answers all other HTTP requests on the app's ports: an axum router, or any tower
//! service for HTTP requests. The app bounds the connections, heads and bodies, and its shutdown ends within the drain
//! timeout, whatever clients do.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use webstomp::{App, BoxError, server::Shutdown};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let pages = Router::new().route("/", get(|| async { "Connect to /stomp." }));
//!     let app = App::new()
//!         .websocket_path("/stomp")
//!         .http(pages)
//!         .shutdown(Shutdown::on_signals()?);
//!     Ok(app.listen("127.0.0.1:8080").await?)
//! }
//! ```
//!
//! Each request has the extension [`SocketAddr`](std::net::SocketAddr); with the feature `axum`, handlers can take
//! `ConnectInfo<SocketAddr>`.
//!
//! # Mounting on an HTTP server
//!
//! [`App::into_service`] makes a tower service that answers WebSocket handshakes. It knows a connection only from its
//! handshake on. Until then, everything depends on the HTTP server: it must bound the time for a head and the bytes that
//! it buffers of one, idle connections, and the number of connections. axum's `serve` bounds the bytes of a head, to
//! about 400 KiB, and nothing else. It also waits for silent connections when it shuts down, so the example does not wait
//! for axum alone.
//!
//! Only the HTTP server knows the peer's address. [`peer_addr`](server::Upgrade::peer_addr) tells the app how to find it
//! in a request. Without that, [`Peer::address`] is `None`, limits per address do not apply, and connections from the
//! same machine are not recognized, for which the `Host` is checked ([`Config::hosts`](server::Config::hosts)).
//!
//! ```no_run
//! use axum::extract::ConnectInfo;
//! use std::{future::IntoFuture, net::SocketAddr};
//! use webstomp::{App, BoxError, server::Shutdown};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let shutdown = Shutdown::on_signals()?;
//!     let stomp = App::new()
//!         .shutdown(shutdown.clone())
//!         .into_service()?
//!         .peer_addr(|request| request.get::<ConnectInfo<SocketAddr>>().map(|info| info.0));
//!     let http = axum::Router::new()
//!         .route_service("/stomp", stomp)
//!         .into_make_service_with_connect_info::<SocketAddr>();
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     let serving = axum::serve(listener, http).with_graceful_shutdown(shutdown.started());
//!     tokio::select! {
//!         served = serving.into_future() => served?,
//!         () = shutdown.finished() => {}
//!     }
//!     // HTTP servers do not wait for their WebSockets.
//!     shutdown.finished().await;
//!     Ok(())
//! }
//! ```
//!
//! # Addresses and proxies
//!
//! [`Peer::address`] is the address of the connection. On your own HTTP server,
//! [`peer_addr`](server::Upgrade::peer_addr) tells the app how to find it in a request. With the feature `axum`, the app
//! finds axum's `ConnectInfo<SocketAddr>` itself. Without an address, limits per address do not apply, and all clients
//! share the [places](server::ConnectionLimits) of one address.
//!
//! Behind a reverse proxy, all connections come from the proxy's address. List the proxy in
//! [`trusted_proxies`](server::Config::trusted_proxies), and the client's address is taken from `X-Forwarded-For` or
//! `Forwarded`:
//!
//! ```
//! use webstomp::{App, server::{Config, TrustedProxies}};
//!
//! # fn main() -> Result<(), webstomp::BoxError> {
//! let proxies = TrustedProxies::new(["127.0.0.1", "10.0.0.0/8"])?;
//! let app: App = App::new().server_config(Config::default().trusted_proxies(proxies));
//! # Ok(())
//! # }
//! ```
//!
//! # Listeners and shutdown
//!
//! [`App::listen`] serves WebSockets on one address. [`App::serve`] takes any number of
//! [`Listeners`](server::Listeners): for WebSockets, for STOMP directly over TCP like other brokers, and with TLS by
//! the feature `tls`.
//!
//! ```no_run
//! use webstomp::{App, BoxError, server::{Listeners, Shutdown, bind}};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let listeners = Listeners::new()
//!         .websocket(bind("0.0.0.0:8080").await?)
//!         .byte_stream(bind("127.0.0.1:61613").await?);
//!     Ok(App::new().shutdown(Shutdown::on_signals()?).serve(listeners).await?)
//! }
//! ```
//!
//! A [`Shutdown`](server::Shutdown) stops an app. New connections are refused; sessions finish the requests they have
//! already read, send their receipts and close with 1001; connections still open after 30 s are closed. The example
//! `tls` of the repository shows certificates of the server and of clients. A `server::tls::TlsConfig` replaces the
//! certificates without a restart.
//!
//! # Operation
//!
//! **Log.** Everything is logged through `tracing`. Without a subscriber, such as
//! `tracing_subscriber::fmt().init()`, nothing is shown. A subscriber must not panic when its log cannot be written, as on
//! a full disk: this one reports that with `eprintln!`, which panics if the standard error output fails as well, unless
//! `log_internal_errors(false)` is set. Each session has a span `session` with its `id`, the address of its `peer`, the
//! `transport` and the name of the `principal`; everything that is logged for the session is in it. At `DEBUG`, each
//! request has a span `request` with its command and route.
//!
//! | event | level | fields |
//! |---|---|---|
//! | listening on a port | `INFO` | `address`, `protocol` |
//! | a client is connected | `DEBUG` | |
//! | a session has ended | `INFO`; `WARN` if the server closed it for a fault of the client or an error | `reason`, the code of the `ERROR`, the close code, duration, frames and bytes in both directions, dropped messages |
//! | a connection or a handshake was refused: a limit, the `Origin`, a wrong protocol, a timeout | `WARN` | `reason`, `peer` |
//! | a connection was closed to make room for another address | `WARN` | `reason`: `displaced`, `peer` |
//! | a handler failed or panicked | `ERROR` | `error` |
//! | a handler took too long | `WARN` | `timeout` |
//!
//! Anybody can cause faults, so a `WARN` about one kind of refusal or fault appears at most once in 10 s, with the
//! number of events since the last one in `count`. In between, connected sessions that end are logged at `INFO`, and
//! everything else at `DEBUG`. Headers (except a refused `Origin` and its `Host`), bodies and the texts of errors are
//! never logged, so no secret is. [`TraceLayer`](middleware::TraceLayer) also logs destinations and the outcome of each
//! request.
//!
//! **Metrics.** With the feature `metrics`, an app counts through the crate `metrics`, whose
//! exporters serve Prometheus and other systems. Install the exporter before the app is served or mounted. A broker is
//! measured by [`BrokerMetrics`](broker::BrokerMetrics), at intervals.
//!
//! | metric | type | labels | value |
//! |---|---|---|---|
//! | `webstomp_connections` | gauge | | open connections |
//! | `webstomp_unauthenticated_connections` | gauge | | open connections that have not logged in, without those for HTTP |
//! | `webstomp_http_connections` | gauge | | open connections that are used for HTTP requests |
//! | `webstomp_refusals_total` | counter | `reason` | refused connections and handshakes; with the reason `displaced`, connections that were closed to make room |
//! | `webstomp_sessions` | gauge | | connected sessions |
//! | `webstomp_sessions_ended_total` | counter | `reason` | ended sessions, also those that never were connected: the name of a [`DisconnectReason`] |
//! | `webstomp_logins_refused_total` | counter | | refused `CONNECT`s |
//! | `webstomp_slow_consumers_total` | counter | | sessions that were closed because the client read too slowly |
//! | `webstomp_requests_total` | counter | `command`, `route`, `outcome` | requests, also [those of the session itself](session::Request::is_from_peer); the outcome is `ok`, `refused`, `failed`, `panic`, `timeout`, `overloaded` or `cancelled` |
//! | `webstomp_request_seconds` | histogram | `command`, `route` | time from the call of the handler, with its layers, to its answer |
//! | `webstomp_frames_received_total` | counter | `command` | frames received |
//! | `webstomp_frames_sent_total` | counter | `command` | frames sent; messages are those with the command `MESSAGE` |
//! | `webstomp_messages_redelivered_total` | counter | | messages sent that were delivered before |
//! | `webstomp_messages_dropped_total` | counter | | messages of which a subscriber was told that they were dropped |
//! | `webstomp_received_bytes_total` | counter | | bytes received |
//! | `webstomp_sent_bytes_total` | counter | | bytes written to the network |
//! | `webstomp_unsent_bytes` | gauge | | bytes that wait to be written |
//! | `webstomp_queue_messages` | gauge | `queue` | messages that wait in queues |
//! | `webstomp_queue_unacknowledged` | gauge | `queue` | messages delivered and not yet acknowledged |
//! | `webstomp_queue_consumers` | gauge | `queue` | consumers of queues |
//! | `webstomp_topic_subscribers` | gauge | | subscriptions to topics of brokers |
//! | `webstomp_broker_published_total` | counter | | messages accepted by the broker |
//! | `webstomp_broker_delivered_total` | counter | | messages given to subscribers of topics, or acknowledged by consumers of queues |
//! | `webstomp_broker_dead_lettered_total` | counter | | messages that became dead letters |
//! | `webstomp_broker_expired_total` | counter | | messages that expired |
//! | `webstomp_broker_dropped_total` | counter | | messages of queues that were dropped |
//! | `webstomp_engine_up` | gauge | | 1 if the engine of the broker is up, 0.5 if it is degraded, 0 if it is down |
//! | `webstomp_memory_budget_used_bytes` | gauge | | bytes of the messages that count in the memory budget of the broker |
//! | `webstomp_memory_budget_limit_bytes` | gauge | | limit of this budget |
//!
//! No label has a value that a client chooses: `route` is the pattern of a route, empty without one, and `queue` is a
//! pattern that was given to `BrokerMetrics`, or `other`.
//!
//! **Monitors.** A [`Monitor`](session::Monitor) sees the frames that sessions receive and send, with `ERROR`, `RECEIPT`
//! and the messages of handlers, and the ends of requests and sessions: for an audit, or for metrics of your own.
//!
//! **Health.** [`Shutdown::health`](server::Shutdown::health) is an HTTP service for `/live` and `/ready`, for
//!   [`App::http`]
//! or another port. Call [`Shutdown::announce`](server::Shutdown::announce) some seconds before the shutdown starts, or
//! use [`Shutdown::on_signals_after`](server::Shutdown::on_signals_after), so that load balancers send nobody to a server
//! that is about to stop:
//!
//! ```no_run
//! use axum::Router;
//! use std::time::Duration;
//! use webstomp::{App, BoxError, server::Shutdown};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let shutdown = Shutdown::on_signals_after(Duration::from_secs(5))?;
//!     let http = Router::new()
//!         .route_service("/health/live", shutdown.health())
//!         .route_service("/health/ready", shutdown.health());
//!     let app = App::new().websocket_path("/stomp").http(http).shutdown(shutdown);
//!     Ok(app.listen("0.0.0.0:8080").await?)
//! }
//! ```
//!
//! Once the shutdown has started, the ports of the app answer new connections with 503, also those for `/live`.
//!
//! # Tests
//!
//! Handlers are tested without a connection: the routes of a [`Router`] are a tower service, and `App::from` takes the
//! same router.
//!
//! ```
//! use tower::ServiceExt;
//! use webstomp::{App, ClientError, Principal, Request, Router, frame::{Command, Frame}};
//!
//! async fn greet(principal: Principal, body: String) -> Result<(), ClientError> {
//!     match body.as_str() {
//!         "" => Err(ClientError::new("empty", format!("Say something, {principal}."))),
//!         _ => Ok(()),
//!     }
//! }
//!
//! fn routes() -> Router {
//!     Router::new().send("/greetings", greet)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), webstomp::BoxError> {
//! let frame = Frame::new(Command::Send).with_header("destination", "/greetings");
//! let request = Request::new(frame).with_principal(Principal::new("ann"));
//! let error = routes().build()?.oneshot(request).await.unwrap_err();
//! assert_eq!(error.to_string(), "empty: Say something, ann.");
//!
//! let app = App::from(routes());
//! # Ok(())
//! # }
//! ```
//!
//! A broker and its rules are tested in the same way: `broker_routes(&broker).build()?.oneshot(request)`. For a whole
//! app, bind a listener to port 0, serve the app on it, and connect any STOMP client.
//!
//! # Settings
//!
//! Each configuration has public fields, and setters of the same names:
//!
//! ```
//! use std::time::Duration;
//! use webstomp::{App, frame::Limits, server, server::ConnectionLimits, session};
//!
//! let session = session::Config::default()
//!     .limits(Limits::default().max_frame_bytes(64 << 10))
//!     .max_subscriptions(16)
//!     .handler_timeout(Duration::from_secs(10));
//! let server = server::Config::default()
//!     .connection_limits(ConnectionLimits::default().max_connections(1_000).max_per_address(20));
//!
//! let app: App = App::new().session_config(session).server_config(server);
//! ```
//!
//! An app with an impossible setting does not start: [`StartupError`] names the setting.
//!
//! # Limits
//!
//! The names are paths of fields: `server` is the [`server::Config`] of [`App::server_config`], `session` is the
//! [`session::Config`] of [`App::session_config`]. Limits hold for each session unless the table says otherwise.
//! "Closed" is followed by the WebSocket close code; a connection without WebSocket just ends.
//!
//! | setting | default | beyond it, the peer |
//! |---|---|---|
//! | `server.connection_limits.max_connections` | 16,384 connections of the server | gets 503; with TLS or without HTTP, is closed |
//! | `server.connection_limits.max_unauthenticated` | 1,024 connections that are not yet `CONNECTED` | the same; or takes the place of the address that holds most |
//! | `server.connection_limits.max_http` | 1,024 connections for HTTP requests | the same; first, the connection that is idle for the longest time is closed |
//! | `server.connection_limits.max_per_address` | none; connections of one address | the same |
//! | `server.connection_limits.max_per_second` | none; new connections a second | the same |
//! | `server.connection_limits.max_lingering` | 64 closing connections of a listener that send more than 64 KiB | is disconnected after 64 KiB |
//! | `server.handshake_timeout` | 5 s for TLS, then 5 s for HTTP | is disconnected |
//! | size of the HTTP head (fixed) | 16 KiB and 100 headers | gets 431 |
//! | `server.http.keep_alive_timeout` | 60 s from a response to the end of the next HTTP head | is disconnected |
//! | `server.http.stall_timeout`, `min_bytes_per_second` | 10 s behind 1,024 bytes a second, in the body of a request and in a response | is disconnected |
//! | `server.tcp_keepalive` | 60 s without traffic, then a minute of probes without an answer | is disconnected |
//! | `server.shutdown` | 30 s to finish | is closed with 1001; after 30 s, is disconnected |
//! | `server.socket.limits` | 16 KiB a frame before `CONNECTED`; otherwise as `session.limits` | as `session.limits` |
//! | `server.socket.max_write_buffer_bytes` | 64 KiB encoded and not written | is not read from |
//! | `session.limits.max_frame_bytes` | 256 KiB a frame | gets `ERROR` `too-large`, is closed with 1009 |
//! | `session.limits.max_head_bytes` | 16 KiB of command and headers | the same |
//! | `session.limits.max_line_bytes` | 8 KiB a header line | the same |
//! | `session.limits.max_headers` | 64 header lines | the same |
//! | `session.max_destination_bytes` | 255 bytes of a destination, and of a subscription's id | the same |
//! | `session.max_subscriptions` | 256 subscriptions, also implicit ones | gets `ERROR` `too-many-subscriptions`, is closed with 1002; a `SEND` that needs an implicit one is only refused |
//! | `session.max_sessions_per_principal` | none; sessions of one [`Principal`] | gets `ERROR` `too-many-sessions` to its `CONNECT`, is closed with 1008 |
//! | `session.max_subscriptions_per_principal` | none; subscriptions in all sessions of one [`Principal`], also implicit ones | gets `ERROR` `too-many-subscriptions`, stays open |
//! | [`RejectOverRateLayer`](middleware::RejectOverRateLayer) | none; `SEND` and `SUBSCRIBE` of a session, or of one [`Principal`] | gets `ERROR` `rate-limited` |
//! | `session.max_inbox_frames`, `max_inbox_bytes` | 32 frames and 256 KiB, read while a request is handled | is not read from |
//! | `session.max_outbound_frames`, `max_outbound_bytes` | 1,024 frames and 512 KiB unsent | is not read from, and its streams pause |
//! | `session.write_timeout` | 10 s in which the peer takes no bytes | is disconnected |
//! | `session.backlog` | 65,536 messages and 16 MiB, pushed and not yet sent; the same for each subscription to a topic | gets `ERROR` `slow-consumer`, is closed with 1008; or another [`Overflow`](session::Overflow) policy |
//! | `session.max_total_backlog_bytes` | 16 MiB in all mailboxes of the session | the same |
//! | `session.memory_budget` | 256 MiB of messages of [`Session::message`] in all sessions; or that of the broker, see below | the same, already at a sixteenth of `session.backlog` |
//! | `session.max_unacked_messages` | 256 messages of a subscription to a queue, sent and not acknowledged | gets no more of them until it acknowledges; a larger `prefetch-count` gets `ERROR` `prefetch-too-large` |
//! | `session.max_total_unacked_messages` | 65,536 of these messages, granted to all subscriptions of a session | a further `SUBSCRIBE` gets `ERROR` `prefetch-too-large` |
//! | `session.max_streams` | 16 streams of [`Session::observe`] for one subscription | is not affected: the call fails |
//! | errors of [`Session::error`] (fixed) | 64 errors and 64 KiB that wait for room | the same |
//! | `session.max_transactions` | 8 open transactions | gets `ERROR` `too-many-transactions`, is closed with 1002 |
//! | `session.max_transaction_frames`, `max_transaction_bytes` | 256 frames in one transaction, 1 MiB in all | gets `ERROR` `transaction-too-large`, is closed with 1002 |
//! | `session.connect_timeout` | 10 s to the last byte of `CONNECT` | gets `ERROR` `connect-timeout`, is closed with 1008 |
//! | `session.frame_timeout`, `min_frame_bytes_per_second` | 30 s from the first byte of a frame to its last, and 1 s more for each 1,024 bytes of it | gets `ERROR` `frame-timeout` with the `receipt-id` of the frame, is closed with 1008 |
//! | `session.handler_timeout` | 60 s for a request, and for all `UNSUBSCRIBE` requests at the end of a session together | gets `ERROR` `timeout`; if no service was ready, `overloaded`, and is closed with 1011 |
//! | `session.heart_beat` | 1,000 ms each way, or longer if the client wishes | gets `ERROR` `heart-beat-timeout` after twice that and 1 s, is closed with 1008 |
//! | `session.ping_interval`, `ping_timeout` | 25 s and 10 s, for WebSockets that promise no heart-beats | the same after both |
//! | size of a [`ClientError`] (fixed) | code 128 bytes, text 4 KiB, 16 headers and 4 KiB, body 64 KiB | gets the code and the text shortened, and no further headers or body |
//! | `session.linger_timeout`, `server.socket.max_linger_bytes` | 2 s and 4 MiB, to take the last frame | is disconnected |
//! | `session.close_timeout` | 10 s for a close, whatever the peer does | is disconnected |
//!
//! [`session::Config::worst_case`] computes the memory that one session may use.
//!
//! A [`MemoryBudget`](session::MemoryBudget) counts the bytes of all messages that wait for subscribers of topics and for
//! sessions, each message once, however many subscribers wait for it. Beyond its limit, the subscribers that hold back most
//! meet their overflow policy, although they are within their own bounds. An app shares the budget of its [`broker`](App::broker), or has that of [`App::memory_budget`].
//! [`MemoryBudget::from_machine`](session::MemoryBudget::from_machine) makes a budget that suits the container or machine.
//!
//! The limits of a broker's queues hold for all clients together, and are [shared among
//! them](broker::MemoryConfig#shares). `memory` is the [`broker::MemoryConfig`]; `queues` are its
//! [`broker::QueueSettings`], which may differ by pattern.
//!
//! | setting | default | beyond it |
//! |---|---|---|
//! | `memory.max_destinations` | 65,536 topics with subscribers, and as many queues | the peer gets `ERROR` `too-many-destinations` |
//! | `memory.max_total_queue_bytes` | 256 MiB in all queues | the peer gets `ERROR` `queue-full` |
//! | `memory.memory_budget` | 256 MiB of messages that wait for subscribers of the broker's topics and for the sessions of its app | the subscribers that hold back most meet the [`Overflow`](session::Overflow) policy of `memory.backlog`, other publishers wait sooner, and a warning is logged |
//! | `memory.queues.max_messages`, `max_bytes` | 10,000 messages and 16 MiB in a queue | the same, or the oldest message becomes a dead letter |
//! | `memory.queues.max_delivery_attempts` | 10 refusals of a message, by `NACK` | the message becomes a dead letter |
//! | `memory.queues.max_abandoned_deliveries` | 1,000 deliveries of a message that end without an answer | the message becomes a dead letter |
//! | `memory.queues.max_redelivery_delay` | 5 s before a refused message returns; 0, then 100 ms, doubled each time | |
//! | `memory.queues.time_to_live` | none; time that a message waits | the message expires |
//! | `memory.idle_timeout` | 60 s in which a queue is empty and without consumers | the queue is removed |
//!
//! # Extensions of the protocol
//!
//! STOMP allows a server to define headers of its own. The table lists all headers with a meaning in webstomp that the
//! specification does not define. A client that does not know them can still use everything else. "In" is a frame from
//! the client, and "out" is a frame to the client. If a [capability](broker::Capabilities) is named, a broker whose
//! engine lacks it refuses the header of a client with `not-supported`. All exist since version 0.1.
//!
//! | header | frame | meaning | capability of the engine |
//! |---|---|---|---|
//! | `prefetch-count` | in: `SUBSCRIBE` | at most so many unacknowledged messages; without it 256, or `session.max_unacked_messages` if that is less. Messages of topics do not count: they are not redelivered | |
//! | `redelivered:true` | out: `MESSAGE` | the message was delivered before, and not acknowledged | |
//! | `dropped-messages:N` | out: `MESSAGE` | N messages of the subscription are missing before this one | |
//! | `gap:unknown` | out: `MESSAGE` | messages may be missing before this one; their number is not known | |
//! | `reply-to`, `correlation-id` | in: `SEND`; a [`Reply`] repeats the second one | the destination of the reply, and an id for it | |
//! | `reply-to` | in: `SEND` to a broker | refused unless the sender may send there; see [Request and reply](#request-and-reply) | |
//! | `reply-to:/temp-queue/NAME` | in: `SEND` to a broker; out: `MESSAGE` | replies go to the sender's temporary queue, also without a `SUBSCRIBE`: then they have `subscription:/temp-queue/NAME`. The receiver sees its public name | [`temporary_queues`](broker::Capabilities::temporary_queues) |
//! | `user-id` | out: `MESSAGE` of a broker | the name of the sender's principal, if [`stamp_user_id`](broker::Config::stamp_user_id) is set; otherwise what the sender wrote | |
//! | `expires:MILLISECONDS` | in: `SEND` to a broker | the message is not delivered after this time since 1970; 0 means the same as no header | [`expiry`](broker::Capabilities::expiry) |
//! | `retain:set`, `retain:remove` | in: `SEND` to a topic | sets or removes the retained message of the topic | [`retained`](broker::Capabilities::retained), off in memory by default |
//! | `durable:true` | in: `SUBSCRIBE` to a broker | the subscription goes on without its session | [`durable`](broker::Capabilities::durable), not in memory |
//! | `exclusive:true` | in: `SUBSCRIBE` to a queue | the queue has no other consumer; otherwise `queue-in-use` | [`exclusive`](broker::Capabilities::exclusive) |
//! | `auto-delete:true` | in: `SUBSCRIBE` to a queue that does not exist | the queue and its messages go with its last consumer. For topics it has no meaning | [`auto_delete`](broker::Capabilities::auto_delete) |
//! | `original-destination` | out: `MESSAGE` of a dead letter | the queue that gave the message up | [`dead_letters`](broker::Capabilities::dead_letters) |
//! | `dead-letter-reason` | out: `MESSAGE` of a dead letter | `rejected`, `abandoned` or `overflow`: see [the broker](broker#queues) | [`dead_letters`](broker::Capabilities::dead_letters) |
//!
//! `durable:false`, `exclusive:false` and `auto-delete:false` mean the same as no header. A broker refuses other values of these headers, of
//! `retain` and of `expires` with `bad-request`. A session refuses a `prefetch-count` that is not a number above 0 with
//! `malformed-frame`. A sender cannot set `redelivered`, `dropped-messages`, `gap`, `original-destination`, nor any header
//! that begins with `dead-letter-`: a broker removes them. The headers `reply-to`, `correlation-id`, `expires` and
//! `retain` stay in the message; so does every header that is not listed here.
//!
//! Other brokers have headers that a broker of webstomp does not know. It refuses those that restrict or promise
//! something, with `not-supported` and the name of the header, because a client relies on them. It ignores those that are
//! only hints.
//!
//! | header | frame | a broker |
//! |---|---|---|
//! | `selector` | `SUBSCRIBE` | refuses it: no message is selected by an expression |
//! | `no-local`, `noLocal`, `activemq.noLocal` | `SUBSCRIBE` | refuses it, unless it is `false`: a session gets its own messages too |
//! | `browser` | `SUBSCRIBE` | the same: a subscription to a queue takes its messages |
//! | `persistent`, `activemq.retroactive`, `activemq.exclusive`, `x-single-active-consumer` | `SUBSCRIBE` | the same |
//! | `activemq.subscriptionName`, `durable-subscription-name`, `durable-subscriber-name`; `x-queue-…` and RabbitMQ's other arguments of queues, such as `x-message-ttl` and `x-max-length` | `SUBSCRIBE` | refuses it: clients neither name subscriptions nor set up queues |
//! | `expiration` | `SEND` | refuses it: `expires` is the header for this |
//! | `AMQ_SCHEDULED_…`, `_AMQ_SCHED_DELIVERY`, `x-delay` | `SEND` | refuses it: messages are not delayed |
//! | `JMSXGroupID`, `_AMQ_GROUP_ID`, `_AMQ_DUPL_ID` | `SEND` | refuses it: there are no groups of messages and no check for duplicates |
//! | `persistent`, `priority`, `timestamp`, `type` | `SEND` | passes it on without a meaning. Messages of the engine in memory do not survive the process, whatever `persistent` says |
//! | `activemq.prefetchSize`, `activemq.priority`, `activemq.dispatchAsync`, `x-priority` | `SUBSCRIBE` | ignores it. `prefetch-count` is the header for the first one |
//!
//! Over TCP, one LF follows each frame, as the specification allows; in a WebSocket message, nothing follows. Besides
//! the WebSocket sub-protocols `v12.stomp`, `v11.stomp` and `v10.stomp`, `stomp` is selected if no other is offered.
//!
//! Clients are not always as strict as the specifications. In STOMP 1.0, spaces around the value of a header are no part
//! of it, and `NACK` and `ack:client-individual` work as in 1.1. Numbers in `heart-beat`, `prefetch-count` and `expires`
//! may have spaces around them. A frame that cannot have a body may have a `content-length`, which means nothing.
//!
//! Three headers of the specification have a further meaning. The header `message` of an `ERROR` is a code, such as
//! `forbidden`, and the body is a sentence, unless the application has chosen another body or more headers. The `ERROR`
//! of a subscription has the header `subscription`. The
//! `destination` of a `SUBSCRIBE` may be a pattern: see [the broker](broker#destinations).
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | axum's `ConnectInfo<SocketAddr>`: found if the app is mounted on axum, and added to requests of [`App::http`] |
//! | `tls` | `server::tls`: listeners with TLS, by rustls; client certificates in [`Peer::tls`] |
//! | `metrics` | [metrics](#operation) of connections, sessions, requests and queues, for the crate `metrics` |
//!
//! None is on by default. To run a session over your own tokio-tungstenite WebSocket, depend on `stomp-socket` with its
//! feature `tungstenite`.
//!
//! # Crates
//!
//! Each layer is a crate that can be used without those above it.
//!
//! | module | crate | provides |
//! |---|---|---|
//! | [`frame`] | `stomp-frame` | the codec: frames from bytes, and bytes from frames |
//! | [`socket`] | `stomp-socket` | frames over a WebSocket or a byte stream |
//! | [`session`] | `stomp-session` | the protocol of one session: receipts, subscriptions, heart-beats; topics |
//! | [`router`] | `stomp-router` | routes from destinations to handlers, as a tower service |
//! | [`broker`] | `stomp-broker` | topics and queues across sessions |
//! | [`server`] | `stomp-server` | listeners, TLS, HTTP services and upgrades, origins, connection limits, shutdown |
//!
//! # Not here
//!
//! - No persistence: topics and queues live in memory. [`broker::Engine`] connects a broker to another message store.
//! - No cluster: a broker and a [`Sessions`] registry know the sessions of one process.
//! - No SockJS fallback, and no WebSocket compression.
//! - No client library.

#![forbid(unsafe_code)]

mod app;
mod broker_routes;
mod serve;
mod startup_error;

pub use app::App;
pub use broker_routes::broker_routes;
pub use startup_error::StartupError;

// These are inlined, so that the documentation of this crate contains everything that the crate re-exports.
#[doc(inline)]
pub use stomp_broker as broker;
#[doc(inline)]
pub use stomp_frame as frame;
#[doc(inline)]
pub use stomp_router as router;
#[doc(inline)]
pub use stomp_server as server;
#[doc(inline)]
pub use stomp_session as session;
#[doc(inline)]
pub use stomp_socket as socket;

#[doc(inline)]
pub use stomp_router::{
    Extension, FromRef, FromRequest, FromRequestParts, Handler, IntoConnectResponse,
    IntoSendResponse, IntoSubscribeResponse, Json, Observe, OptionalFromRequestParts, Path, Reply,
    Router, State, middleware,
};
#[doc(inline)]
pub use stomp_session::{
    BoxError, ClientError, Connected, DisconnectReason, Message, Peer, Principal, Request,
    Response, Session, Sessions, Topic,
};

/// Compiles the examples in the repository's README as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct RepositoryReadme;

/// Compiles the examples in this crate's README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
