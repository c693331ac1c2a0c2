//! Async functions as routes.

use crate::{
    FromRequest,
    route::{Endpoint, Route, RouteService},
};
use futures_util::future::{BoxFuture, ready};
use std::marker::PhantomData;
use stomp_session::{BoxError, Request, Response};
use tower::Layer;

/// What turns a handler's answer into a response.
type IntoResponse<T> = fn(T) -> Result<Response, BoxError>;

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
/// `A` are the arguments and `S` the state of the router; neither is of interest to callers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    note = "a handler is an `async fn` of up to 8 arguments that are all `FromRequest` and `'static`, \
            and its future is `Send`"
)]
pub trait Handler<A, S>: Sized + Send + 'static {
    /// What it returns in the end.
    type Output: 'static;

    /// Makes a route of it.
    fn into_route(self, state: S, into_response: IntoResponse<Self::Output>) -> Route;

    /// Wraps the handler in a tower layer, for one route.
    fn layer<L>(self, layer: L) -> Layered<Self, L, A, S>
    where
        L: Layer<Route, Service: RouteService>,
    {
        Layered { handler: self, layer, kind: PhantomData }
    }
}

/// A [`Handler`] in a layer.
#[derive(Debug, Clone, Copy)]
pub struct Layered<H, L, A, S> {
    handler: H,
    layer: L,
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

    fn into_route(self, state: S, into_response: IntoResponse<H::Output>) -> Route {
        self.handler.into_route(state, into_response).layer(&self.layer)
    }
}

/// A function with its state.
struct Function<F, A, S, T> {
    function: F,
    state: S,
    into_response: IntoResponse<T>,
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

            fn into_route(self, state: S, into_response: IntoResponse<R::Output>) -> Route {
                let arguments = PhantomData::<fn(($($argument,)*))>;
                Route::new(Function { function: self, state, into_response, arguments })
            }
        }

        impl<F, R, S, $($argument),*> Endpoint for Function<F, ($($argument,)*), S, R::Output>
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: Future<Output: 'static> + Send + 'static,
            S: Send + Sync + 'static,
            $($argument: FromRequest<S>,)*
        {
            #[allow(unused_variables)] // of the function without arguments
            fn call(&self, request: &Request) -> BoxFuture<'static, Result<Response, BoxError>> {
                let call = || Ok::<R, BoxError>((self.function)($($argument::from_request(request, &self.state)?),*));
                match call() {
                    Ok(future) => {
                        let into_response = self.into_response;
                        Box::pin(async move { into_response(future.await) })
                    }
                    Err(error) => Box::pin(ready(Err(error))),
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
