//! Tower layers for STOMP requests, and a function that turns an async function into a layer.
//!
//! Every tower `Layer` works as middleware without an adapter: tower's own `TimeoutLayer`, `ConcurrencyLimitLayer`,
//! `LoadShedLayer`, `BufferLayer` and so on. The layers of this module use what tower does not know: commands,
//! destinations, principals and sessions.
//!
//! | to | use |
//! |---|---|
//! | forward or reject requests in a function of your own | [`from_fn`] |
//! | reject clients that have not logged in | [`RequirePrincipalLayer`] |
//! | reject the frames of a session or of a principal above a rate | [`RejectOverRateLayer`] |
//! | log the outcome and the time of each request | [`TraceLayer`] |
//!
//! A layer can wrap
//!
//! - one handler: [`Handler::layer`](crate::Handler::layer),
//! - the routes of a router: [`Router::layer`](crate::Router::layer),
//! - all requests of an application: [`Routes::layer`](crate::Routes::layer),
//! - all requests of one session: [`SessionRoutes::layer`](crate::SessionRoutes::layer).
//!
//! A layer around all requests also sees those that the session [makes itself]: `CONNECTED`, `UNSUBSCRIBE` and
//! `DISCONNECT`. Always forward them. An error would keep nothing open, and the handlers of the application would not
//! be called. A layer that slows a session down, such as tower's `RateLimitLayer`, delays them too.
//!
//! [makes itself]: stomp_session::Request#requests-without-a-frame-of-the-peer

mod forward_or_reject;
mod from_fn;
mod principal_buckets;
mod reject_over_rate;
mod require_principal;
mod trace;

pub use forward_or_reject::ForwardOrRejectFuture;
pub use from_fn::{FromFn, FromFnLayer, Next, from_fn};
pub use reject_over_rate::{RejectOverRate, RejectOverRateLayer};
pub use require_principal::{RequirePrincipal, RequirePrincipalLayer};
pub use trace::{Trace, TraceFuture, TraceLayer};
