//! The engine in memory.

mod consumer;
mod counts;
mod fan_out;
mod line;
mod queue;
mod queues;
mod retained;
mod sweep;
mod topics;
mod trie;
mod waiting;

use crate::{Config, Destination, Effect, Engine, EngineFuture, Statistics};
use counts::Counts;
use queues::Queues;
use std::{fmt, sync::Arc};
use stomp_frame::Headers;
use stomp_session::{BoxError, Message, MessageStream};
use topics::Topics;

/// The engine in memory: what a broker has unless it is given another.
///
/// What it holds is bounded by its [`Config`], and gone with the process. No lock is held while a mailbox is pushed to or
/// a subscriber is woken.
pub struct Memory {
    topics: Topics,
    queues: Queues,
    counts: Arc<Counts>,
}

impl Memory {
    /// An engine with these settings.
    #[must_use]
    pub fn new(config: Config) -> Memory {
        let (config, counts) = (Arc::new(config), Arc::<Counts>::default());
        let topics = Topics::new(Arc::clone(&config), Arc::clone(&counts));
        Memory {
            topics,
            queues: Queues::new(config, Arc::clone(&counts)),
            counts,
        }
    }
}

impl Engine for Memory {
    fn publish(&self, to: &Destination, message: Message) -> EngineFuture<()> {
        if to.is_queue() {
            return EngineFuture::ready(self.queues.publish(to, message));
        }
        let mut fan_out = self.topics.publish(to, message);
        // Most topics have few subscribers, and need no task's time but this one's.
        if fan_out.step() {
            EngineFuture::from_future(fan_out)
        } else {
            EngineFuture::ready(Ok::<_, BoxError>(()))
        }
    }

    fn reserve(&self, to: &Destination, message: Message) -> EngineFuture<Effect> {
        if to.is_queue() {
            return EngineFuture::ready(self.queues.reserve(to, message));
        }
        let (topics, to) = (self.topics.clone(), to.clone());
        let effect: Effect = Box::new(move || drop(topics.publish(&to, message)));
        EngineFuture::ready(Ok::<_, BoxError>(effect))
    }

    fn subscribe(&self, to: &Destination) -> EngineFuture<MessageStream> {
        if to.is_queue() {
            return EngineFuture::ready(
                self.queues
                    .subscribe(to)
                    .map(|consumer| Box::pin(consumer) as MessageStream),
            );
        }
        EngineFuture::ready(
            self.topics
                .subscribe(to)
                .map(|subscription| Box::pin(subscription) as MessageStream),
        )
    }

    fn statistics(&self) -> Statistics {
        let mut statistics = self.counts.statistics();
        self.topics.list(&mut statistics);
        self.queues.list(&mut statistics);
        statistics
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// What a message counts against limits in bytes: about its size on the wire.
fn weight(message: &Message) -> usize {
    const FRAME: usize = 128;
    FRAME + bytes(message.headers()) + message.body().len()
}

fn bytes(headers: &Headers) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum()
}
