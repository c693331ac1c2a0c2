//! Handlers: async functions that can be used as routes.

use crate::{
    FromRequest, FromRequestParts,
    client_errors::UnavailableArgument,
    into_response::ResponseConverter,
    route::{Endpoint, Route, RouteService},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{marker::PhantomData, sync::Arc};
use stomp_session::{BoxError, Request, Response};
use tower::Layer;

/// An async function of up to eight arguments, each of which is [`FromRequestParts`]. The last one may be
/// [`FromRequest`].
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
/// If the compiler reports that a function has no method `layer`, one of the arguments is not `FromRequestParts`. Pass
/// the function to a route without a layer to get a better error message. To find the argument, check one at a time:
///
/// ```
/// use stomp_router::{FromRequestParts, Json};
///
/// fn check<T: FromRequestParts<()>>() {}
/// check::<Json<u32>>();
/// ```
///
/// If all arguments pass, the function's future is not `Send`: it holds an `Rc` or a lock across an `.await`.
///
/// `A` is the tuple of the arguments and `S` the router's state. Both are inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is an `async fn` of up to 8 arguments that all implement `FromRequestParts` and are \
            `Send + 'static`, and its future is `Send`",
    note = "only the last argument can be a `Request`, or another type that implements `FromRequest`",
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
struct FunctionEndpoint<F, A, S, T, C>(Arc<StatefulHandler<F, A, S, T, C>>);

struct StatefulHandler<F, A, S, T, C> {
    function: F,
    state: S,
    converter: ResponseConverter<T, C>,
    arguments: PhantomData<fn(A)>,
}

/// The arguments of a handler function `F`, as a tuple.
trait Arguments<F, S> {
    /// The future that the function returns.
    type Future: Future + Send + 'static;

    /// True if no argument waits, so that [`call`](Arguments::call) completes when it is first polled.
    const ARE_IMMEDIATE: bool;

    /// Takes the arguments from a request, and calls the function.
    fn call(
        function: &F,
        request: Request,
        state: &S,
    ) -> impl Future<Output = Result<Self::Future, BoxError>> + Send;
}

impl<F, A, S, C> StatefulHandler<F, A, S, <A::Future as Future>::Output, C>
where
    A: Arguments<F, S>,
{
    /// Calls the function. The rest of the request need not stay in memory while its future runs.
    async fn start(&self, request: Request) -> Result<(A::Future, C), BoxError> {
        // This comes before the call, so that a handler does not run if its reply could not be sent.
        let context = (self.converter.context)(&request)?;
        let called = A::call(&self.function, request, &self.state).await;
        let future = called.map_err(UnavailableArgument::name_handler::<F>)?;
        Ok((future, context))
    }

    /// Does the same as [`start`](StatefulHandler::start) if no argument waits.
    fn start_at_once(&self, request: Request) -> Result<(A::Future, C), BoxError> {
        let context = (self.converter.context)(&request)?;
        let called = A::call(&self.function, request, &self.state).now_or_never();
        let called = called.ok_or("an argument is not available at once")?;
        let future = called.map_err(UnavailableArgument::name_handler::<F>)?;
        Ok((future, context))
    }
}

impl<F, A, S, C> Endpoint for FunctionEndpoint<F, A, S, <A::Future as Future>::Output, C>
where
    F: Send + Sync + 'static,
    A: Arguments<F, S> + 'static,
    <A::Future as Future>::Output: 'static,
    S: Send + Sync + 'static,
    C: Send + 'static,
{
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
        let convert = self.0.converter.convert;
        if A::ARE_IMMEDIATE {
            // The boxed future has only the function's own future, and no share of the handler, which all sessions use.
            return match self.0.start_at_once(request) {
                Ok((future, context)) => Box::pin(async move { convert(future.await, context) }),
                Err(error) => Box::pin(ready(Err(error))),
            };
        }
        let handler = Arc::clone(&self.0);
        Box::pin(async move {
            let (future, context) = handler.start(request).await?;
            drop(handler);
            convert(future.await, context)
        })
    }
}

/// Implements [`Handler`] for functions without arguments, or with the arguments `$argument` and a last one.
macro_rules! handler {
    ($($($argument:ident)* => $last:ident)?) => {
        impl<F, R, S, $(M, $($argument,)* $last)?> Handler<($(M, $($argument,)* $last,)?), S> for F
        where
            F: Fn($($($argument,)* $last)?) -> R + Send + Sync + 'static,
            R: Future<Output: 'static> + Send + 'static,
            S: Send + Sync + 'static,
            $(
                M: 'static,
                $($argument: FromRequestParts<S> + Send + 'static,)*
                $last: FromRequest<S, M> + 'static,
            )?
        {
            type Output = R::Output;

            fn into_route<C: Send + 'static>(self, state: S, converter: ResponseConverter<R::Output, C>) -> Route {
                let arguments = PhantomData::<fn(($(M, $($argument,)* $last,)?))>;
                Route::new(FunctionEndpoint(Arc::new(StatefulHandler { function: self, state, converter, arguments })))
            }
        }

        impl<F, R, S, $(M, $($argument,)* $last)?> Arguments<F, S> for ($(M, $($argument,)* $last,)?)
        where
            F: Fn($($($argument,)* $last)?) -> R + Sync,
            R: Future + Send + 'static,
            S: Sync,
            $(
                $($argument: FromRequestParts<S> + Send,)*
                $last: FromRequest<S, M>,
            )?
        {
            type Future = R;

            const ARE_IMMEDIATE: bool = true $($(&& $argument::IS_IMMEDIATE)* && $last::IS_IMMEDIATE)?;

            #[allow(non_snake_case, unused_variables, reason = "an argument is named like its type")]
            async fn call(function: &F, request: Request, state: &S) -> Result<R, BoxError> {
                $(
                    $(let $argument = $argument::from_request_parts(&request, state).await?;)*
                    let $last = $last::from_request(request, state).await?;
                )?
                Ok(function($($($argument,)* $last)?))
            }
        }
    };
}

handler!();
handler!(=> A1);
handler!(A1 => A2);
handler!(A1 A2 => A3);
handler!(A1 A2 A3 => A4);
handler!(A1 A2 A3 A4 => A5);
handler!(A1 A2 A3 A4 A5 => A6);
handler!(A1 A2 A3 A4 A5 A6 => A7);
handler!(A1 A2 A3 A4 A5 A6 A7 => A8);
