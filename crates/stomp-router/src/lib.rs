//! STOMP destinations routed to handlers, as tower Services.
//!
//! A [`Router`] collects handlers by command and destination; [`Router::build`] makes [`Routes`] of them, a
//! `tower::Service<Request>` that a session's connection runs. Handlers are async functions of
//! [extractors](FromRequest); middleware is any tower `Layer`.
//!
//! A whole program: a handler that takes, one that gives a stream, a layer, and how they are tested without a connection.
//!
//! ```
//! use futures_util::{StreamExt, stream};
//! use std::{task::{Context, Poll}, time::Duration};
//! use stomp_frame::{Command, Frame};
//! use stomp_router::{Extension, Handler, Observe, Path, Router, State, IntoSubscribeResponse};
//! use stomp_session::{Request, Response};
//! use tower::{Layer, Service, ServiceExt, timeout::TimeoutLayer};
//!
//! // SEND /rooms/{room}
//! async fn post(State(house): State<&'static str>, Path(room): Path<String>, text: String) {
//!     println!("{house}, {room}: {text}");
//! }
//!
//! // SUBSCRIBE /count: ever larger numbers, as fast as the client takes them.
//! async fn count(Extension(StartAt(first)): Extension<StartAt>) -> impl IntoSubscribeResponse {
//!     Observe(stream::unfold(first, async |number| Some((number.to_string(), number + 1))))
//! }
//!
//! // A layer, as one writes it for tower: this one leaves something for the handler.
//! #[derive(Clone, Copy)]
//! struct StartAt(u64);
//!
//! impl<S> Layer<S> for StartAt {
//!     type Service = Starting<S>;
//!
//!     fn layer(&self, inner: S) -> Starting<S> {
//!         Starting { inner, start: *self }
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct Starting<S> {
//!     inner: S,
//!     start: StartAt,
//! }
//!
//! impl<S: Service<Request, Response = Response>> Service<Request> for Starting<S> {
//!     type Response = Response;
//!     type Error = S::Error;
//!     type Future = S::Future;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
//!         self.inner.poll_ready(cx)
//!     }
//!
//!     fn call(&mut self, mut request: Request) -> S::Future {
//!         request.extensions_mut().insert(self.start);
//!         self.inner.call(request)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stomp_session::BoxError> {
//! let routes = Router::new()
//!     .send("/rooms/{room}", post.layer(TimeoutLayer::new(Duration::from_secs(5))))
//!     .subscribe("/count", count.layer(StartAt(7)))
//!     // Handlers that take `State` need this, or `build` does not compile.
//!     .with_state("The tea house")
//!     .build()?;
//!
//! let send = Frame::new(Command::Send).with_header("destination", "/rooms/blue").with_body("hello");
//! routes.clone().oneshot(Request::new(send)).await?;
//!
//! let subscribe = Frame::new(Command::Subscribe).with_header("id", "0").with_header("destination", "/count");
//! let Response::Observe(mut messages) = routes.oneshot(Request::new(subscribe)).await? else { panic!("no stream") };
//! assert_eq!(messages.next().await.unwrap()?.body(), "7");
//! assert_eq!(messages.next().await.unwrap()?.body(), "8");
//! # Ok(())
//! # }
//! ```
//!
//! | to read about | see |
//! |---|---|
//! | routes and patterns | [`Router`], [`Routes`], [`RouteErrors`] |
//! | handlers | [`Handler`], [`Layered`] |
//! | their arguments | [`FromRequest`], [`Path`], [`Json`], [`State`], [`FromRef`], [`Extension`] |
//! | their answers | [`IntoConnectResponse`], [`IntoSendResponse`], [`Reply`], [`IntoSubscribeResponse`], [`Observe`] |
//! | middleware | [`middleware`], [`Route`], [`RouteService`], [`SessionRoutes`] |
//! | what clients are told of errors | [`map_error`], [`ClientError`](stomp_session::ClientError) |

#![forbid(unsafe_code)]

mod router;
mod routes;
mod session_routes;

mod answer;
mod extract;
mod handler;
mod reply;

pub mod middleware;

mod errors;
mod map_error;
mod path;
mod route;
mod table;

pub use answer::{IntoConnectResponse, IntoSendResponse, IntoSubscribeResponse, Observe};
pub use errors::{RouteError, RouteErrors};
pub use extract::{Extension, FromRef, FromRequest, OptionalFromRequest, Path, State};
pub use handler::{Handler, Layered};
pub use map_error::map_error;
pub use reply::Reply;
pub use route::{Route, RouteService};
pub use router::{Complete, Router};
pub use routes::Routes;
pub use session_routes::{SessionRoutes, SessionService};

pub use stomp_session::Json;
