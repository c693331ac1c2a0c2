//! Layers for STOMP requests, and how to write one.
//!
//! Any tower `Layer` is middleware here, and needs no adapter: tower's own `TimeoutLayer`, `ConcurrencyLimitLayer`,
//! `LoadShedLayer`, `BufferLayer` and so on. Those of this module know what tower cannot: commands, destinations,
//! principals and sessions.
//!
//! | to | use |
//! |---|---|
//! | go on or halt, in a function of your own | [`from_fn`] |
//! | let in only those who have logged in | [`RequirePrincipalLayer`] |
//! | refuse a session's frames when there are too many | [`RejectOverRateLayer`] |
//! | have a `tracing` span for each request | [`TraceLayer`] |
//! | count and time requests | `MetricsLayer`, with the feature `metrics` |
//!
//! A layer goes around one handler with [`Handler::layer`](crate::Handler::layer), around the routes of a router with
//! [`Router::layer`](crate::Router::layer), around everything with [`Routes::layer`](crate::Routes::layer), and around
//! what each session does with [`SessionRoutes::layer`](crate::SessionRoutes::layer).
//!
//! A layer around everything meets `DISCONNECT` too, once for each session, however that ended. Let it pass: an error
//! does not keep the session from ending, but the application is not told of it then.

mod from_fn;
#[cfg(feature = "metrics")]
mod metrics;
mod reject_over_rate;
mod require_principal;
mod trace;

pub use from_fn::{FromFn, FromFnLayer, Next, from_fn};
#[cfg(feature = "metrics")]
pub use metrics::{Metrics, MetricsFuture, MetricsLayer};
pub use reject_over_rate::{RejectOverRate, RejectOverRateLayer};
pub use require_principal::{RequirePrincipal, RequirePrincipalLayer};
pub use trace::{Trace, TraceFuture, TraceLayer};

use futures_util::{
    TryFutureExt,
    future::{Either, ErrInto, Ready, ready},
};
use stomp_frame::Command;
use stomp_session::{BoxError, ClientError, Request, Response};

/// What a service answers that either goes on to another or refuses.
pub type GuardFuture<F> = Either<ErrInto<F, BoxError>, Ready<Result<Response, BoxError>>>;

fn go<F, E>(future: F) -> GuardFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    Either::Left(future.err_into())
}

fn refuse<F>(error: ClientError) -> GuardFuture<F> {
    Either::Right(ready(Err(error.into())))
}

/// Whether a request can be refused and nothing else is upset: a client may always come, unsubscribe and go.
fn may_be_refused(request: &Request) -> bool {
    matches!(request.command(), Command::Send | Command::Subscribe)
}
