//! The interface between a broker and its engine.

use crate::{
    Address, Capabilities, EngineFuture, EventStream, Health, Publication, QueueSettings,
    Statistics, SubscribeRequest, capabilities::not_supported,
};
use stomp_session::{MemoryBudget, Message, MessageStream};
use tokio::sync::watch;

/// Carries messages from publishers to subscribers: [in memory](crate::Memory), or over an external system that
/// connects several servers.
///
/// The broker checks the permissions of clients, and calls its engine only with valid addresses. The engine keeps the
/// promises below. [`conformance`](crate::conformance) tests them.
///
/// # Calls
///
/// - A method begins its work when it is called, and never blocks. Its [`EngineFuture`] completes with the result. A
///   `SEND` gets its `RECEIPT` when the future of [`publish`](Engine::publish) succeeds, and a `SUBSCRIBE` when the
///   future of [`subscribe`](Engine::subscribe) succeeds.
/// - If a future is dropped, its work completes or does not happen at all. It is never left half done.
/// - A client sees the code and text of an error only if it is a [`ClientError`](stomp_session::ClientError). If an
///   engine cannot reach its system, its futures fail with the code `engine-unavailable` within a bounded time. It does
///   not collect messages to publish them later.
/// - The broker asks an engine only for what its [`capabilities`](Engine::capabilities) declare. The default bodies of
///   the methods that administer queues, and the default transaction, fail with `not-supported`.
/// - An engine that wraps another one must forward the methods with default bodies too. It calls the inner engine before
///   it makes its own future: `let future = self.0.publish(to, publication);`, then
///   `EngineFuture::from_future(async move { let result = future.await; …; result })`.
///
/// # Messages
///
/// - A message keeps its [id](Message::id): in each delivery, for each subscriber, and on each node. An engine that
///   stores messages, or sends them to another process, does so with their ids.
///
/// # Topics
///
/// - Each subscription gets each matching message that is published after it began. It gets no message twice. A session
///   also gets its own messages.
/// - If a caller awaits each future before its next call, its messages arrive in order. Messages of several callers
///   have no common order.
/// - A message arrives with its body, its headers, its [destination](stomp_session::Message::destination) and its
///   [reply-to](stomp_session::Message::reply_to). An engine over an external system carries the last two in the form
///   that the system has for such properties, which no client can forge.
/// - Equal addresses are the same topic, however they were spelled. A principal's topics differ from those of other
///   principals, and from the topics that all clients share.
/// - No message is lost silently. If a subscription has lost messages, or may have, its next delivery has a
///   [gap](stomp_session::Delivery::with_gap), or its stream fails.
/// - A new subscription begins with the retained message of each matching topic: the last one that was
///   [set](crate::Retain::Set). There is none if it was removed, has expired, or was forgotten because of a limit. A
///   message that is set while a subscription begins is delivered exactly once, either as the retained message or as a
///   later one.
/// - A message that has [expired](Publication::expires) when it is published is accepted, but not delivered. A message
///   that expires while it waits for a slow subscriber is still delivered.
///
/// # Queues
///
/// - Equal addresses are the same queue, however they were spelled.
/// - An accepted message stays in its queue until a consumer acknowledges it, it expires, or the queue gives it up as a
///   dead letter. Purging or deleting the queue also removes it. It is delivered to one consumer at a time.
/// - A message whose delivery is not settled as [`Acked`](stomp_session::Settlement::Acked) returns to its place,
///   unless the queue gives it up. It is delivered again before later messages, with the header `redelivered` unless
///   all its deliveries were [`Unsent`](stomp_session::Settlement::Unsent). After
///   [`Nacked`](stomp_session::Settlement::Nacked), it goes to another consumer if one waits.
/// - An [`Abandoned`](stomp_session::Settlement::Abandoned) delivery is no refusal, because the consumer may never have
///   looked at the message. It does not count for
///   [`max_delivery_attempts`](crate::QueueSettings::max_delivery_attempts), but for
///   [`max_abandoned_deliveries`](crate::QueueSettings::max_abandoned_deliveries).
/// - With [`redelivery_delay`](Capabilities::redelivery_delay), a message that was refused more than once is
///   [delayed](crate::QueueSettings::redelivery_delay) before its next delivery. Later messages pass meanwhile. Then the
///   message returns to its place. It still counts as waiting, and still expires.
/// - Consumers that wait take turns. The consumers of one [session](SubscribeRequest::session) have one turn together.
/// - A session polls the stream of a consumer only while the consumer has credit. The engine takes no message from the
///   queue for a stream that is not polled.
/// - A message that has [expired](Publication::expires) is not delivered, and takes no room in its queue.
/// - A temporary queue exists while it has a subscriber. At other times, messages to it are accepted and dropped. Any
///   other queue that only subscriptions have used, and that was not [declared](Engine::declare), is forgotten with its
///   last subscription.
///
/// # Transactions
///
/// See [`EngineTransaction`].
pub trait Engine: Send + Sync + 'static {
    /// The parts of a broker that the engine supports. The broker calls this once, when it is created.
    fn capabilities(&self) -> Capabilities;

    /// Publishes a message.
    ///
    /// If [`Publication::confirm`] is true, the future completes when the engine has accepted the message for good. For
    /// an engine over an external system, that is when the system has confirmed it. Otherwise the future may complete
    /// at once, and a message that is lost later is only counted.
    ///
    /// # Errors
    ///
    /// The future fails with `queue-full`, `too-many-destinations` or `engine-unavailable`. The message is then not
    /// published, except if an external system has accepted it and its confirmation was lost.
    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()>;

    /// Publishes a message to a topic to which nobody is subscribed. The broker asks this first for messages that retain
    /// nothing, do not expire and belong to no transaction, so that no message is made that nobody gets.
    ///
    /// Returns `None`, which is the default, if the engine needs the message: if it has subscribers for it, may have some on
    /// other nodes, or stores it, as for a queue. The broker then calls [`publish`](Engine::publish). Otherwise the
    /// message counts as published.
    ///
    /// # Errors
    ///
    /// The future fails with `engine-unavailable`.
    fn publish_unheard(&self, to: &Address) -> Option<EngineFuture<()>> {
        let _ = to;
        None
    }

    /// Begins a transaction. The default is a transaction that refuses all messages with `not-supported`.
    fn begin(&self) -> Box<dyn EngineTransaction> {
        Box::new(NoTransaction)
    }

    /// Subscribes to a topic, a pattern or a queue. The future completes with the stream of messages when the
    /// subscription is in force. Dropping the stream ends the subscription.
    ///
    /// The deliveries of a queue report their outcomes with
    /// [`Delivery::on_settled`](stomp_session::Delivery::on_settled).
    ///
    /// The stream ends when the engine is [shut down](Engine::shutdown), or when its queue is
    /// [deleted](Engine::delete). It fails if the subscription cannot go on. If a stream goes on after an interruption,
    /// its next delivery has a gap.
    ///
    /// # Errors
    ///
    /// The future fails with `too-many-destinations` or `engine-unavailable`. It fails with `queue-in-use` or
    /// `not-supported` as [`SubscribeRequest::exclusive`] and [`SubscribeRequest::auto_delete`] say.
    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream>;

    /// The budget in which the engine counts the messages that it holds in this process. The default is `None`, for an
    /// engine that counts none.
    fn memory_budget(&self) -> Option<MemoryBudget> {
        None
    }

    /// Completes with the destinations and counts that the engine knows. The default is empty.
    fn statistics(&self) -> EngineFuture<Statistics> {
        EngineFuture::ready(Ok::<_, stomp_session::BoxError>(Statistics::default()))
    }

    /// Returns the state of the engine, in a channel of `tokio::sync::watch` that also reports its changes. The default
    /// is always [`Health::Up`]. An engine keeps the promise of [`shutdown`](Engine::shutdown) only with a body of its
    /// own.
    fn health(&self) -> watch::Receiver<Health> {
        watch::channel(Health::Up).1
    }

    /// Returns a stream of the engine's events from now on. The default is a stream that ends at once.
    ///
    /// Events should cost almost nothing while no stream exists. A bounded number of them waits for each reader. A
    /// reader that is too slow gets [`Event::Missed`](crate::Event::Missed), and delays nobody.
    fn events(&self) -> EventStream {
        EventStream::empty()
    }

    /// Creates a queue if it does not exist, and gives it these settings until it is deleted. The queue is not removed
    /// when it is idle.
    ///
    /// # Errors
    ///
    /// The future fails with `bad-request` if the settings are impossible, with `too-many-destinations`, with
    /// `engine-unavailable`, or with `not-supported`, which is the default.
    fn declare(&self, queue: &Address, settings: QueueSettings) -> EngineFuture<()> {
        let _ = (queue, settings);
        EngineFuture::ready(Err(not_supported("declaring queues")))
    }

    /// Removes the messages that wait in a queue. The future completes with their number, which is 0 if the queue does
    /// not exist. Deliveries that are not yet settled stay with their consumers.
    ///
    /// # Errors
    ///
    /// The future fails with `not-supported`, which is the default, or `engine-unavailable`.
    fn purge(&self, queue: &Address) -> EngineFuture<usize> {
        let _ = queue;
        EngineFuture::ready(Err(not_supported("purging queues")))
    }

    /// Removes a queue with its messages and its [declared](Engine::declare) settings. The future completes with the
    /// number of messages that waited, which is 0 if the queue does not exist.
    ///
    /// The streams of its consumers end. Messages whose deliveries are not yet settled do not return to the queue. The
    /// next message or subscription creates the queue again.
    ///
    /// # Errors
    ///
    /// The future fails with `not-supported`, which is the default, or `engine-unavailable`.
    fn delete(&self, queue: &Address) -> EngineFuture<usize> {
        let _ = queue;
        EngineFuture::ready(Err(not_supported("deleting queues")))
    }

    /// Completes with the first `max` messages that wait in a queue, oldest first. The messages stay in the queue.
    /// There are none if the queue does not exist.
    ///
    /// # Errors
    ///
    /// The future fails with `not-supported`, which is the default, or `engine-unavailable`.
    fn browse(&self, queue: &Address, max: usize) -> EngineFuture<Vec<Message>> {
        let _ = (queue, max);
        EngineFuture::ready(Err(not_supported("browsing queues")))
    }

    /// Ends all subscriptions. The future completes when the engine has given back what it holds. For an engine over an
    /// external system, that is when its unsettled messages have returned to that system.
    ///
    /// From the call on, publications, subscriptions, transactions and the administration of queues fail with
    /// `engine-unavailable`, and the [health](Engine::health) is [`Health::Down`]. A second call does nothing more.
    ///
    /// The stream of a topic ends after the messages that already wait for its subscriber.
    fn shutdown(&self) -> EngineFuture<()>;
}

/// Messages that are published together or not at all.
///
/// The caller [adds](EngineTransaction::prepare) messages one by one, and then [commits](EngineTransaction::commit) or
/// drops the transaction. Nobody gets its messages before the commit.
///
/// Dropping the transaction releases everything that was reserved, and publishes nothing. This holds even while a
/// future of [`prepare`](EngineTransaction::prepare) is not complete.
pub trait EngineTransaction: Send {
    /// Adds a message. The future completes when room for the message is reserved, so that the commit cannot fail for
    /// lack of room. If an external system checks the whole transaction at the commit, the future may complete at once.
    ///
    /// # Errors
    ///
    /// The future fails with the errors of [`Engine::publish`]. The caller then drops the transaction.
    fn prepare(&mut self, to: &Address, publication: Publication) -> EngineFuture<()>;

    /// Publishes all messages, in the order in which they were added. The future completes when the engine has accepted
    /// them for good, whatever their [`Publication::confirm`].
    ///
    /// # Errors
    ///
    /// The future fails with `engine-unavailable`. Then no message is published, except if an external system has
    /// accepted them all and its confirmation was lost.
    fn commit(self: Box<Self>) -> EngineFuture<()>;
}

/// The transaction of an engine without support for transactions.
struct NoTransaction;

impl EngineTransaction for NoTransaction {
    fn prepare(&mut self, _: &Address, _: Publication) -> EngineFuture<()> {
        EngineFuture::ready(Err(not_supported("SEND in a transaction")))
    }

    fn commit(self: Box<Self>) -> EngineFuture<()> {
        EngineFuture::ready(Ok::<_, stomp_session::BoxError>(()))
    }
}

/// Creates the error `engine-unavailable` for an engine that is shut down.
pub(crate) fn shut_down_error() -> stomp_session::ClientError {
    stomp_session::ClientError::new(
        "engine-unavailable",
        "The engine of the broker is shut down.",
    )
}
