//! Async functions as routes.

use crate::{
    FromRequest,
    answer::Answering,
    route::{Endpoint, Route, RouteService},
};
use futures_util::future::{BoxFuture, ready};
use std::marker::PhantomData;
use stomp_session::{BoxError, ClientError, Request, Response};
use tower::Layer;

/// An async function of up to eight arguments, each of which is [`FromRequest`].
///
/// ```
/// use stomp_router::{Json, Path, Router, State};
///
/// async fn add(State(factor): State<u32>, Path(id): Path<u32>, Json(count): Json<u32>) -> Result<(), std::fmt::Error> {
///     println!("{} for {id}", factor * count);
///     Ok(())
/// }
///
/// let router: Router = Router::new().send("/items/{id}", add).with_state(3);
/// ```
///
/// Where the compiler says that a function has no method `layer`, an argument of it is not `FromRequest`: give the bare
/// function to a route, and it says more.
///
/// `A` are the arguments and `S` the state of the router; neither is of interest to callers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    note = "a handler is an `async fn` of up to 8 arguments that are all `FromRequest` and `'static`, \
            and its future is `Send`",
    note = "an argument of the router's state is `State<T>`, and `T` is the type that `with_state` is given, or `FromRef` \
            of it"
)]
pub trait Handler<A, S>: Sized + Send + 'static {
    /// What it returns in the end.
    type Output: 'static;

    /// Makes a route of it.
    #[doc(hidden)]
    fn into_route<C: Send + 'static>(
        self,
        state: S,
        answering: Answering<Self::Output, C>,
    ) -> Route;

    /// Wraps the handler in a tower layer, for one route.
    fn layer<L>(self, layer: L) -> Layered<Self, L, A, S>
    where
        L: Layer<Route, Service: RouteService>,
    {
        Layered {
            handler: self,
            layer,
            is_policy: false,
            kind: PhantomData,
        }
    }

    /// As [`layer`](Handler::layer), for a layer that says who may use the route: see
    /// [`Router::require_policies`](crate::Router::require_policies).
    fn policy<L>(self, layer: L) -> Layered<Self, L, A, S>
    where
        L: Layer<Route, Service: RouteService>,
    {
        Layered {
            handler: self,
            layer,
            is_policy: true,
            kind: PhantomData,
        }
    }
}

/// A [`Handler`] in a layer.
#[derive(Debug, Clone, Copy)]
pub struct Layered<H, L, A, S> {
    handler: H,
    layer: L,
    is_policy: bool,
    kind: PhantomData<fn(A, S)>,
}

impl<A, S, H, L> Handler<A, S> for Layered<H, L, A, S>
where
    A: 'static,
    S: 'static,
    H: Handler<A, S>,
    L: Layer<Route, Service: RouteService> + Send + 'static,
{
    type Output = H::Output;

    fn into_route<C: Send + 'static>(self, state: S, answering: Answering<H::Output, C>) -> Route {
        let route = self.handler.into_route(state, answering).layer(&self.layer);
        if self.is_policy {
            route.with_policy()
        } else {
            route
        }
    }
}

/// A function with its state.
struct Function<F, A, S, T, C> {
    function: F,
    state: S,
    answering: Answering<T, C>,
    arguments: PhantomData<fn(A)>,
}

macro_rules! handler {
    ($($argument:ident),*) => {
        impl<F, R, S, $($argument),*> Handler<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: Future<Output: 'static> + Send + 'static,
            S: Send + Sync + 'static,
            $($argument: FromRequest<S> + 'static,)*
        {
            type Output = R::Output;

            fn into_route<C: Send + 'static>(self, state: S, answering: Answering<R::Output, C>) -> Route {
                let arguments = PhantomData::<fn(($($argument,)*))>;
                Route::new(Function { function: self, state, answering, arguments })
            }
        }

        impl<F, R, S, C, $($argument),*> Endpoint for Function<F, ($($argument,)*), S, R::Output, C>
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: Future<Output: 'static> + Send + 'static,
            S: Send + Sync + 'static,
            C: Send + 'static,
            $($argument: FromRequest<S>,)*
        {
            fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
                let Answering { context, respond } = self.answering;
                let start = || {
                    let context = context(&request)?;
                    Ok(((self.function)($($argument::from_request(&request, &self.state)?),*), context))
                };
                let started: Result<(R, C), ClientError> = start();
                // What the handler has not taken of the request is let go.
                drop(request);
                match started {
                    Ok((future, context)) => Box::pin(async move { respond(future.await, context) }),
                    Err(error) => Box::pin(ready(Err(error.into()))),
                }
            }
        }
    };
}

handler!();
handler!(A1);
handler!(A1, A2);
handler!(A1, A2, A3);
handler!(A1, A2, A3, A4);
handler!(A1, A2, A3, A4, A5);
handler!(A1, A2, A3, A4, A5, A6);
handler!(A1, A2, A3, A4, A5, A6, A7);
handler!(A1, A2, A3, A4, A5, A6, A7, A8);
