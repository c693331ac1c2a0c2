//! Routes, ready to be called.

use crate::{RouteService, map_error::not_found, table::Table};
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
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

/// A router's routes as a service, with or without layers around them. Clones share them.
///
/// The route is found before the layers are called, so that they can ask for its pattern:
/// [`request.params().pattern()`](stomp_session::Params::pattern).
#[derive(Clone)]
pub struct Routes {
    finder: Finder,
    layered: Option<BoxCloneSyncService<Request, Response, BoxError>>,
}

impl Routes {
    pub(crate) fn new(table: Table) -> Routes {
        Routes {
            finder: Finder {
                table: Arc::new(table),
                last: None,
            },
            layered: None,
        }
    }

    /// Wraps a tower layer around all of it, once: it sees every request, whether there is a route or not.
    ///
    /// Unlike a [`Route`](crate::Route), routes in layers are ready when these are. Each call of this costs one
    /// allocation a frame, however many layers a `ServiceBuilder` has put into one.
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Routes
    where
        L: Layer<Routes, Service: RouteService>,
    {
        // What is inside does not look for what was found outside.
        let finder = Finder {
            table: Arc::clone(&self.finder.table),
            last: None,
        };
        Routes {
            finder,
            layered: Some(BoxCloneSyncService::new(
                layer.layer(self).map_err(Into::into),
            )),
        }
    }

    pub(crate) fn finder(&self) -> Finder {
        self.finder.clone()
    }
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.layered
            .as_mut()
            .map_or(Poll::Ready(Ok(())), |service| service.poll_ready(cx))
    }

    fn call(&mut self, mut request: Request) -> ResponseFuture {
        self.finder.locate(&mut request);
        if let Some(service) = &mut self.layered {
            return ResponseFuture(State::Called(service.call(request)));
        }
        if let Some(route) = self.finder.table.route(&request) {
            return ResponseFuture(State::Called(route.call(request)));
        }
        let command = request.command();
        ResponseFuture(State::Ready(ready(match command {
            Command::Send | Command::Subscribe => {
                Err(not_found(command, request.destination()).into())
            }
            _ => Ok(Response::Done),
        })))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

/// Finds the pattern for a request.
#[derive(Clone)]
pub(crate) struct Finder {
    table: Arc<Table>,
    /// What was found last: peers tend to talk to one destination for a while.
    last: Option<Last>,
}

#[derive(Clone)]
struct Last {
    command: Command,
    destination: String,
    params: Params,
}

impl Finder {
    /// Notes in the request what is found, unless that is done.
    pub(crate) fn locate(&mut self, request: &mut Request) {
        let command = request.command();
        if request
            .params()
            .pattern()
            .is_some_and(|pattern| self.table.knows(command, pattern))
        {
            return;
        }
        let params = self
            .find(command, request.destination())
            .unwrap_or_default();
        request.set_params(params);
    }

    fn find(&mut self, command: Command, destination: &str) -> Option<Params> {
        if let Some(last) = &self.last {
            if last.command == command && last.destination == destination {
                return Some(last.params.clone());
            }
        }
        let params = self.table.find(command, destination)?;
        let mut text = self
            .last
            .take()
            .map_or_else(String::new, |last| last.destination);
        text.clear();
        text.push_str(destination);
        self.last = Some(Last {
            command,
            destination: text,
            params: params.clone(),
        });
        Some(params)
    }
}

/// What a route will answer.
pub struct ResponseFuture(State);

enum State {
    Called(BoxFuture<'static, Result<Response, BoxError>>),
    Ready(Ready<Result<Response, BoxError>>),
}

impl ResponseFuture {
    pub(crate) fn of(called: BoxFuture<'static, Result<Response, BoxError>>) -> ResponseFuture {
        ResponseFuture(State::Called(called))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Called(future) => future.as_mut().poll(cx),
            State::Ready(ready) => Pin::new(ready).poll(cx),
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
