//! Declaring, purging, deleting and browsing the queues of a broker.

use crate::{
    Address, Broker, Engine, EngineFuture, IntoDestination, QueueSettings, Scope, broker::parse,
};
use stomp_session::{ClientError, Message};

/// Administration of queues, for the application.
impl Broker {
    /// Creates the queue `/queue/…` if there is none, and gives it these settings: see [`Engine::declare`].
    ///
    /// # Errors
    ///
    /// The future fails if this is not the name of a queue, if the settings are impossible, or if the engine cannot do
    /// it.
    pub fn declare(
        &self,
        queue: impl IntoDestination,
        settings: QueueSettings,
    ) -> EngineFuture<()> {
        self.with_queue(queue, |engine, queue| engine.declare(queue, settings))
    }

    /// Removes the messages that wait in the queue `/queue/…`, and completes with their number: see [`Engine::purge`].
    ///
    /// # Errors
    ///
    /// The future fails if this is not the name of a queue, or if the engine cannot do it.
    pub fn purge(&self, queue: impl IntoDestination) -> EngineFuture<usize> {
        self.with_queue(queue, |engine, queue| engine.purge(queue))
    }

    /// Removes the queue `/queue/…`, and completes with the number of messages that waited: see [`Engine::delete`].
    ///
    /// # Errors
    ///
    /// The future fails if this is not the name of a queue, or if the engine cannot do it.
    pub fn delete(&self, queue: impl IntoDestination) -> EngineFuture<usize> {
        self.with_queue(queue, |engine, queue| engine.delete(queue))
    }

    /// Completes with the first `max` messages that wait in the queue `/queue/…`: see [`Engine::browse`].
    ///
    /// # Errors
    ///
    /// The future fails if this is not the name of a queue, or if the engine cannot do it.
    pub fn browse(&self, queue: impl IntoDestination, max: usize) -> EngineFuture<Vec<Message>> {
        self.with_queue(queue, |engine, queue| engine.browse(queue, max))
    }

    /// Calls `act` with a queue of all clients, for its administration.
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
