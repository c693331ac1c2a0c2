//! The router's state as a handler argument.

use super::FromRequestParts;
use stomp_session::{BoxError, Request};

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
/// // Without `with_state`, this does not compile.
/// let routes = Router::new().send("/greetings", greet).with_state("the tea house").build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<T>(pub T);

impl<T: FromRef<S>, S: Sync> FromRequestParts<S> for State<T> {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(_: &Request, state: &S) -> Result<Self, BoxError> {
        Ok(State(T::from_ref(state)))
    }
}

/// A part of a state `S`, which handlers can take as [`State<Self>`](State).
///
/// Every `Clone` type is a part of itself.
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
    message = "`{Self}` is not part of the state `{S}`",
    note = "pass a `{Self}` to `with_state`, or write `impl FromRef<{S}> for {Self}`"
)]
pub trait FromRef<S> {
    /// Clones the part from the state.
    fn from_ref(state: &S) -> Self;
}

impl<S: Clone> FromRef<S> for S {
    fn from_ref(state: &S) -> S {
        state.clone()
    }
}
