//! The in-memory engine: joins the topics of `local` with the queues of `queue`.

use crate::{
    Address, Config, Effect, Engine, EngineFuture, Statistics,
    counters::Counters,
    local::{TopicLimits, Topics},
    queue::{consumer::Consumer, registry::Queues, sweep},
};
use std::{fmt, sync::Arc};
use stomp_session::{BoxError, Message, MessageStream};

/// The in-memory engine, which [`Broker::new`](crate::Broker::new) uses.
///
/// Its memory is bounded by its [`Config`]. Its messages are lost when the process ends. It holds no lock while it
/// pushes to a mailbox or wakes a subscriber.
pub struct Memory {
    topics: Topics,
    queues: Queues,
    counters: Arc<Counters>,
}

impl Memory {
    /// Creates an engine with these settings.
    #[must_use]
    pub fn new(config: Config) -> Memory {
        let counters = Arc::<Counters>::default();
        let limits = TopicLimits {
            mailbox: config.mailbox,
            max_destinations: config.max_destinations,
            max_retained_messages: config.max_retained_messages,
            max_retained_bytes: config.max_retained_bytes,
        };
        Memory {
            topics: Topics::new(limits, Arc::clone(&counters)),
            queues: Queues::new(config, Arc::clone(&counters), sweep::start),
            counters,
        }
    }
}

impl Engine for Memory {
    fn publish(&self, to: &Address, message: Message) -> EngineFuture<()> {
        if to.is_queue() {
            return EngineFuture::ready(self.queues.publish(to, message));
        }
        let mut fan_out = self.topics.publish(to, message);
        // Most topics have few subscribers: the first step completes their fan-out without an allocation.
        if fan_out.step() {
            EngineFuture::from_future(fan_out)
        } else {
            EngineFuture::ready(Ok::<_, BoxError>(()))
        }
    }

    fn reserve(&self, to: &Address, message: Message) -> EngineFuture<Effect> {
        if to.is_queue() {
            return EngineFuture::ready(self.queues.reserve(to, message));
        }
        let (topics, to) = (self.topics.clone(), to.clone());
        let effect: Effect = Box::new(move || drop(topics.publish(&to, message)));
        EngineFuture::ready(Ok::<_, BoxError>(effect))
    }

    fn subscribe(&self, to: &Address) -> EngineFuture<MessageStream> {
        if to.is_queue() {
            return EngineFuture::ready(self.queues.subscribe(to).map(|(queue, id)| {
                Box::pin(Consumer::new(self.queues.clone(), queue, id)) as MessageStream
            }));
        }
        EngineFuture::ready(
            self.topics
                .subscribe(to)
                .map(|stream| Box::pin(stream) as MessageStream),
        )
    }

    fn statistics(&self) -> Statistics {
        let mut statistics = self.counters.statistics();
        self.topics.add_statistics(&mut statistics);
        self.queues.add_statistics(&mut statistics);
        statistics
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
