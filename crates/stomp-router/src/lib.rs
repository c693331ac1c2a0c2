//! A router for STOMP, which selects a handler by command and destination. It is a tower `Service`.
//!
//! A [`Router`] collects handlers by command and destination. [`Router::build`] turns it into [`Routes`], a
//! `tower::Service<Request>` that a session's connection calls with each request. Handlers are async functions whose
//! arguments are taken from the request, see [`FromRequestParts`]. Middleware is any tower `Layer`.
//!
//! The following program has a handler for `SEND`, a handler that returns a stream, and a layer. It calls them without
//! a connection, as tests do.
//!
//! ```
//! use futures_util::{StreamExt, stream};
//! use std::{task::{Context, Poll}, time::Duration};
//! use stomp_frame::{Command, Frame};
//! use stomp_router::{Extension, Handler, IntoSubscribeResponse, Observe, Path, Router, State};
//! use stomp_session::{Request, Response};
//! use tower::{Layer, Service, ServiceExt, timeout::TimeoutLayer};
//!
//! // SEND to /rooms/{room}
//! async fn post(State(house): State<&'static str>, Path(room): Path<String>, text: String) {
//!     println!("{house}, {room}: {text}");
//! }
//!
//! // SUBSCRIBE to /count: increasing numbers, as fast as the client reads them.
//! async fn count(Extension(StartAt(first)): Extension<StartAt>) -> impl IntoSubscribeResponse {
//!     Observe(stream::unfold(first, async |number| Some((number.to_string(), number + 1))))
//! }
//!
//! // An ordinary tower layer. It passes a value to the handler.
//! #[derive(Clone, Copy)]
//! struct StartAt(u64);
//!
//! impl<S> Layer<S> for StartAt {
//!     type Service = StartAtService<S>;
//!
//!     fn layer(&self, inner: S) -> StartAtService<S> {
//!         StartAtService { inner, start: *self }
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct StartAtService<S> {
//!     inner: S,
//!     start: StartAt,
//! }
//!
//! impl<S: Service<Request, Response = Response>> Service<Request> for StartAtService<S> {
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
//!     // Required by the handler with a `State` argument: without it, `build` does not compile.
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
//! # Where to read on
//!
//! | topic | items |
//! |---|---|
//! | routes and patterns | [`Router`], [`Routes`], [`RouteErrors`] |
//! | handlers | [`Handler`], [`Layered`] |
//! | handler arguments | [`FromRequestParts`], [`FromRequest`], [`Path`], [`Json`], [`State`], [`FromRef`], [`Extension`] |
//! | handler return types | [`IntoConnectResponse`], [`IntoSendResponse`], [`Reply`], [`IntoSubscribeResponse`], [`Observe`] |
//! | middleware | [`middleware`], [`Route`], [`RouteService`], [`SessionRoutes`] |
//! | errors that clients see | [`map_error`], [`ClientError`](stomp_session::ClientError) |

#![forbid(unsafe_code)]

mod router;
mod routes;
mod session_routes;

mod extract;
mod handler;
mod into_response;
mod observe;
mod reply;

pub mod middleware;

mod client_errors;
mod map_error;
mod path;
mod route;
mod route_error;
mod route_pattern;
mod table;

pub use extract::{
    Extension, FromRef, FromRequest, FromRequestParts, OptionalFromRequestParts, Path, State,
    ViaParts, ViaRequest,
};
pub use handler::{Handler, Layered};
pub use into_response::{IntoConnectResponse, IntoSendResponse, IntoSubscribeResponse};
pub use map_error::map_error;
pub use observe::Observe;
pub use reply::Reply;
pub use route::{Route, RouteFuture, RouteService};
pub use route_error::{RouteError, RouteErrors};
pub use router::{Buildable, Router};
pub use routes::{ResponseFuture, Routes};
pub use session_routes::{SessionRoutes, SessionService};

#[doc(inline)]
pub use stomp_session::Json;

/// Compiles and runs the code in the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
