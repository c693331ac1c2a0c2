//! Streams of messages as the response to `SUBSCRIBE`.

use crate::IntoSubscribeResponse;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use stomp_session::{BoxError, Delivery, IntoDelivery, Response};

/// A stream whose items are sent to the subscription, one message each.
///
/// Items are anything that implements [`IntoDelivery`]: a value that can be sent as a message, a `Delivery`, or a
/// `Result` of these. The stream is polled only while the client keeps reading, and dropped when the subscription ends.
///
/// The subscription ends with the stream. If the last item is an error, the client gets it as an `ERROR`; otherwise the
/// client does not see the end, as STOMP has no frame for it. To keep the subscription open for messages that are sent
/// in another way, append a stream that never ends: `stream.chain(futures_util::stream::pending())`.
///
/// Any `Stream` works, for example one that counts:
///
/// ```
/// use futures_util::stream;
/// use stomp_router::{IntoSubscribeResponse, Observe, Router};
///
/// async fn count() -> impl IntoSubscribeResponse {
///     Observe(stream::unfold(1, async |number: u64| Some((number.to_string(), number + 1))))
/// }
///
/// let router: Router = Router::new().subscribe("/numbers", count);
/// ```
///
/// # Channels of tokio
///
/// The receivers of tokio's channels are not streams. The crate `tokio-stream` has a wrapper for each, such as
/// `WatchStream` and `ReceiverStream`. A stream can also be made from a receiver directly. The following one tells the
/// client how many messages it has missed, while the wrapper `BroadcastStream` ends the subscription of a slow client
/// with an error:
///
/// ```
/// use futures_util::stream;
/// use stomp_router::{IntoSubscribeResponse, Observe, State};
/// use stomp_session::{Delivery, Gap, Message};
/// use tokio::sync::broadcast::{Sender, error::RecvError};
///
/// async fn prices(State(prices): State<Sender<String>>) -> impl IntoSubscribeResponse {
///     Observe(stream::unfold(prices.subscribe(), async |mut receiver| {
///         let mut missing = 0;
///         loop {
///             match receiver.recv().await {
///                 Ok(price) => {
///                     let delivery = Delivery::new(Message::new(price));
///                     return Some((delivery.with_gap(Gap::Dropped(missing)), receiver));
///                 }
///                 Err(RecvError::Lagged(count)) => missing += count,
///                 Err(RecvError::Closed) => return None,
///             }
///         }
///     }))
/// }
/// # fn main() -> Result<(), stomp_router::RouteErrors> {
/// # let (sender, _) = tokio::sync::broadcast::channel(16);
/// # stomp_router::Router::new().subscribe("/prices", prices).with_state(sender).build()?;
/// # Ok(())
/// # }
/// ```
///
/// A [`Topic`](stomp_session::Topic) is a channel whose subscribers are streams.
#[derive(Debug, Clone, Copy)]
pub struct Observe<S>(pub S);

impl<S> Observe<S>
where
    S: Stream<Item: IntoDelivery> + Send + 'static,
{
    /// Sends `values` before the items of the stream: the current state first, then its changes.
    ///
    /// Subscribe to the changes before you read the current state. A change between the two is then not lost.
    ///
    /// ```
    /// use stomp_router::{IntoSubscribeResponse, Json, Observe, State};
    /// use stomp_session::Topic;
    /// # #[derive(Clone)]
    /// # struct Price { changes: Topic<Json<f64>> }
    /// # impl Price { fn now(&self) -> f64 { 12.5 } }
    ///
    /// async fn watch(State(price): State<Price>) -> impl IntoSubscribeResponse {
    ///     let changes = price.changes.subscribe();
    ///     Observe(changes).starting_with([Json(price.now())])
    /// }
    /// ```
    pub fn starting_with<I>(
        self,
        values: I,
    ) -> Observe<impl Stream<Item = Result<Delivery, BoxError>> + Send + 'static>
    where
        I: IntoIterator<Item: IntoDelivery + 'static, IntoIter: Send + 'static>,
    {
        let values = stream::iter(values.into_iter().map(IntoDelivery::into_delivery));
        Observe(values.chain(self.0.map(IntoDelivery::into_delivery)))
    }
}

impl<S> IntoSubscribeResponse for Observe<S>
where
    S: Stream<Item: IntoDelivery> + Send + 'static,
{
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::observe(self.0))
    }
}
