//! Handlers: async functions that can be used as routes.

use crate::{
    FromRequest,
    into_response::ResponseConverter,
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
/// If the compiler reports that a function has no method `layer`, one of the arguments does not implement `FromRequest`.
/// Pass the function to a route without a layer to get a better error message.
///
/// `A` is the tuple of the arguments and `S` the router's state. Both are inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is an `async fn` of up to 8 arguments that all implement `FromRequest` and are `'static`, \
            and its future is `Send`",
    note = "to take the router's state, use an argument `State<T>`, where `T` is the type passed to `with_state` or \
            implements `FromRef` for that type"
)]
pub trait Handler<A, S>: Sized + Send + 'static {
    /// The value that the function returns.
    type Output: 'static;

    /// Converts the handler into a route.
    #[doc(hidden)]
    fn into_route<C: Send + 'static>(
        self,
        state: S,
        converter: ResponseConverter<Self::Output, C>,
    ) -> Route;

    /// Wraps the handler in a tower layer.
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

    /// Wraps the handler in a tower layer that decides who may use it.
    ///
    /// Works like [`layer`](Handler::layer), and also marks the route as having a policy: see
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

/// A [`Handler`] wrapped in a layer, returned by [`Handler::layer`] and [`Handler::policy`].
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

    fn into_route<C: Send + 'static>(
        self,
        state: S,
        converter: ResponseConverter<H::Output, C>,
    ) -> Route {
        let route = self.handler.into_route(state, converter).layer(&self.layer);
        if self.is_policy {
            route.with_policy()
        } else {
            route
        }
    }
}

/// A handler function with its state.
struct FunctionEndpoint<F, A, S, T, C> {
    function: F,
    state: S,
    converter: ResponseConverter<T, C>,
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

            fn into_route<C: Send + 'static>(self, state: S, converter: ResponseConverter<R::Output, C>) -> Route {
                let arguments = PhantomData::<fn(($($argument,)*))>;
                Route::new(FunctionEndpoint { function: self, state, converter, arguments })
            }
        }

        impl<F, R, S, C, $($argument),*> Endpoint for FunctionEndpoint<F, ($($argument,)*), S, R::Output, C>
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: Future<Output: 'static> + Send + 'static,
            S: Send + Sync + 'static,
            C: Send + 'static,
            $($argument: FromRequest<S>,)*
        {
            fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
                let ResponseConverter { context, convert } = self.converter;
                let start = || {
                    // This comes before the call, so that a handler does not run if its reply could not be sent.
                    let context = context(&request)?;
                    Ok(((self.function)($($argument::from_request(&request, &self.state)?),*), context))
                };
                let started: Result<(R, C), ClientError> = start();
                // The arguments have been extracted. The rest of the request need not stay in memory while the handler
                // runs.
                drop(request);
                match started {
                    Ok((future, context)) => Box::pin(async move { convert(future.await, context) }),
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
