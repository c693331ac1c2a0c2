//! An engine of several nodes in one process: a model of an engine over a system that connects several servers.
//!
//! The hub plays the system. It has the queues and the retained messages, and hands each message of a topic to all nodes.
//! Each node has its own subscribers of topics, and knows the deliveries of queues that it has not settled. A node can be
//! cut off from the hub: its calls fail then, the hub takes its unsettled deliveries back, and its subscribers find a gap
//! before the next message after it has been healed.

mod node;
mod transaction;

pub(crate) use node::Node;

use futures_util::{FutureExt, StreamExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stomp_broker::{
    Address, Engine, Memory, MemoryConfig, Publication,
    local::{GroupLimits, Groups},
};
use stomp_session::{BoxError, InvalidConfig, Message};

/// The system that connects the nodes. Clones are the same hub.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    limits: GroupLimits,
    /// Only its queues are used.
    queues: Memory,
    /// Only its retained messages are used: it has subscribers for a moment only.
    retained: Groups,
    /// The nodes. The lock puts the messages of all topics in one order.
    nodes: Mutex<Vec<Node>>,
}

impl Hub {
    pub(crate) fn new(config: MemoryConfig) -> Result<Hub, InvalidConfig> {
        let limits = GroupLimits::default().backlog(config.backlog);
        let retained = limits
            .clone()
            .max_retained_messages(config.max_retained_messages)
            .max_retained_bytes(config.max_retained_bytes);
        Ok(Hub(Arc::new(Shared {
            limits,
            queues: Memory::new(config)?,
            retained: Groups::new(retained),
            nodes: Mutex::default(),
        })))
    }

    /// Adds a node.
    pub(crate) fn node(&self) -> Node {
        let node = Node::new(self.clone(), Groups::new(self.0.limits.clone()));
        self.lock().push(node.clone());
        node
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine with the queues.
    fn queues(&self) -> &dyn Engine {
        &self.0.queues
    }

    /// Hands a message of a topic to all nodes that are not cut off. The caller has locked them.
    fn publish(
        &self,
        nodes: &[Node],
        to: &Address,
        publication: &Publication,
    ) -> Result<(), BoxError> {
        if publication.has_expired() {
            return Ok(());
        }
        drop(self.0.retained.publish(to, publication.clone())?);
        for node in nodes {
            node.receive(to, &publication.message);
        }
        Ok(())
    }

    /// The retained messages of all topics that match a pattern. The caller has locked the nodes.
    fn retained(&self, pattern: &Address) -> Result<Vec<Message>, BoxError> {
        let (mut stream, _) = self.0.retained.join(pattern)?;
        let mut messages = Vec::new();
        while let Some(Some(item)) = stream.next().now_or_never() {
            messages.push(item?.message().clone());
        }
        Ok(messages)
    }
}
