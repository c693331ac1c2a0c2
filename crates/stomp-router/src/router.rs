//! The router, which collects routes before they are built.

use crate::{
    Handler, IntoConnectResponse, IntoSendResponse, IntoSubscribeResponse, RouteErrors, Routes,
    into_response::ResponseConverter,
    path,
    route::{Route, RouteService},
    route_error::{Declaration, Problem, RouteError},
    table::Table,
};
use std::panic::Location;
use stomp_frame::Command;
use stomp_session::DestinationSyntax;
use tower::Layer;

/// A collection of handlers by command and destination.
///
/// # Patterns
///
/// A pattern is a destination with parameters:
///
/// - `{name}` matches one segment, that is, the text up to the next `/`. Literal text may stand beside it in the same
///   segment, as in `/prices/{article}.eur`.
/// - `:name` as a whole segment means the same as `{name}`.
/// - `{*name}` at the end matches all the rest, across segments.
/// - `{{` and `}}` are literal braces.
/// - A `*` outside braces is literal text. But a last segment `*name` is an error, since it looks like `{*name}`.
///
/// A parameter never matches the empty text. Values are not decoded. A pattern without `/` at its start matches only
/// destinations without it.
///
/// Patterns are compared with the [canonical](stomp_session::Destination::canonical) text of a destination, which is the
/// same for all its spellings. Where the session's syntax makes `/topic/a.b` a spelling of `/topic/a/b`, a route for
/// `/topic/a/{*rest}` gets both, with the value `b`.
///
/// If several patterns match, literal text takes precedence over parameters. The order in which the routes were added
/// does not matter. The pattern `{*all}` matches every destination that no other pattern matches.
///
/// # Subscriptions to patterns
///
/// If the session's syntax has wildcards, one `SUBSCRIBE` can match many destinations, like `/topic/*`. It reaches
/// the route that matches its text only if that route is responsible for all these destinations: it matches all of
/// them, and no other route for `SUBSCRIBE` matches any of them. A route that is nothing but a catch-all (`{*all}`)
/// does not count as another route. Otherwise the client gets the error `forbidden`, because the other route's policies
/// and handler may refuse what the pattern would deliver.
///
/// # Requests without a handler
///
/// | command | response if no handler matches |
/// |---|---|
/// | `CONNECT` | success: every client may connect |
/// | `SEND`, `SUBSCRIBE` | response of the [`fallback`](Router::fallback); without one, the error `not-found` |
/// | `CONNECTED`, `UNSUBSCRIBE`, `DISCONNECT` | success |
///
/// # State
///
/// `S` is the type of the state that handlers take with [`State`](crate::State). Call
/// [`with_state`](Router::with_state) to provide the state before the router is built.
#[must_use = "routes do nothing until they are built and run"]
pub struct Router<S = ()> {
    entries: Vec<Entry<S>>,
    needs_policies: bool,
    destinations: DestinationSyntax,
}

/// A route that is created when the state is known.
struct Entry<S> {
    declaration: Declaration,
    make: Box<dyn FnOnce(S) -> Route + Send>,
}

impl<S: Clone + Send + 'static> Router<S> {
    /// Creates a router without routes.
    pub fn new() -> Router<S> {
        Router {
            entries: Vec::new(),
            needs_policies: false,
            destinations: DestinationSyntax::default(),
        }
    }

    /// Calls `handler` for `CONNECT` and `STOMP` frames. An error from it rejects the client.
    #[track_caller]
    pub fn connect<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoConnectResponse>,
    {
        self.add(Some(Command::Connect), "", |state| {
            handler.into_route(state, ResponseConverter::for_connect())
        })
    }

    /// Calls `handler` once for each session after `CONNECTED` was sent, before any other handler of the session. The
    /// registry [`Sessions`](stomp_session::Sessions) contains the session.
    ///
    /// The client has no subscriptions yet, so the handler can send it no messages. The client does not see an error of
    /// the handler: to turn the client away, close the session.
    ///
    /// ```
    /// use stomp_router::Router;
    /// use stomp_session::{CloseCode, Principal, Sessions};
    ///
    /// // A user has at most three sessions. The oldest gives way.
    /// async fn limit(sessions: Sessions, user: Option<Principal>) {
    ///     let Some(user) = user else { return };
    ///     let of_user = sessions.for_principal(&user);
    ///     for session in of_user.iter().rev().skip(3) {
    ///         session.close_with(CloseCode::Policy, "You have logged in elsewhere.");
    ///     }
    /// }
    ///
    /// let router: Router = Router::new().connected(limit);
    /// ```
    #[track_caller]
    pub fn connected<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(Some(Command::Connected), "", |state| {
            handler.into_route(state, ResponseConverter::for_send())
        })
    }

    /// Calls `handler` for `SEND` frames whose destination matches `pattern`.
    #[track_caller]
    pub fn send<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse>,
    {
        self.add(Some(Command::Send), pattern, |state| {
            handler.into_route(state, ResponseConverter::for_send())
        })
    }

    /// Calls `handler` for `SUBSCRIBE` frames whose destination matches `pattern`.
    ///
    /// The subscription gets the messages that the handler returns. An error from the handler rejects the subscription.
    #[track_caller]
    pub fn subscribe<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSubscribeResponse>,
    {
        self.add(Some(Command::Subscribe), pattern, |state| {
            handler.into_route(state, ResponseConverter::for_subscribe())
        })
    }

    /// Lets clients subscribe to destinations that match `pattern`, without a handler.
    ///
    /// The route sends nothing itself. The clients get what is sent to their sessions: by
    /// [`Sessions::send`](stomp_session::Sessions::send), by [`Session::message`](stomp_session::Session::message), or
    /// as a [`Reply`](crate::Reply).
    ///
    /// ```
    /// use stomp_router::Router;
    /// use stomp_session::{BoxError, Principal, Sessions};
    ///
    /// async fn ship(sessions: Sessions, customer: String) -> Result<(), BoxError> {
    ///     sessions.send(&Principal::new(customer), "/notices", "Your order has left.")
    /// }
    ///
    /// let router: Router = Router::new().inbox("/notices").send("/shipments", ship);
    /// ```
    #[track_caller]
    pub fn inbox(self, pattern: &str) -> Router<S> {
        self.add(Some(Command::Subscribe), pattern, |_| {
            (async || {}).into_route((), ResponseConverter::for_subscribe())
        })
    }

    /// Calls `handler` when a subscription has ended whose destination matches `pattern`: once for each subscription that
    /// was accepted.
    ///
    /// The client has unsubscribed, or the stream of the subscription has ended or failed, or the session has ended. At
    /// the end of a session, the handlers run before the disconnect handler, and together have
    /// [`Config::handler_timeout`](stomp_session::Config::handler_timeout). The client does not see their errors then.
    /// So a `subscribe` handler that enters somebody into a list, and an `unsubscribe` handler that removes them, keep
    /// the list right. The `subscribe` handler should do that last: if it fails afterwards, its subscription is refused,
    /// and does not end.
    ///
    /// As with [`disconnect`](Router::disconnect), the handlers are not called if the connection is dropped.
    #[track_caller]
    pub fn unsubscribe<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(Some(Command::Unsubscribe), pattern, |state| {
            handler.into_route(state, ResponseConverter::for_send())
        })
    }

    /// Calls `handler` once at the end of each session that was connected, even if the client sent no `DISCONNECT`.
    ///
    /// The handler is not called if the service of the session was not ready in time, or if the connection is dropped.
    #[track_caller]
    pub fn disconnect<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(Some(Command::Disconnect), "", |state| {
            handler.into_route(state, ResponseConverter::for_send())
        })
    }

    /// Calls a tower service for frames of one command whose destination matches `pattern`.
    ///
    /// This is for services that are not handlers, such as another router's [`Routes`]. `pattern` is empty for `CONNECT`,
    /// `CONNECTED` and `DISCONNECT`, which have no destination.
    #[track_caller]
    pub fn route_service(
        self,
        command: Command,
        pattern: &str,
        service: impl RouteService,
    ) -> Router<S> {
        self.add(Some(command), pattern, |_| Route::from_service(service))
    }

    /// Calls `handler` for `SEND` and `SUBSCRIBE` frames whose destination no route matches.
    ///
    /// If the handler returns no error, the frame succeeds: a subscription stays open, but gets no messages.
    #[track_caller]
    pub fn fallback<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        self.add(None, "", |state| {
            handler.into_route(state, ResponseConverter::for_send())
        })
    }

    /// Adds the routes of another router below a prefix.
    ///
    /// The prefix may have parameters. Prefix and pattern are joined with exactly one `/`; the empty pattern becomes
    /// the prefix itself. Handlers see the whole destination. The other router's fallback gets the requests to the
    /// prefix, and below it, that no route matches. Its handlers for `CONNECT`, `CONNECTED` and `DISCONNECT` are added
    /// without the prefix, as they have no destination.
    pub fn nest(self, prefix: &str, router: Router<S>) -> Router<S> {
        let nested = router.map_entries(|mut entry| {
            if !matches!(
                entry.declaration.command,
                Some(Command::Connect | Command::Connected | Command::Disconnect)
            ) {
                entry.declaration.pattern = path::join(prefix, &entry.declaration.pattern);
            }
            entry
        });
        self.merge(nested)
    }

    /// Adds the routes of another router, and its syntax of destinations. If that router requires policies, so does
    /// this one.
    pub fn merge(mut self, router: Router<S>) -> Router<S> {
        self.entries.extend(router.entries);
        self.needs_policies |= router.needs_policies;
        self.destinations(router.destinations)
    }

    /// Adds a syntax by which sessions must parse destinations, because some routes depend on it. If a prefix has a
    /// syntax already, the new one replaces it.
    ///
    /// [`nest`](Router::nest) and [`merge`](Router::merge) add this syntax to the other router, together with the
    /// routes. Its prefixes apply to whole destinations: `nest` does not change them. The session's
    /// [`Config::destinations`](stomp_session::Config::destinations) must contain [`Routes::destinations`].
    pub fn destinations(mut self, syntax: DestinationSyntax) -> Router<S> {
        self.destinations = self.destinations.merge(&syntax);
        self
    }

    /// Wraps each route added so far, and the fallback, in a tower layer.
    ///
    /// The layer does not see requests that have neither a route nor a fallback. For a layer around all requests, see
    /// [`Routes::layer`].
    pub fn layer<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.map_routes(|_| true, move |route| route.layer(&layer))
    }

    /// Wraps each route added so far in a tower layer, but not the fallback.
    pub fn route_layer<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.map_routes(
            |declaration| declaration.command.is_some(),
            move |route| route.layer(&layer),
        )
    }

    /// Wraps each route added so far, and the fallback, in a tower layer that decides who may use them.
    ///
    /// Works like [`layer`](Router::layer), and also marks the routes as having a policy: see
    /// [`require_policies`](Router::require_policies).
    pub fn policy<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.map_routes(|_| true, move |route| route.layer(&layer).with_policy())
    }

    /// Requires a [`policy`](Router::policy) for each route for `SEND` or `SUBSCRIBE`, and for each fallback.
    ///
    /// [`build`](Router::build) reports all routes without a policy, so that no destination stays open by mistake.
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
    ///     // Deliberately open to everyone.
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

    /// Provides the state that handlers take with [`State`](crate::State).
    ///
    /// `S2` is the type of the state that is still missing afterwards, and is inferred. It is `()` if the router is
    /// then built, because [`build`](Router::build) requires that no state is missing.
    pub fn with_state<S2>(self, state: S) -> Router<S2> {
        self.map_entries(|Entry { declaration, make }| {
            let route = make(state.clone());
            Entry {
                declaration,
                make: Box::new(|_| route),
            }
        })
    }
}

impl<S> Router<S> {
    /// Builds a service from the routes.
    ///
    /// # Errors
    ///
    /// Returns all errors at once: malformed patterns, routes that conflict with each other, routes that match no
    /// destination of the syntax in [`destinations`](Router::destinations), and routes without a policy if
    /// [`require_policies`](Router::require_policies) was called.
    pub fn build(self) -> Result<Routes, RouteErrors>
    where
        Self: Buildable,
    {
        let Router {
            entries,
            needs_policies,
            destinations,
        } = self.into_buildable();
        let mut table = Table::new();
        let mut errors = Vec::new();
        for Entry { declaration, make } in entries {
            let route = make(());
            // This is checked here and not for each request, so that an application with an unprotected route does not
            // start.
            if needs_policies && declaration.needs_policy() && !route.has_policy() {
                errors.push(RouteError {
                    declaration: declaration.clone(),
                    problem: Problem::MissingPolicy,
                });
            }
            if let Some(reason) = path::mismatch(&declaration.pattern, &destinations) {
                errors.push(RouteError {
                    declaration: declaration.clone(),
                    problem: Problem::NoDestination(reason),
                });
            }
            if let Err(problem) = table.add(declaration.clone(), route) {
                errors.push(RouteError {
                    declaration,
                    problem,
                });
            }
        }
        RouteErrors::check(errors)?;
        Ok(Routes::new(table, destinations))
    }
}

impl<S> Router<S> {
    #[track_caller]
    fn add<F>(mut self, command: Option<Command>, pattern: &str, make: F) -> Router<S>
    where
        F: FnOnce(S) -> Route + Send + 'static,
    {
        let declaration = Declaration {
            command,
            pattern: pattern.to_owned(),
            location: Location::caller(),
        };
        self.entries.push(Entry {
            declaration,
            make: Box::new(make),
        });
        self
    }

    /// Applies `change` to the routes whose declarations fulfil a condition.
    fn map_routes<F>(self, applies_to: impl Fn(&Declaration) -> bool, change: F) -> Router<S>
    where
        S: 'static,
        F: FnOnce(Route) -> Route + Clone + Send + 'static,
    {
        self.map_entries(|entry| {
            if !applies_to(&entry.declaration) {
                return entry;
            }
            let change = change.clone();
            Entry {
                make: Box::new(move |state| change((entry.make)(state))),
                ..entry
            }
        })
    }

    fn map_entries<S2>(self, change: impl FnMut(Entry<S>) -> Entry<S2>) -> Router<S2> {
        Router {
            entries: self.entries.into_iter().map(change).collect(),
            needs_policies: self.needs_policies,
            destinations: self.destinations,
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
            .entries(
                self.entries
                    .iter()
                    .map(|entry| entry.declaration.to_string()),
            )
            .finish()
    }
}

/// A router that has all its state: `Router<()>`.
#[diagnostic::on_unimplemented(
    message = "the state of `{Self}` is missing",
    note = "call `.with_state(..)` with the value that handlers take as `State`, before the router is built, served or \
            mounted"
)]
pub trait Buildable: sealed::Sealed {
    #[doc(hidden)]
    fn into_buildable(self) -> Router;
}

impl Buildable for Router {
    fn into_buildable(self) -> Router {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Router {}
}
