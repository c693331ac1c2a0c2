//! Messages and streams for a subscription that the service has not accepted yet.

use crate::{
    catch_drop::CatchDrop,
    guarded::Leftovers,
    id::StreamId,
    mailbox::{
        config::{BacklogConfig, SlowConsumer},
        queue::{BoundedQueue, QueuedMessage},
    },
    response::MessageStream,
};
use smallvec::SmallVec;

/// Messages and streams that are held until the service answers `SUBSCRIBE`: no message reaches a subscription that the
/// service may still refuse.
#[derive(Default)]
pub(super) struct PendingSubscription {
    pub(super) messages: BoundedQueue<QueuedMessage>,
    /// Streams with their ids. The stream with which the service answered has no id.
    pub(super) streams: SmallVec<[(Option<StreamId>, CatchDrop<MessageStream>); 1]>,
}

impl PendingSubscription {
    /// Adds a message.
    ///
    /// # Errors
    ///
    /// Returns [`SlowConsumer`] if the bounds are exceeded under [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    pub(super) fn push(
        &mut self,
        message: QueuedMessage,
        config: &BacklogConfig,
    ) -> Result<(), SlowConsumer> {
        let mut leftovers = Leftovers::default();
        self.messages.push(message, config, &mut leftovers);
        if self.messages.has_overflowed() {
            Err(SlowConsumer)
        } else {
            Ok(())
        }
    }

    /// Drops the stream with this id, if it is held here.
    pub(super) fn remove(&mut self, id: StreamId) {
        self.streams.retain(|(known, _)| *known != Some(id));
    }
}
