//! The transactions of the in-memory engine.

use super::Memory;
use crate::{
    Address, EngineFuture, EngineTransaction, Health, Publication,
    engine::shut_down_error,
    queue::reservation::{Discarded, Reservation},
};
use stomp_session::BoxError;

/// A transaction. Each message that is added reserves its room in a queue, so that the commit cannot fail for lack of
/// room. Dropping the transaction releases the room.
pub(super) struct MemoryTransaction {
    memory: Memory,
    steps: Vec<Step>,
}

/// The part of a commit that publishes one message.
enum Step {
    PublishToTopic(Address, Publication),
    PublishToQueue(Reservation),
    /// Counts a message that its queue does not keep.
    Discard(Address, Discarded),
}

impl MemoryTransaction {
    pub(super) fn new(memory: Memory) -> MemoryTransaction {
        MemoryTransaction {
            memory,
            steps: Vec::new(),
        }
    }

    fn is_shut_down(&self) -> bool {
        matches!(*self.memory.0.health.borrow(), Health::Down { .. })
    }
}

impl EngineTransaction for MemoryTransaction {
    fn prepare(&mut self, to: &Address, publication: Publication) -> EngineFuture<()> {
        if self.is_shut_down() {
            return EngineFuture::ready(Err(shut_down_error()));
        }
        if to.is_queue() {
            let reserved = self.memory.0.queues.reserve(to, publication);
            return EngineFuture::ready(reserved.map(|reserved| {
                self.steps.push(match reserved {
                    Ok(reservation) => Step::PublishToQueue(reservation),
                    Err(discarded) => Step::Discard(to.clone(), discarded),
                });
            }));
        }
        let step = Step::PublishToTopic(to.clone(), publication);
        self.steps.push(step);
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }

    fn commit(self: Box<Self>) -> EngineFuture<()> {
        if self.is_shut_down() {
            return EngineFuture::ready(Err(shut_down_error()));
        }
        // Started at the end, so that all messages to a topic are one batch.
        let mut published = Vec::new();
        for step in self.steps {
            match step {
                Step::PublishToTopic(to, publication) => {
                    let publishing = self.memory.publish_to_topic(&to, publication);
                    published.extend(publishing.ok().flatten());
                }
                Step::PublishToQueue(reservation) => reservation.publish(),
                Step::Discard(to, discarded) => {
                    self.memory.0.queues.count_discarded(&to, discarded);
                }
            }
        }
        // The messages are published. Where subscribers are slow, the publisher waits before its next ones.
        published.retain_mut(|published| !published.start());
        if published.is_empty() {
            return EngineFuture::ready(Ok::<_, BoxError>(()));
        }
        EngineFuture::from_future(async move {
            for published in published {
                published.await?;
            }
            Ok::<_, BoxError>(())
        })
    }
}
