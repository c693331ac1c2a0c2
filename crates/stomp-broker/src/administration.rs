//! Declaring, purging, deleting and browsing the queues of a broker.

use crate::{
    Address, Broker, Engine, EngineFuture, IntoDestination, QueueSettings, Scope, broker::parse,
};
use stomp_session::{ClientError, Message};

/// Administration of queues by the application.
///
/// The [rules](crate::Rules) of the broker do not apply to these methods, and a declared queue needs rules for clients
/// like any other.
///
/// ```
/// use stomp_broker::{Broker, Config, QueueSettings, Rules, Who};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stomp_session::BoxError> {
/// let rules = Rules::default().send_and_subscribe("/queue/orders", Who::role("staff"));
/// let broker = Broker::new(Config::default().rules(rules))?;
///
/// let settings = QueueSettings::default().max_messages(1_000);
/// broker.declare("/queue/orders", settings).await?;
/// broker.publish("/queue/orders", "7 apples").await?;
/// assert_eq!(broker.browse("/queue/orders", 10).await?[0].body(), "7 apples");
/// assert_eq!(broker.purge("/queue/orders").await?, 1);
/// broker.delete("/queue/orders").await?;
/// # Ok(())
/// # }
/// ```
impl Broker {
    /// Creates a queue `/queue/…` if it does not exist, and gives it these settings: see [`Engine::declare`]. The queue
    /// stays until it is [deleted](Broker::delete), also without messages and consumers.
    ///
    /// # Errors
    ///
    /// The future fails if `queue` is not the name of a queue, if the engine does not support it, or with the errors of
    /// [`Engine::declare`].
    pub fn declare(
        &self,
        queue: impl IntoDestination,
        settings: QueueSettings,
    ) -> EngineFuture<()> {
        self.with_queue(queue, |engine, queue| engine.declare(queue, settings))
    }

    /// Removes the messages that wait in a queue `/queue/…`. The future completes with their number: see
    /// [`Engine::purge`].
    ///
    /// # Errors
    ///
    /// The future fails if `queue` is not the name of a queue, or if the engine does not support it or is not
    /// available.
    pub fn purge(&self, queue: impl IntoDestination) -> EngineFuture<usize> {
        self.with_queue(queue, |engine, queue| engine.purge(queue))
    }

    /// Removes a queue `/queue/…`. The future completes with the number of messages that waited: see
    /// [`Engine::delete`].
    ///
    /// # Errors
    ///
    /// The future fails if `queue` is not the name of a queue, or if the engine does not support it or is not
    /// available.
    pub fn delete(&self, queue: impl IntoDestination) -> EngineFuture<usize> {
        self.with_queue(queue, |engine, queue| engine.delete(queue))
    }

    /// Completes with the first `max` messages that wait in a queue `/queue/…`: see [`Engine::browse`].
    ///
    /// # Errors
    ///
    /// The future fails if `queue` is not the name of a queue, or if the engine does not support it or is not
    /// available.
    pub fn browse(&self, queue: impl IntoDestination, max: usize) -> EngineFuture<Vec<Message>> {
        self.with_queue(queue, |engine, queue| engine.browse(queue, max))
    }

    /// Calls `act` with the engine and a queue, if the destination is a `/queue/…` and the engine can administer
    /// queues.
    fn with_queue<T>(
        &self,
        queue: impl IntoDestination,
        act: impl FnOnce(&dyn Engine, &Address) -> EngineFuture<T>,
    ) -> EngineFuture<T> {
        let check = |queue: Address| {
            if *queue.scope() != Scope::Queue {
                let text = format!(
                    "The destination {:?} is not a queue: /queue/NAME.",
                    queue.to_string()
                );
                return Err(ClientError::new("bad-destination", text));
            }
            queue.check(&self.0.config)?;
            self.0.capabilities.check_administration(&queue)?;
            Ok(queue)
        };
        match parse(queue).and_then(check) {
            Ok(queue) => act(&*self.0.engine, &queue),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }
}
