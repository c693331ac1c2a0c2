//! Routes, ready to be called.

use crate::{errors::not_found, path::Paths, route::Route};
use futures_util::future::BoxFuture;
use std::{
    fmt,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_frame::Command;
use stomp_session::{BoxError, Params, Request, Response};
use tower::Service;

/// A router's routes as a service. Clones share them.
#[derive(Clone)]
pub struct Routes {
    table: Arc<Table>,
    /// Where the last request went: peers tend to talk to one destination for a while.
    last: Option<Last>,
}

/// Routes by command.
pub(crate) struct Table {
    connect: Option<Route>,
    send: Paths<Route>,
    subscribe: Paths<Route>,
    unsubscribe: Paths<Route>,
    disconnect: Option<Route>,
}

#[derive(Clone)]
struct Last {
    command: Command,
    destination: String,
    place: usize,
    params: Params,
}

impl Routes {
    pub(crate) fn builder() -> Table {
        Table {
            connect: None,
            send: Paths::new(),
            subscribe: Paths::new(),
            unsubscribe: Paths::new(),
            disconnect: None,
        }
    }

    /// The place of the route for a destination among its command's, and the parameters it finds there.
    fn find(&mut self, command: Command, destination: &str) -> Option<(usize, Params)> {
        if let Some(last) = &self.last {
            if last.command == command && last.destination == destination {
                return Some((last.place, last.params.clone()));
            }
        }
        let (place, params) = self.table.paths(command)?.find(destination)?;
        let mut text = self.last.take().map_or_else(String::new, |last| last.destination);
        text.clear();
        text.push_str(destination);
        self.last = Some(Last { command, destination: text, place, params: params.clone() });
        Some((place, params))
    }

    fn route(&mut self, request: &mut Request) -> Option<&Route> {
        let command = request.command();
        if let Some((place, params)) = self.find(command, request.destination()) {
            request.set_params(params);
            return self.table.paths(command)?.get(place);
        }
        match command {
            Command::Connect | Command::Stomp => self.table.connect.as_ref(),
            Command::Disconnect => self.table.disconnect.as_ref(),
            _ => None,
        }
    }
}

impl Table {
    /// Adds a route, or says why it cannot be.
    pub(crate) fn add(&mut self, command: Command, pattern: &str, route: Route) -> Result<(), String> {
        let slot = match command {
            Command::Send => return self.send.insert(pattern, route),
            Command::Subscribe => return self.subscribe.insert(pattern, route),
            Command::Unsubscribe => return self.unsubscribe.insert(pattern, route),
            Command::Connect => &mut self.connect,
            _ => &mut self.disconnect,
        };
        match slot.replace(route) {
            None => Ok(()),
            Some(_) => Err("has two handlers".to_owned()),
        }
    }

    pub(crate) fn build(self) -> Routes {
        Routes { table: Arc::new(self), last: None }
    }

    fn paths(&self, command: Command) -> Option<&Paths<Route>> {
        match command {
            Command::Send => Some(&self.send),
            Command::Subscribe => Some(&self.subscribe),
            Command::Unsubscribe => Some(&self.unsubscribe),
            _ => None,
        }
    }
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> ResponseFuture {
        if let Some(route) = self.route(&mut request) {
            return ResponseFuture(State::Route(route.call(request)));
        }
        let command = request.command();
        ResponseFuture(State::Ready(ready(match command {
            Command::Send | Command::Subscribe => Err(not_found(command, request.destination()).into()),
            _ => Ok(Response::Done),
        })))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

/// What a route will answer.
pub struct ResponseFuture(State);

enum State {
    Route(BoxFuture<'static, Result<Response, BoxError>>),
    Ready(Ready<Result<Response, BoxError>>),
}

impl Future for ResponseFuture {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Route(future) => future.as_mut().poll(cx),
            State::Ready(ready) => Pin::new(ready).poll(cx),
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
