//! Declaring, purging, deleting and browsing the queues of a broker.

use crate::{
    Address, Broker, Engine, EngineFuture, IntoDestination, QueueSettings, Scope, broker::parse,
};
use stomp_session::{ClientError, Message};

/// Administration of queues by the application.
impl Broker {
    /// Creates a queue `/queue/…` if it does not exist, and gives it these settings: see [`Engine::declare`].
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
