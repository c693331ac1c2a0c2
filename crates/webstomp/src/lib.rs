//! STOMP servers over WebSocket, as simple as an HTTP framework.
//!
//! [STOMP](https://stomp.github.io) is an open protocol for messages by destination, with clients in every language:
//! in browsers usually `@stomp/stompjs`. An [`App`] is a server: handlers by destination, streams as subscriptions, any
//! tower `Layer` as middleware, on a port of its own or mounted on the HTTP server that is there already.
//!
//! ```no_run
//! use webstomp::{App, BoxError, Json, Observe, Path, State, IntoSubscribeResponse, Topic};
//!
//! type Prices = Topic<Json<f64>>;
//!
//! // SUBSCRIBE /prices: everything that is published from now on.
//! async fn watch(State(prices): State<Prices>) -> impl IntoSubscribeResponse {
//!     Observe(prices.subscribe())
//! }
//!
//! // SEND /prices/{article}: the body is JSON; an error is told to the client.
//! async fn set(State(prices): State<Prices>, Path(_article): Path<String>, price: Json<f64>) -> Result<(), BoxError> {
//!     prices.publish(price)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let app = App::new().subscribe("/prices", watch).send("/prices/{article}", set).with_state(Prices::new());
//!     Ok(app.listen("127.0.0.1:8080").await?)
//! }
//! ```
//!
//! A project needs `webstomp`, and `tokio` with the features `macros` and `rt-multi-thread`; for middleware `tower`, for
//! JSON of one's own `serde` with `derive`.
//!
//! # Routes
//!
//! | call | its handler runs when a client | and returns |
//! |---|---|---|
//! | [`App::connect`] | connects | `()`, a [`Principal`] or a [`Connected`]; an error refuses it |
//! | [`App::send`] | sends to a destination | `()`, or a [`Reply`] |
//! | [`App::subscribe`] | subscribes to one | `()`, one message, or [`Observe`] with a stream; an error refuses it |
//! | [`App::unsubscribe`] | unsubscribes | `()` |
//! | [`App::disconnect`] | is gone, however it went; [`DisconnectReason`] says how | `()` |
//! | [`App::fallback`] | sends or subscribes where there is no route | `()` |
//!
//! Each may return a `Result` of it. A client that asked for a receipt gets it when the handler has succeeded.
//! Patterns and what is answered where there is no handler: see [`Router`]. Arguments: see [`FromRequest`].
//!
//! A larger app is put together from routers: [`App::nest`] adds one behind a prefix, [`App::merge`] as it is.
//!
//! Handlers that take [`State`] need [`App::with_state`] before the app listens or is mounted. Without it the compiler says
//! that the router "still misses its state".
//!
//! # Logging in
//!
//! A connect handler decides who is let in, and under what name. Browsers cannot set HTTP headers on a WebSocket, so
//! names and tokens come in the headers of `CONNECT`:
//!
//! ```
//! use webstomp::{App, ClientError, Principal, frame::{Headers, header}};
//!
//! async fn log_in(headers: Headers) -> Result<Principal, ClientError> {
//!     let login = headers.get(header::LOGIN).unwrap_or_default();
//!     match headers.get(header::PASSCODE) {
//!         Some("open sesame") => Ok(Principal::new(login)),
//!         _ => Err(ClientError::new("unauthorized", "Wrong name or passcode.")),
//!     }
//! }
//!
//! // What only those may do who have logged in takes a `Principal`.
//! async fn whoami(who: Principal) -> String {
//!     who.to_string()
//! }
//!
//! let app: App = App::new().connect(log_in).subscribe("/whoami", whoami);
//! ```
//!
//! Who is connected is known by [`session::Config::sessions`], and what a peer logged in with ends at
//! [`Session::expires_at`].
//!
//! # Streams
//!
//! A stream can be anything that is a `Stream`, such as the numbers of this one:
//!
//! ```
//! use futures_util::stream;
//! use webstomp::{App, Observe, IntoSubscribeResponse};
//!
//! async fn count() -> impl IntoSubscribeResponse {
//!     Observe(stream::unfold(1, async |number: u64| Some((number.to_string(), number + 1))))
//! }
//!
//! let app: App = App::new().subscribe("/numbers", count);
//! ```
//!
//! # Topics and queues
//!
//! A [`Topic`] is for messages of one kind. A [`Broker`](broker::Broker) has destinations as other brokers
//! have them, with patterns, queues, acknowledgments and dead letters: [`App::broker`] mounts it. Clients may subscribe
//! then, and send only where [`broker::Config::send`] allows it, or where a route of the app's own publishes for them.
//!
//! # Errors
//!
//! A handler's error is told to the client as an `ERROR` frame, and the session goes on. The frame has the `receipt-id` of
//! a frame that asked for a receipt, and the `subscription` that is refused or has failed. The client sees the words of a
//! [`ClientError`] only; any other error is shown as `internal-error`, and logged with the crate `tracing`: to see it, set up a
//! subscriber such as `tracing_subscriber::fmt().init()`.
//! What breaks the protocol, or a limit, is answered by `ERROR` and the connection is closed, as STOMP demands.
//!
//! # Mounting on an HTTP server
//!
//! [`App::into_service`] gives a tower service for WebSocket handshakes:
//!
//! ```no_run
//! # async fn example() -> Result<(), webstomp::BoxError> {
//! let stomp = webstomp::App::new().into_service()?;
//! let http = axum::Router::new().route_service("/stomp", stomp);
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, http).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Listening, and going down
//!
//! [`App::serve`] takes any number of listeners: for WebSockets, for STOMP over TCP as brokers speak it, with TLS by the
//! feature `tls`. A [`Shutdown`](server::Shutdown) tells an app to go down: nobody is taken in any more, sessions finish
//! what they have begun, send their receipts and close with 1001, and who takes longer than 30 s is cut.
//!
//! ```no_run
//! use webstomp::{App, BoxError, server::{Listeners, Shutdown, bind}};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let listeners = Listeners::new().websocket(bind("0.0.0.0:8080").await?).byte_stream(bind("127.0.0.1:61613").await?);
//!     Ok(App::new().shutdown(Shutdown::on_signals()?).serve(listeners).await?)
//! }
//! ```
//!
//! Mounted, the HTTP server is told by [`begun`](server::Shutdown::started), and does not wait for WebSockets: await
//! [`ended`](server::Shutdown::finished) after it. The example `tls` of the repository has certificates, the server's and
//! the clients'.
//!
//! # Middleware
//!
//! Any tower `Layer`, as it is, around one handler, the routes of a router, the whole app or each session:
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceBuilder, limit::RateLimitLayer, timeout::TimeoutLayer};
//! use webstomp::{App, Handler, Router, middleware::RequirePrincipalLayer};
//!
//! async fn slow() {}
//! async fn search() {}
//!
//! // At most 50 of these at a time, and who comes then is told `overloaded`.
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
//! | where | wraps | its service |
//! |---|---|---|
//! | [`Handler::layer`] | one handler | must be `Clone` |
//! | [`Router::layer`] | each route of the router so far, one by one, and its fallback | must be `Clone` |
//! | [`App::layer`] | the whole app, once; also requests without a route | must be `Clone` |
//! | [`App::layer_per_session`] | each session, built anew for every connection | need not be `Clone` |
//!
//! One of your own is most easily a function that goes on or halts, see [`middleware::from_fn`]; the example of
//! [`router`] has a layer in full. A layer's error is told like a handler's: its words only where it is a
//! [`ClientError`]. The module [`middleware`] has those that know STOMP: who has logged in, how much a
//! session sends, traces and, with the feature `metrics`, metrics. To have no destination open by oversight, see
//! [`Router::require_policies`].
//!
//! # Tests
//!
//! Handlers are tested without a connection: a [`Router`]'s routes are a tower service, and `App::from` takes the same
//! router.
//!
//! ```
//! use tower::ServiceExt;
//! use webstomp::{App, Principal, Request, Router, frame::{Command, Frame}};
//!
//! async fn greet(who: Principal, body: String) -> Result<(), webstomp::ClientError> {
//!     if body.is_empty() { Err(webstomp::ClientError::new("empty", format!("Say something, {who}."))) } else { Ok(()) }
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
//! # Limits
//!
//! All are fields of the configurations that [`App::server_config`] and [`App::session_config`] take: [`server::Config`],
//! [`server::ConnectionLimits`] as its `connections`, [`socket::Config`] as its `socket`, [`session::Config`]. They
//! hold for each session, where nothing else is said. "Closed" is by the WebSocket close code; without HTTP, the
//! connection just ends.
//!
//! | limit | default | beyond it, the peer |
//! |---|---|---|
//! | `server.connections.max_connections` | 16,384 connections of a server | gets 503; with TLS or without HTTP, is closed |
//! | `server.connections.max_unauthenticated` | 1,024 connections, from accept to `CONNECTED` | the same |
//! | `server.connections.max_per_address` | off; connections of one address | the same |
//! | `server.connections.per_second` | off; new connections a second | the same |
//! | `server.handshake_timeout` | 5 s for TLS, then 5 s for HTTP | is cut |
//! | the HTTP head | 16 KiB; under an HTTP server of your own, its own | gets 431 |
//! | `server.shutdown` | 30 s to end well | is closed with 1001; after the time, is cut |
//! | `server.socket.limits` | 16 KiB a frame before `CONNECTED`, and otherwise as below | as below |
//! | `session.limits.max_frame_bytes` | 256 KiB a frame | `ERROR` `too-large`, closed with 1009 |
//! | `session.limits.max_head_bytes` | 16 KiB of command and headers | the same |
//! | `session.limits.max_line_bytes` | 8 KiB a header line | the same |
//! | `session.limits.max_headers` | 64 header lines | the same |
//! | `session.destination` | 255 bytes of a destination, and of a subscription's id | `ERROR` `too-large`, closed with 1009 |
//! | `session.subscriptions` | 256 subscriptions | `ERROR` `too-many-subscriptions`, closed with 1002 |
//! | `session.max_inbox_frames`, `max_inbox_bytes` | 32 frames and 256 KiB, read while a request is handled | is not read from |
//! | `session.max_outbound_bytes`, `max_outbound_frames` | 512 KiB and 1,024 frames unsent | is not read from, and its streams rest |
//! | `session.write_timeout` | 10 s without taking anything | is cut |
//! | `session.mailbox` | 256 messages and 256 KiB, pushed and not yet sent | `ERROR` `slow-consumer`, closed with 1008, or another policy |
//! | `session.max_total_mailbox_bytes` | 1 MiB in all mailboxes of the session | the same |
//! | `session.unacked`, `max_unacked_bytes` | 256 messages of a subscription and 1 MiB in all, sent and not acknowledged | gets no more of them until it acknowledges |
//! | `session.transactions` | 8 open transactions | `ERROR` `too-many-transactions`, closed with 1002 |
//! | `session.max_transaction_frames`, `max_transaction_bytes` | 256 frames in one, 1 MiB in all | `ERROR` `transaction-too-large`, closed with 1002 |
//! | `session.frame_timeout` | 30 s from a frame's first byte to its last | `ERROR` `frame-timeout`, closed with 1008 |
//! | `session.connect_timeout` | 10 s to the last byte of `CONNECT` | `ERROR` `connect-timeout`, closed with 1008 |
//! | `session.handler_timeout` | 60 s for a request | `ERROR` `timeout`; `overloaded` and closed with 1011 if no service was ready |
//! | `session.heart_beat` | 1,000 ms each way, or what the client wishes if that is longer | `ERROR` `heart-beat-timeout` after twice that and 1 s, closed with 1008 |
//! | `session.ping_interval`, `ping_timeout` | 25 s and 10 s, for WebSockets that promise no heart-beats | the same after both |
//! | `session.linger` | 1 s and 64 KiB, to take the last frame | is cut |
//!
//! # The layers beneath
//!
//! Each is a crate of its own and can be used without those above it.
//!
//! | module | crate | gives |
//! |---|---|---|
//! | [`frame`] | `stomp-frame` | frames from bytes and back |
//! | [`socket`] | `stomp-socket` | frames over a WebSocket or a stream of bytes |
//! | [`session`] | `stomp-session` | the conversation: receipts, subscriptions, heart-beats |
//! | [`router`] | `stomp-router` | destinations to handlers, as a tower service |
//! | [`broker`] | `stomp-broker` | topics and queues, users' own destinations, replies |
//! | [`server`] | `stomp-server` | listeners, TLS, HTTP upgrades, origins, limits, going down |
//!
//! # Not here
//!
//! There is no message store and no cluster, no SockJS, and no compression of messages.

#![forbid(unsafe_code)]

mod app;
mod serve;
mod startup_error;

pub use app::App;
pub use startup_error::StartupError;

pub use stomp_broker as broker;
pub use stomp_frame as frame;
pub use stomp_router as router;
pub use stomp_server as server;
pub use stomp_session as session;
pub use stomp_socket as socket;

#[doc(no_inline)]
pub use stomp_router::{
    Extension, FromRef, FromRequest, Handler, IntoConnectResponse, IntoSendResponse,
    IntoSubscribeResponse, Json, Observe, OptionalFromRequest, Path, Reply, Router, State,
    middleware,
};
#[doc(no_inline)]
pub use stomp_session::{
    BoxError, ClientError, Connected, DisconnectReason, Message, Peer, Principal, Request,
    Response, Session, Topic,
};

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
