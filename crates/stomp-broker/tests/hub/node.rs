//! A node of the hub: the engine of one server.

use super::{Hub, transaction::HubTransaction};
use futures_util::{StreamExt, stream};
use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use stomp_broker::{
    Address, Capabilities, Engine, EngineFuture, EngineTransaction, Health, Publication,
    QueueSettings, SubscribeRequest, local::Groups,
};
use stomp_session::{BoxError, ClientError, Delivery, Message, MessageStream, Settlement};
use tokio::sync::watch;

/// A node. Clones are the same node.
#[derive(Clone)]
pub(crate) struct Node(Arc<Shared>);

struct Shared {
    hub: Hub,
    groups: Groups,
    health: watch::Sender<Health>,
    /// The deliveries of queues that subscribers of this node have and have not settled, by number.
    unsettled: Mutex<BTreeMap<u64, Delivery>>,
    next_number: AtomicU64,
}

impl Node {
    pub(super) fn new(hub: Hub, groups: Groups) -> Node {
        Node(Arc::new(Shared {
            hub,
            groups,
            health: watch::Sender::new(Health::Up),
            unsettled: Mutex::default(),
            next_number: AtomicU64::new(0),
        }))
    }

    /// Cuts the node off from the hub.
    pub(crate) fn cut(&self) {
        let _nodes = self.0.hub.lock();
        let reason = "The node is cut off from the hub.";
        self.0.health.send_replace(Health::degraded(reason));
        self.return_unsettled();
    }

    /// Connects the node to the hub again. Messages of all its subscriptions to topics may be missing.
    pub(crate) fn heal(&self) {
        let _nodes = self.0.hub.lock();
        for group in self.0.groups.statistics() {
            self.0.groups.mark_gap(&group.destination);
        }
        self.0.health.send_replace(Health::Up);
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Checks that the node is connected to the hub.
    pub(super) fn check(&self) -> Result<(), BoxError> {
        match &*self.0.health.borrow() {
            Health::Up => Ok(()),
            health => Err(ClientError::new("engine-unavailable", health.to_string()).into()),
        }
    }

    /// Delivers a message of a topic to the subscribers of this node, if the hub reaches it.
    pub(super) fn receive(&self, to: &Address, message: &Message) {
        if self.check().is_ok() {
            let publication = Publication::new(message.clone());
            // It fails only after a shutdown. Dropping the fan-out delivers.
            drop(self.0.groups.publish(to, publication));
        }
    }

    /// The hub takes back what the consumers of this node have not settled.
    fn return_unsettled(&self) {
        let unsettled = mem::take(&mut *self.unsettled());
        for delivery in unsettled.into_values() {
            delivery.settle(Settlement::Abandoned);
        }
    }

    /// Makes the node the owner of a delivery, until it is settled.
    fn track(&self, delivery: Delivery) -> Delivery {
        let tracked = Delivery::new(delivery.message().clone());
        let tracked = if delivery.is_redelivered() {
            tracked.with_redelivered()
        } else {
            tracked
        };
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        self.unsettled().insert(number, delivery);
        let node = self.clone();
        tracked.on_settled(move |settlement| {
            // The lock is released before the queue is locked.
            let delivery = node.unsettled().remove(&number);
            if let Some(delivery) = delivery {
                delivery.settle(settlement);
            }
        })
    }

    fn unsettled(&self) -> MutexGuard<'_, BTreeMap<u64, Delivery>> {
        let unsettled = self.0.unsettled.lock();
        unsettled.unwrap_or_else(PoisonError::into_inner)
    }

    async fn subscribe_to_topic(self, pattern: Address) -> Result<MessageStream, BoxError> {
        // With the lock, no message is published between the two.
        let _nodes = self.0.hub.lock();
        self.check()?;
        let retained = self.0.hub.retained(&pattern)?;
        let (stream, _) = self.0.groups.join(&pattern)?;
        let retained = retained.into_iter().map(|message| Ok(message.into()));
        Ok(MessageStream::new(stream::iter(retained).chain(stream)))
    }

    async fn subscribe_to_queue(
        self,
        request: SubscribeRequest,
    ) -> Result<MessageStream, BoxError> {
        self.check()?;
        let stream = self.0.hub.queues().subscribe(request.clone()).await?;
        let consumer = Consumer {
            health: self.0.health.subscribe(),
            node: self,
            request,
            stream: Some(stream),
        };
        Ok(MessageStream::new(stream::unfold(consumer, Consumer::next)))
    }
}

/// A consumer of a queue at a node.
struct Consumer {
    node: Node,
    health: watch::Receiver<Health>,
    request: SubscribeRequest,
    /// The consumer at the hub. `None` while the node is cut off.
    stream: Option<MessageStream>,
}

impl Consumer {
    async fn next(mut self) -> Option<(Result<Delivery, BoxError>, Consumer)> {
        loop {
            let health = self.health.borrow_and_update().clone();
            if !health.is_up() {
                self.stream = None;
                if matches!(health, Health::Down { .. }) {
                    return None;
                }
                self.health.changed().await.ok()?;
                continue;
            }
            if self.stream.is_none() {
                let request = self.request.clone();
                let stream = self.node.hub().queues().subscribe(request).await;
                self.stream = Some(stream.ok()?);
            }
            let stream = self.stream.as_mut()?;
            tokio::select! {
                biased;
                changed = self.health.changed() => changed.ok()?,
                item = stream.next() => {
                    let delivery = item?.map(|delivery| self.node.track(delivery));
                    return Some((delivery, self));
                }
            }
        }
    }
}

impl Engine for Node {
    fn capabilities(&self) -> Capabilities {
        self.0.hub.queues().capabilities()
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        let nodes = self.0.hub.lock();
        match self.check() {
            Err(error) => EngineFuture::ready(Err(error)),
            Ok(()) if to.is_queue() => self.0.hub.queues().publish(to, publication),
            Ok(()) => EngineFuture::ready(self.0.hub.publish(&nodes, to, &publication)),
        }
    }

    fn begin(&self) -> Box<dyn EngineTransaction> {
        Box::new(HubTransaction::new(self.clone()))
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        let node = self.clone();
        EngineFuture::from_future(async move {
            if request.address.is_queue() {
                node.subscribe_to_queue(request).await
            } else {
                node.subscribe_to_topic(request.address).await
            }
        })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    fn declare(&self, queue: &Address, settings: QueueSettings) -> EngineFuture<()> {
        self.if_connected(|queues| queues.declare(queue, settings))
    }

    fn purge(&self, queue: &Address) -> EngineFuture<usize> {
        self.if_connected(|queues| queues.purge(queue))
    }

    fn delete(&self, queue: &Address) -> EngineFuture<usize> {
        self.if_connected(|queues| queues.delete(queue))
    }

    fn browse(&self, queue: &Address, max: usize) -> EngineFuture<Vec<Message>> {
        self.if_connected(|queues| queues.browse(queue, max))
    }

    fn shutdown(&self) -> EngineFuture<()> {
        let _nodes = self.0.hub.lock();
        self.0.health.send_if_modified(|health| {
            let was_running = !matches!(health, Health::Down { .. });
            if was_running {
                *health = Health::down("The node was shut down.");
            }
            was_running
        });
        self.0.groups.close();
        self.return_unsettled();
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }
}

impl Node {
    /// Calls a method of the hub's queues, if the node is connected.
    fn if_connected<T>(
        &self,
        call: impl FnOnce(&dyn Engine) -> EngineFuture<T>,
    ) -> EngineFuture<T> {
        match self.check() {
            Ok(()) => call(self.0.hub.queues()),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }
}
