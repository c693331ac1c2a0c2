//! The in-memory engine, made of the groups of the module `local` and the queues of the module `queue`.

mod subscription;
mod transaction;

use crate::{
    Address, Capabilities, Engine, EngineFuture, EngineTransaction, Event, EventStream, Health,
    MemoryConfig, Publication, QueueSettings, Statistics, SubscribeRequest,
    activity::Activity,
    local::{GroupLimits, Groups},
    queue::{registry::Queues, sweep},
};
use std::{fmt, sync::Arc};
use stomp_session::{
    BoxError, ClientError, InvalidConfig, MemoryBudget, Message, MessageStream, Published,
};
use subscription::Subscription;
use tokio::sync::watch;
use transaction::MemoryTransaction;

/// The in-memory engine, which [`Broker::new`](crate::Broker::new) uses. Clones share the same engine.
///
/// Its [`MemoryConfig`] bounds its memory. Its messages are lost when the process ends. The engine holds no lock of its
/// own while it wakes a subscriber.
///
/// All subscribers of a topic see its messages in one order, also those of concurrent publishers.
///
/// The engine supports everything except [`durable`](Capabilities::durable) subscriptions. It supports
/// [`retained`](Capabilities::retained) messages only if [`MemoryConfig::max_retained_messages`] is above 0, and
/// [`dead_letters`](Capabilities::dead_letters) only if some
/// [`QueueSettings`] name a dead-letter queue.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    capabilities: Capabilities,
    budget: MemoryBudget,
    groups: Groups,
    queues: Queues,
    activity: Arc<Activity>,
    health: watch::Sender<Health>,
}

impl Memory {
    /// Creates an engine with these settings.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is impossible: see [`MemoryConfig::validate`].
    pub fn new(config: MemoryConfig) -> Result<Memory, InvalidConfig> {
        config.validate()?;
        let activity = Arc::new(Activity::new(config.max_unread_events));
        let limits = GroupLimits::default()
            .backlog(config.backlog)
            .max_destinations(config.max_destinations)
            .max_retained_messages(config.max_retained_messages)
            .max_retained_bytes(config.max_retained_bytes)
            .memory_budget(config.memory_budget.clone());
        Ok(Memory(Arc::new(Shared {
            capabilities: capabilities(&config),
            budget: config.memory_budget.clone(),
            groups: Groups::new(limits),
            queues: Queues::new(config, Arc::clone(&activity), sweep::start),
            activity,
            health: watch::Sender::new(Health::Up),
        })))
    }

    /// Publishes to a topic. Returns `None` if the message has expired.
    fn publish_to_topic(
        &self,
        to: &Address,
        publication: Publication,
    ) -> Result<Option<Published>, ClientError> {
        let activity = &self.0.activity;
        let published = if publication.has_expired() {
            self.0.groups.check_open()?;
            activity.expired.add(1);
            None
        } else {
            Some(self.0.groups.publish(to, publication)?)
        };
        self.count_published(to, published.as_ref().map(Published::recipients));
        Ok(published)
    }

    /// Counts a message that was published to a topic, for this number of recipients. `None` for a message that had
    /// expired.
    fn count_published(&self, to: &Address, recipients: Option<usize>) {
        let activity = &self.0.activity;
        activity.published.add(1);
        activity.events.emit(|| Event::Published {
            address: to.clone(),
        });
        if let Some(recipients) = recipients {
            activity.delivered.add(recipients);
            activity.events.emit(|| Event::Delivered {
                address: to.clone(),
                recipients,
            });
        }
    }

    fn subscribe_now(&self, request: SubscribeRequest) -> Result<MessageStream, ClientError> {
        let Shared {
            groups,
            queues,
            activity,
            ..
        } = &*self.0;
        let to = &request.address;
        if to.is_queue() {
            let consumer = queues.subscribe(&request)?;
            let subscription = Subscription::new(request, activity);
            Ok(MessageStream::new(subscription.with_stream(consumer)))
        } else {
            let (stream, _) = groups.join(to)?;
            let subscription = Subscription::new(request, activity);
            // A session must see that the stream is a subscriber, so nothing wraps it.
            Ok(MessageStream::new(
                stream.into_subscriber_with(subscription),
            ))
        }
    }
}

/// Returns the capabilities of an engine with these settings.
fn capabilities(config: &MemoryConfig) -> Capabilities {
    let patterns = config.queue_patterns.iter().map(|(_, settings)| settings);
    let has_dead_letters = patterns
        .chain([&config.queues])
        .any(|settings| settings.dead_letter_queue.is_some());
    Capabilities::all()
        .retained(config.max_retained_messages > 0)
        .dead_letters(has_dead_letters)
        .durable(false)
}

impl Engine for Memory {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        if to.is_queue() {
            return EngineFuture::ready(self.0.queues.publish(to, publication));
        }
        match self.publish_to_topic(to, publication) {
            // Most publishers need not wait, and need no allocation.
            Ok(Some(mut published)) => {
                if published.start() {
                    EngineFuture::ready(Ok::<_, BoxError>(()))
                } else {
                    EngineFuture::from_future(published)
                }
            }
            Ok(None) => EngineFuture::ready(Ok::<_, BoxError>(())),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    fn memory_budget(&self) -> Option<MemoryBudget> {
        Some(self.0.budget.clone())
    }

    fn publish_unheard(&self, to: &Address) -> Option<EngineFuture<()>> {
        // `publish` reports that the engine is shut down.
        if to.is_queue() || self.0.groups.is_heard(to) {
            return None;
        }
        self.count_published(to, Some(0));
        Some(EngineFuture::ready(Ok::<_, BoxError>(())))
    }

    fn begin(&self) -> Box<dyn EngineTransaction> {
        Box::new(MemoryTransaction::new(self.clone()))
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        EngineFuture::ready(self.subscribe_now(request))
    }

    fn statistics(&self) -> EngineFuture<Statistics> {
        let mut statistics = self.0.activity.statistics();
        statistics.destinations = self.0.groups.statistics();
        self.0.queues.add_statistics(&mut statistics);
        EngineFuture::ready(Ok::<_, BoxError>(statistics))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    fn events(&self) -> EventStream {
        self.0.activity.events.stream()
    }

    fn declare(&self, queue: &Address, settings: QueueSettings) -> EngineFuture<()> {
        let declared = settings
            .validate()
            .map_err(|error| ClientError::new("bad-request", format!("The setting {error}.")))
            .and_then(|()| self.0.queues.declare(queue, &settings));
        EngineFuture::ready(declared)
    }

    fn purge(&self, queue: &Address) -> EngineFuture<usize> {
        EngineFuture::ready(self.0.queues.purge(queue))
    }

    fn delete(&self, queue: &Address) -> EngineFuture<usize> {
        EngineFuture::ready(self.0.queues.delete(queue))
    }

    fn browse(&self, queue: &Address, max: usize) -> EngineFuture<Vec<Message>> {
        EngineFuture::ready(self.0.queues.browse(queue, max))
    }

    fn shutdown(&self) -> EngineFuture<()> {
        self.0.health.send_if_modified(|health| {
            let was_up = health.is_up();
            if was_up {
                *health = Health::down("The engine was shut down.");
            }
            was_up
        });
        self.0.groups.close();
        self.0.queues.shut_down();
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("capabilities", &self.0.capabilities)
            .finish_non_exhaustive()
    }
}
