//! The interface between a broker and its engine.

use crate::{Address, EngineFuture, Statistics};
use stomp_session::{Message, MessageStream};

/// Carries messages from publishers to subscribers: [in memory](crate::Memory), or over a system that connects several
/// servers.
///
/// The broker knows clients and their permissions, and calls its engine with destinations that it has checked. An
/// engine keeps the promises of the [crate documentation](crate) about topics and queues;
/// [`conformance`](crate::conformance) tests that.
///
/// A method begins its work when it is called. Its [`EngineFuture`] completes with the result: a `SEND` gets its
/// `RECEIPT` when that of [`publish`](Engine::publish) completes, a `SUBSCRIBE` when that of
/// [`subscribe`](Engine::subscribe) does. Dropping the future must not leave the work half done. A client sees an
/// error if it is a [`ClientError`](stomp_session::ClientError).
pub trait Engine: Send + Sync + 'static {
    /// Publishes a message. Completes when the engine has accepted it for good; an engine over an external system, when
    /// that system has confirmed it.
    ///
    /// The messages of a caller that awaits each future before its next call arrive in order.
    fn publish(&self, to: &Address, message: Message) -> EngineFuture<()>;

    /// Prepares to publish a message as part of a transaction, and completes with the effect that publishes it. The
    /// effect must neither block nor fail. Dropping it instead releases everything that was reserved.
    fn reserve(&self, to: &Address, message: Message) -> EngineFuture<Effect>;

    /// Subscribes to a destination or a pattern. Completes with the stream of its messages from then on. Dropping the
    /// stream ends the subscription.
    ///
    /// The stream of a queue is polled only while its session has credit. Its deliveries report their outcomes to the
    /// engine with [`Delivery::on_settled`](stomp_session::Delivery::on_settled).
    fn subscribe(&self, to: &Address) -> EngineFuture<MessageStream>;

    /// The destinations and counts that the engine knows. The default is empty.
    fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}

/// Publishes a reserved message when it is called. [`Engine::reserve`] returns it.
pub type Effect = Box<dyn FnOnce() + Send>;
