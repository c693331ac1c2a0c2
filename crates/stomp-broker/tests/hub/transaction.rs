//! Transactions of a node.

use super::Node;
use futures_util::FutureExt;
use stomp_broker::{Address, EngineFuture, EngineTransaction, Publication};
use stomp_session::BoxError;

/// A transaction: that of the hub's queues, and the messages for topics. Room is reserved as messages are added.
pub(super) struct HubTransaction {
    node: Node,
    queues: Box<dyn EngineTransaction>,
    topics: Vec<(Address, Publication)>,
}

impl HubTransaction {
    pub(super) fn new(node: Node) -> HubTransaction {
        HubTransaction {
            queues: node.hub().queues().begin(),
            node,
            topics: Vec::new(),
        }
    }

    fn commit_now(self) -> Result<(), BoxError> {
        let HubTransaction {
            node,
            queues,
            topics,
        } = self;
        // With the lock, no other message comes between these, and the node is not cut off meanwhile.
        let nodes = node.hub().lock();
        node.check()?;
        let committed = queues.commit().now_or_never();
        committed.unwrap_or_else(|| Err("the hub's queues commit at once".into()))?;
        for (to, publication) in &topics {
            node.hub().publish(&nodes, to, publication)?;
        }
        Ok(())
    }
}

impl EngineTransaction for HubTransaction {
    fn prepare(&mut self, to: &Address, publication: Publication) -> EngineFuture<()> {
        if let Err(error) = self.node.check() {
            return EngineFuture::ready(Err(error));
        }
        if to.is_queue() {
            return self.queues.prepare(to, publication);
        }
        self.topics.push((to.clone(), publication));
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }

    fn commit(self: Box<Self>) -> EngineFuture<()> {
        EngineFuture::ready(self.commit_now())
    }
}
