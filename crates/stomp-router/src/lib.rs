//! STOMP destinations routed to handlers, as tower Services.
//!
//! A [`Router`] collects handlers by command and destination; [`Router::build`] makes [`Routes`] of them, a
//! `tower::Service<Request>` that a session's connection runs. Handlers are async functions of
//! [extractors](FromRequest); middleware is any tower `Layer`.
//!
//! ```
//! use std::time::Duration;
//! use stomp_frame::{Command, Frame};
//! use stomp_router::{Handler, Path, Router};
//! use stomp_session::Request;
//! use tower::{ServiceExt, timeout::TimeoutLayer};
//!
//! async fn post(Path(room): Path<String>, body: String) {
//!     println!("{room}: {body}");
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stomp_session::BoxError> {
//! let routes = Router::new()
//!     .send("/rooms/{room}", post.layer(TimeoutLayer::new(Duration::from_secs(5))))
//!     .build()?;
//!
//! let frame = Frame::new(Command::Send).with_header("destination", "/rooms/blue").with_body("hello");
//! routes.oneshot(Request::new(frame)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | to read about | see |
//! |---|---|
//! | routes and patterns | [`Router`], [`Routes`], [`RouteErrors`] |
//! | handlers | [`Handler`], [`Layered`] |
//! | their arguments | [`FromRequest`], [`Path`], [`Json`], [`State`], [`FromRef`] |
//! | their answers | [`ConnectAnswer`], [`SendAnswer`], [`SubscribeAnswer`], [`Observe`] |
//! | what clients are told of errors | [`describe`], [`ClientError`](stomp_session::ClientError) |

#![forbid(unsafe_code)]

mod router;
mod routes;
mod session_routes;

mod answer;
mod extract;
mod handler;
mod reply;

pub mod middleware;

mod describe;
mod errors;
mod path;
mod route;
mod table;

pub use answer::{ConnectAnswer, Observe, SendAnswer, SubscribeAnswer};
pub use describe::describe;
pub use errors::{RouteError, RouteErrors};
pub use extract::{Extension, FromRef, FromRequest, OptionalFromRequest, Path, State};
pub use handler::{Handler, Layered};
pub use reply::Reply;
pub use route::{Route, RouteService};
pub use router::{Complete, Router};
pub use routes::Routes;
pub use session_routes::{SessionRoutes, SessionService};

pub use stomp_session::Json;
