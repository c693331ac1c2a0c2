//! Collecting routes.

use crate::{
    Handler, IntoConnectResponse, IntoSendResponse, IntoSubscribeResponse, RouteErrors, Routes,
    answer::Answering,
    errors::{Origin, Problem, RouteError},
    path,
    route::{Route, RouteService},
    table::Table,
};
use std::panic::Location;
use stomp_frame::Command;
use tower::Layer;

/// Handlers by command and destination.
///
/// A pattern is a destination in which `{name}` stands for one segment, up to the next `/`, and `{*name}` at the end
/// for all the rest. `:name` means the same as `{name}`. Fixed text goes before parameters where both would fit, and
/// `{*all}` alone fits every destination that no other pattern does.
///
/// What no handler is given for is answered like this: any `CONNECT` is let in; `SEND` and `SUBSCRIBE` get the error
/// `not-found`, if there is no [`fallback`](Router::fallback); `UNSUBSCRIBE` and `DISCONNECT` succeed.
///
/// `S` is the state that is still missing: see [`Router::with_state`].
#[must_use = "routes do nothing until they are built and run"]
pub struct Router<S = ()> {
    entries: Vec<Entry<S>>,
    needs_policies: bool,
}

/// A route to be, once there is a state.
struct Entry<S> {
    origin: Origin,
    make: Box<dyn FnOnce(S) -> Route + Send>,
}

impl<S: Clone + Send + 'static> Router<S> {
    /// No routes.
    pub fn new() -> Router<S> {
        Router {
            entries: Vec::new(),
            needs_policies: false,
        }
    }

    /// Calls `handler` with `CONNECT` and `STOMP` frames. Its error refuses the peer.
    #[track_caller]
    pub fn connect<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoConnectResponse>,
    {
        self.add(Some(Command::Connect), "", |state| {
            handler.into_route(state, Answering::connect())
        })
    }

    /// Calls `handler` with `SEND` frames to destinations like `pattern`.
    #[track_caller]
    pub fn send<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse>,
    {
        self.add(Some(Command::Send), pattern, |state| {
            handler.into_route(state, Answering::send())
        })
    }

    /// Calls `handler` with `SUBSCRIBE` frames to destinations like `pattern`. Its answer is what is sent to the
    /// subscription; its error refuses the subscription.
    #[track_caller]
    pub fn subscribe<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSubscribeResponse>,
    {
        self.add(Some(Command::Subscribe), pattern, |state| {
            handler.into_route(state, Answering::subscribe())
        })
    }

    /// Calls `handler` when a subscription to a destination like `pattern` was ended by its client.
    #[track_caller]
    pub fn unsubscribe<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(Some(Command::Unsubscribe), pattern, |state| {
            handler.into_route(state, Answering::send())
        })
    }

    /// Calls `handler` at the end of every session that was connected.
    #[track_caller]
    pub fn disconnect<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(Some(Command::Disconnect), "", |state| {
            handler.into_route(state, Answering::send())
        })
    }

    /// Calls a tower service with frames of one command: for what is no handler, such as another router's [`Routes`].
    ///
    /// `pattern` is empty for `CONNECT` and `DISCONNECT`.
    #[track_caller]
    pub fn route_service(
        self,
        command: Command,
        pattern: &str,
        service: impl RouteService,
    ) -> Router<S> {
        self.add(Some(command), pattern, |_| Route::of(service))
    }

    /// Calls `handler` with `SEND` and `SUBSCRIBE` frames to destinations that have no route. Without an error from it
    /// they succeed, and the subscription stays, without messages of its own.
    #[track_caller]
    pub fn fallback<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(None, "", |state| {
            handler.into_route(state, Answering::send())
        })
    }

    /// Adds another router's routes behind a prefix, which may have parameters of its own.
    ///
    /// One `/` stands between the prefix and their patterns, and an empty pattern is the prefix itself. Handlers see
    /// the whole destination. The other's fallback is for what has no route behind the prefix; its connect and
    /// disconnect handlers have no destination and are added as they are.
    pub fn nest(self, prefix: &str, router: Router<S>) -> Router<S> {
        let nested = router.map(|mut entry| {
            if !matches!(
                entry.origin.command,
                Some(Command::Connect | Command::Disconnect)
            ) {
                entry.origin.pattern = path::join(prefix, &entry.origin.pattern);
            }
            entry
        });
        self.merge(nested)
    }

    /// Adds another router's routes.
    pub fn merge(mut self, router: Router<S>) -> Router<S> {
        self.entries.extend(router.entries);
        self.needs_policies |= router.needs_policies;
        self
    }

    /// Wraps each route added so far in a tower layer, and the fallback as well. What has no route and no fallback
    /// passes it by: for a layer around everything, see [`Routes::layer`].
    pub fn layer<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.wrap(|_| true, move |route| route.layer(&layer))
    }

    /// Wraps each route added so far in a tower layer, and not the fallback.
    pub fn route_layer<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.wrap(
            |origin| origin.command.is_some(),
            move |route| route.layer(&layer),
        )
    }

    /// As [`layer`](Router::layer), for a layer that says who may use the routes: see
    /// [`require_policies`](Router::require_policies).
    pub fn policy<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.wrap(|_| true, move |route| route.layer(&layer).with_policy())
    }

    /// Denies by default: routes of `SEND` and `SUBSCRIBE`, and fallbacks, that no [`policy`](Router::policy) is around
    /// are errors, and [`build`](Router::build) names them.
    ///
    /// ```
    /// use stomp_router::{Handler, Router, middleware::RequirePrincipalLayer};
    /// use tower::layer::util::Identity;
    ///
    /// async fn handler() {}
    ///
    /// let router = Router::new()
    ///     .send("/orders", handler)
    ///     .policy(RequirePrincipalLayer)
    ///     // Open to all, and that is meant.
    ///     .send("/hello", handler.policy(Identity::new()))
    ///     .require_policies();
    /// assert!(router.build().is_ok());
    ///
    /// let router = Router::new().send("/secrets", handler).require_policies();
    /// assert!(router.build().is_err());
    /// ```
    pub fn require_policies(mut self) -> Router<S> {
        self.needs_policies = true;
        self
    }

    /// Provides the state that handlers take parts of with [`State`](crate::State).
    ///
    /// `S2` is what is missing then: `()` for nothing, which is what [`build`](Router::build) needs.
    pub fn with_state<S2>(self, state: S) -> Router<S2> {
        self.map(|Entry { origin, make }| {
            let route = make(state.clone());
            Entry {
                origin,
                make: Box::new(|_| route),
            }
        })
    }
}

impl<S> Router<S> {
    /// Makes a service of the routes.
    ///
    /// # Errors
    ///
    /// All patterns that are malformed, all routes that exclude each other, and all that lack a policy where these are
    /// required.
    pub fn build(self) -> Result<Routes, RouteErrors>
    where
        Self: Complete,
    {
        let Router {
            entries,
            needs_policies,
        } = self.complete();
        let mut table = Table::new();
        let mut errors = Vec::new();
        for Entry { origin, make } in entries {
            let route = make(());
            if needs_policies && origin.needs_policy() && !route.has_policy() {
                errors.push(RouteError {
                    origin: origin.clone(),
                    problem: Problem::NoPolicy,
                });
            }
            if let Err(problem) = table.add(origin.clone(), route) {
                errors.push(RouteError { origin, problem });
            }
        }
        RouteErrors::check(errors)?;
        Ok(Routes::new(table))
    }
}

impl<S> Router<S> {
    #[track_caller]
    fn add<F>(mut self, command: Option<Command>, pattern: &str, make: F) -> Router<S>
    where
        F: FnOnce(S) -> Route + Send + 'static,
    {
        let origin = Origin {
            command,
            pattern: pattern.to_owned(),
            place: Location::caller(),
        };
        self.entries.push(Entry {
            origin,
            make: Box::new(make),
        });
        self
    }

    fn wrap<F>(self, concerns: impl Fn(&Origin) -> bool, change: F) -> Router<S>
    where
        S: 'static,
        F: FnOnce(Route) -> Route + Clone + Send + 'static,
    {
        self.map(|entry| {
            if !concerns(&entry.origin) {
                return entry;
            }
            let change = change.clone();
            Entry {
                make: Box::new(move |state| change((entry.make)(state))),
                ..entry
            }
        })
    }

    fn map<S2>(self, change: impl FnMut(Entry<S>) -> Entry<S2>) -> Router<S2> {
        Router {
            entries: self.entries.into_iter().map(change).collect(),
            needs_policies: self.needs_policies,
        }
    }
}

impl<S: Clone + Send + 'static> Default for Router<S> {
    fn default() -> Self {
        Router::new()
    }
}

impl<S> std::fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| entry.origin.to_string()))
            .finish()
    }
}

/// A router that misses no state: `Router<()>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` still misses its state",
    note = "call `.with_state(..)`, with what its handlers take as `State`, before it is built, listened with or mounted"
)]
pub trait Complete: sealed::Sealed {
    #[doc(hidden)]
    fn complete(self) -> Router;
}

impl Complete for Router {
    fn complete(self) -> Router {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Router {}
}
