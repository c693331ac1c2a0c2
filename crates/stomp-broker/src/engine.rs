//! The interface between a broker and its engine.

use crate::{
    Address, Capabilities, EngineFuture, EventStream, Health, Publication, QueueSettings,
    Statistics, SubscribeRequest, capabilities::not_supported,
};
use stomp_session::{Message, MessageStream};
use tokio::sync::watch;

/// Carries messages from publishers to subscribers: [in memory](crate::Memory), or over a system that connects several
/// servers.
///
/// The broker knows clients and their permissions, and calls its engine with addresses that it has checked. The engine
/// keeps these promises; [`conformance`](crate::conformance) tests them.
///
/// # Calls
///
/// - A method begins its work when it is called, and never blocks. Its [`EngineFuture`] completes with the result: a
///   `SEND` gets its `RECEIPT` when that of [`publish`](Engine::publish) completes, a `SUBSCRIBE` when that of
///   [`subscribe`](Engine::subscribe) does.
/// - Dropping a future must not leave the work half done. The work may complete or not happen at all.
/// - A client sees an error only if it is a [`ClientError`](stomp_session::ClientError). An engine that cannot reach its
///   system fails with the code `engine-unavailable`, within a bounded time, and keeps nothing to be done later: it
///   does not collect messages while it is down.
/// - The engine is called only for what its [`capabilities`](Engine::capabilities) declare. The default bodies of
///   optional methods fail with `not-supported`.
///
/// # Topics
///
/// - Each subscription gets each matching message that is published after it began, exactly once. A session also gets
///   its own messages.
/// - The messages of a caller that awaits each future before its next call arrive in order. Messages of several callers
///   have no common order.
/// - Addresses that are equal are the same topic, however they were spelled. Those of a principal are different from those
///   of others and from shared ones.
/// - If messages of a subscription are lost, or may be, its next delivery has a [gap](stomp_session::Delivery::with_gap),
///   or its stream fails. No message is lost silently.
/// - A new subscription begins with the retained message of each matching topic: the last one that was
///   [set](crate::Retain::Set), unless it was removed or has expired. A message that is published while a subscription
///   begins is delivered exactly once, either as the retained message or as a later one.
/// - A message that has [expired](Publication::expires) when it is published is accepted and not delivered. A message
///   that expires while it waits for a slow subscriber is still delivered.
///
/// # Queues
///
/// - Addresses that are equal are the same queue, however they were spelled.
/// - A message that was accepted stays in its queue until a consumer acknowledges it, it expires, or it becomes a dead
///   letter. It is delivered to one consumer at a time.
/// - A delivery that is settled as anything but [`Acked`](stomp_session::Settlement::Acked) returns to its place. It is
///   redelivered before later messages, with `redelivered` unless it was
///   [`Unsent`](stomp_session::Settlement::Unsent). After [`Nacked`](stomp_session::Settlement::Nacked), another
///   consumer that waits gets it first.
/// - A consumer's stream is polled only while its session has credit. The engine takes no message from the queue for a
///   stream that is not polled.
/// - A message whose [time](Publication::expires) has come is not delivered, and takes no room.
/// - A temporary queue exists while it has a subscriber. Messages to it are accepted and dropped at other times.
///
/// # Transactions
///
/// See [`EngineTransaction`].
pub trait Engine: Send + Sync + 'static {
    /// The parts of a broker that the engine supports. The broker asks once, when it is created.
    fn capabilities(&self) -> Capabilities;

    /// Publishes a message.
    ///
    /// With [`Publication::confirm`], completes when the engine has accepted the message for good; an engine over an
    /// external system, when that system has confirmed it. Without it, the future may complete at once, and a loss is
    /// only counted.
    ///
    /// # Errors
    ///
    /// The future fails with `queue-full`, `too-many-destinations` or `engine-unavailable`. The message is then not
    /// published, unless the system has accepted it and its confirmation was lost.
    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()>;

    /// Begins a transaction. The default is one that refuses all messages with `not-supported`.
    fn begin(&self) -> Box<dyn EngineTransaction> {
        Box::new(NoTransaction)
    }

    /// Subscribes to a topic, a pattern or a queue. Completes with the stream of its messages from then on: the
    /// subscription is in force when the future completes. Dropping the stream ends the subscription.
    ///
    /// The deliveries of a queue report their outcomes with
    /// [`Delivery::on_settled`](stomp_session::Delivery::on_settled).
    ///
    /// The stream ends when the engine is [shut down](Engine::shutdown), or when its queue is
    /// [deleted](Engine::delete). It fails if the subscription cannot go on. A stream that is interrupted and goes on
    /// has a gap.
    ///
    /// # Errors
    ///
    /// The future fails with `too-many-destinations` or `engine-unavailable`.
    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream>;

    /// The destinations and counts that the engine knows. The default is empty.
    fn statistics(&self) -> EngineFuture<Statistics> {
        EngineFuture::ready(Ok::<_, stomp_session::BoxError>(Statistics::default()))
    }

    /// The state of the engine, and its changes. The default is always [`Health::Up`]. An engine keeps the promise of
    /// [`shutdown`](Engine::shutdown) only with a body of its own.
    fn health(&self) -> watch::Receiver<Health> {
        watch::channel(Health::Up).1
    }

    /// The events of the engine from now on. The default is a stream that ends at once.
    ///
    /// Events cost nothing while no stream exists. They are bounded: a slow reader gets
    /// [`Event::Missed`](crate::Event::Missed), and delays nobody.
    fn events(&self) -> EventStream {
        EventStream::empty()
    }

    /// Creates a queue if there is none, and gives it these settings until it is deleted. It stays when it is idle.
    ///
    /// # Errors
    ///
    /// The future fails with `bad-request` if the settings are impossible, with `too-many-destinations`, or with
    /// `not-supported`, which is the default.
    fn declare(&self, queue: &Address, settings: QueueSettings) -> EngineFuture<()> {
        let _ = (queue, settings);
        EngineFuture::ready(Err(not_supported("declaring queues")))
    }

    /// Removes the messages that wait in a queue, and completes with their number: 0 if there is no such queue.
    /// Deliveries that are not yet settled stay with their consumers.
    ///
    /// # Errors
    ///
    /// The future fails with `not-supported`, which is the default, or `engine-unavailable`.
    fn purge(&self, queue: &Address) -> EngineFuture<usize> {
        let _ = queue;
        EngineFuture::ready(Err(not_supported("purging queues")))
    }

    /// Removes a queue with its messages and its [declared](Engine::declare) settings, and completes with the number of
    /// messages that waited: 0 if there is no such queue. The streams of its consumers end, and their deliveries that are
    /// not settled do not return. The next message or subscription creates the queue again.
    ///
    /// # Errors
    ///
    /// The future fails with `not-supported`, which is the default, or `engine-unavailable`.
    fn delete(&self, queue: &Address) -> EngineFuture<usize> {
        let _ = queue;
        EngineFuture::ready(Err(not_supported("deleting queues")))
    }

    /// Completes with the first `max` messages that wait in a queue, oldest first, and leaves them there: none if there
    /// is no such queue.
    ///
    /// # Errors
    ///
    /// The future fails with `not-supported`, which is the default, or `engine-unavailable`.
    fn browse(&self, queue: &Address, max: usize) -> EngineFuture<Vec<Message>> {
        let _ = (queue, max);
        EngineFuture::ready(Err(not_supported("browsing queues")))
    }

    /// Ends all subscriptions, and completes when the engine has given back what it holds: an engine over an external
    /// system, when its unsettled messages have returned there. From the call on, all calls that publish, subscribe or
    /// administer queues fail with `engine-unavailable`, and the [health](Engine::health) is [`Health::Down`]. A second
    /// call does nothing more.
    ///
    /// Streams end after the messages that subscribers of topics already have in their mailboxes.
    fn shutdown(&self) -> EngineFuture<()>;
}

/// Messages that are published together or not at all.
///
/// A transaction is prepared message by message, and then [committed](EngineTransaction::commit) or dropped. Nobody gets
/// a message of it before the commit.
///
/// Dropping it releases everything that was reserved, and publishes nothing. That includes a drop while a future of
/// [`prepare`](EngineTransaction::prepare) is not complete.
pub trait EngineTransaction: Send {
    /// Adds a message. Completes when its room is reserved, so that the commit cannot fail for lack of room; or at once,
    /// if the engine's system checks the whole transaction at the commit.
    ///
    /// # Errors
    ///
    /// The future fails with the errors of [`Engine::publish`]. The caller then drops the transaction.
    fn prepare(&mut self, to: &Address, publication: Publication) -> EngineFuture<()>;

    /// Publishes all messages, in the order in which they were added. Completes when the engine has accepted them for
    /// good, whatever their [`Publication::confirm`].
    ///
    /// # Errors
    ///
    /// The future fails with `engine-unavailable`. Then no message is published; or all are, if the engine's system has
    /// accepted them and its confirmation was lost.
    fn commit(self: Box<Self>) -> EngineFuture<()>;
}

/// The transaction of an engine that has none.
struct NoTransaction;

impl EngineTransaction for NoTransaction {
    fn prepare(&mut self, _: &Address, _: Publication) -> EngineFuture<()> {
        EngineFuture::ready(Err(not_supported("SEND in a transaction")))
    }

    fn commit(self: Box<Self>) -> EngineFuture<()> {
        EngineFuture::ready(Ok::<_, stomp_session::BoxError>(()))
    }
}

/// Creates the error `engine-unavailable` of an engine that is shut down.
pub(crate) fn shut_down_error() -> stomp_session::ClientError {
    stomp_session::ClientError::new(
        "engine-unavailable",
        "The engine of the broker is shut down.",
    )
}
