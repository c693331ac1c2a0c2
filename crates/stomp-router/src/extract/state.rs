//! The router's state as an argument.

use super::FromRequest;
use stomp_session::{ClientError, Request};

/// The router's state, or a part of it.
///
/// ```
/// use stomp_router::{Router, State};
///
/// async fn greet(State(name): State<&'static str>) {
///     println!("Hello from {name}.");
/// }
///
/// # fn main() -> Result<(), stomp_router::RouteErrors> {
/// // Without `with_state`, this does not compile: the router still misses its state.
/// let routes = Router::new().send("/greetings", greet).with_state("the tea house").build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<T>(pub T);

impl<T: FromRef<S>, S> FromRequest<S> for State<T> {
    fn from_request(_: &Request, state: &S) -> Result<Self, ClientError> {
        Ok(State(T::from_ref(state)))
    }
}

/// What is a part of a state `S`. Every state is a part of itself.
///
/// ```
/// use stomp_router::FromRef;
///
/// #[derive(Clone)]
/// struct Prices;
///
/// #[derive(Clone)]
/// struct Shop {
///     prices: Prices,
/// }
///
/// // Handlers take `State<Prices>` where the router's state is a `Shop`.
/// impl FromRef<Shop> for Prices {
///     fn from_ref(shop: &Shop) -> Prices {
///         shop.prices.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no part of the state `{S}`",
    note = "give the router a `{Self}` with `with_state`, or write `impl FromRef<{S}> for {Self}`"
)]
pub trait FromRef<S> {
    /// A copy of the part.
    fn from_ref(state: &S) -> Self;
}

impl<S: Clone> FromRef<S> for S {
    fn from_ref(state: &S) -> S {
        state.clone()
    }
}
