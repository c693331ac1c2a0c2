//! What carries messages from those who send them to those who subscribe.

use crate::{Destination, EngineFuture, Statistics};
use stomp_session::{Message, MessageStream};

/// What carries messages from those who send them to those who subscribe: [in memory](crate::Memory), or over whatever
/// connects several servers.
///
/// The broker knows clients and their rights, and calls its engine with destinations that were checked. The engine is to
/// keep what the documentation of this crate says of topics and queues; [`conformance`](crate::conformance) tests it.
///
/// A method begins when it is called, and its [`EngineFuture`] says how it went: a `SEND` gets its `RECEIPT` when
/// [`publish`](Engine::publish) is answered, a `SUBSCRIBE` when [`subscribe`](Engine::subscribe) is. An answer that is dropped
/// must leave nothing half done. Errors are shown to the client if they are a
/// [`ClientError`](stomp_session::ClientError).
pub trait Engine: Send + Sync + 'static {
    /// Publishes a message. Answered when the engine has it for good: with an external one, when that has confirmed it.
    ///
    /// Messages from one caller who waits for each answer arrive in order.
    fn publish(&self, to: &Destination, message: Message) -> EngineFuture<()>;

    /// Makes sure that a message can be published, and gives the effect that does it, as a part of a transaction: the
    /// effect must neither wait nor fail. Where it is dropped instead, nothing is left of it.
    fn reserve(&self, to: &Destination, message: Message) -> EngineFuture<Effect>;

    /// The messages of a destination or pattern, from the time of the answer on. Dropping the stream ends the
    /// subscription.
    ///
    /// A stream of a queue is polled only while its session has credit. Its deliveries tell the engine what became of them,
    /// with [`Delivery::on_settled`](stomp_session::Delivery::on_settled).
    fn subscribe(&self, to: &Destination) -> EngineFuture<MessageStream>;

    /// What there is, as far as the engine knows. Nothing, by default.
    fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}

/// What publishes a message that was reserved.
pub type Effect = Box<dyn FnOnce() + Send>;
