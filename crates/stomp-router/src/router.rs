//! Collecting routes.

use crate::{
    ConnectAnswer, Handler, RouteErrors, Routes, SendAnswer, SubscribeAnswer,
    errors::Problems,
    route::{Route, RouteService},
};
use stomp_frame::Command;
use stomp_session::Request;
use tower::Layer;

/// Handlers by command and destination.
///
/// A pattern is a destination in which `{name}` stands for one segment, up to the next `/`, and `{*name}` at the end
/// for all the rest. `:name` means the same as `{name}`. Fixed text goes before parameters where both would fit.
///
/// What no handler is given for is answered like this: any `CONNECT` is let in; `SEND` and `SUBSCRIBE` get the error
/// `not-found`; `UNSUBSCRIBE` and `DISCONNECT` succeed.
///
/// `S` is the state that is still missing: see [`Router::with_state`].
#[must_use = "routes do nothing until they are built and run"]
pub struct Router<S = ()> {
    entries: Vec<Entry<S>>,
}

/// A route to be, once there is a state.
struct Entry<S> {
    command: Command,
    /// Empty for `CONNECT` and `DISCONNECT`.
    pattern: String,
    make: Box<dyn FnOnce(S) -> Route + Send>,
}

impl<S: Clone + Send + 'static> Router<S> {
    /// No routes.
    pub fn new() -> Router<S> {
        Router { entries: Vec::new() }
    }

    /// Calls `handler` with `CONNECT` and `STOMP` frames. Its error refuses the peer.
    pub fn connect<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: ConnectAnswer>,
    {
        self.add(Command::Connect, "", |state| handler.into_route(state, ConnectAnswer::into_response))
    }

    /// Calls `handler` with `SEND` frames to destinations like `pattern`.
    pub fn send<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: SendAnswer>,
    {
        self.add(Command::Send, pattern, |state| handler.into_route(state, SendAnswer::into_response))
    }

    /// Calls `handler` with `SUBSCRIBE` frames to destinations like `pattern`. Its answer is what is sent to the
    /// subscription; its error refuses the subscription.
    pub fn subscribe<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: SubscribeAnswer>,
    {
        self.add(Command::Subscribe, pattern, |state| handler.into_route(state, SubscribeAnswer::into_response))
    }

    /// Calls `handler` when a subscription to a destination like `pattern` was ended by its client.
    pub fn unsubscribe<A, H>(self, pattern: &str, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: SendAnswer>,
    {
        self.add(Command::Unsubscribe, pattern, |state| handler.into_route(state, SendAnswer::into_response))
    }

    /// Calls `handler` at the end of every session that was connected.
    pub fn disconnect<A, H>(self, handler: H) -> Router<S>
    where
        H: Handler<A, S, Output: SendAnswer>,
    {
        self.add(Command::Disconnect, "", |state| handler.into_route(state, SendAnswer::into_response))
    }

    /// Wraps each route added so far in a tower layer.
    pub fn layer<L>(self, layer: L) -> Router<S>
    where
        L: Layer<Route, Service: RouteService> + Clone + Send + 'static,
    {
        self.map(|entry| {
            let layer = layer.clone();
            Entry { make: Box::new(move |state| (entry.make)(state).layer(&layer)), ..entry }
        })
    }

    /// Provides the state that handlers take parts of with [`State`](crate::State).
    ///
    /// `S2` is what is missing then: `()` for nothing, which is what [`build`](Router::build) needs.
    pub fn with_state<S2>(self, state: S) -> Router<S2> {
        self.map(|Entry { command, pattern, make }| {
            let route = make(state.clone());
            Entry { command, pattern, make: Box::new(|_| route) }
        })
    }

    fn add(mut self, command: Command, pattern: &str, make: impl FnOnce(S) -> Route + Send + 'static) -> Router<S> {
        self.entries.push(Entry { command, pattern: pattern.to_owned(), make: Box::new(make) });
        self
    }
}

impl<S> Router<S> {
    fn map<S2>(self, change: impl FnMut(Entry<S>) -> Entry<S2>) -> Router<S2> {
        Router { entries: self.entries.into_iter().map(change).collect() }
    }
}

impl Router {
    /// Makes a service of the routes.
    ///
    /// # Errors
    ///
    /// All patterns that are malformed, and all routes that exclude each other.
    pub fn build(self) -> Result<Routes, RouteErrors> {
        let mut routes = Routes::builder();
        let mut problems = Problems::default();
        for Entry { command, pattern, make } in self.entries {
            problems.note(command, &pattern, routes.add(command, &pattern, make(())));
        }
        problems.none().map(|()| routes.build())
    }
}

impl<S: Clone + Send + 'static> Default for Router<S> {
    fn default() -> Self {
        Router::new()
    }
}

impl<S> std::fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| (entry.command, &entry.pattern))).finish()
    }
}

/// Asserts what a connection needs of routes.
const _: fn() = || {
    fn is_service<T: tower::Service<Request> + Clone + Send + Sync + 'static>() {}
    is_service::<Routes>();
};
