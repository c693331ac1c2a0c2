//! The message stream of one subscriber.

use super::{Groups, group::SubscriberKey};
use crate::Address;
use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    vec,
};
use stomp_session::{BoxError, Delivery, Message, Messages};

/// The message stream of one subscriber of a group. Dropping it removes the subscriber from the group.
pub struct GroupStream {
    /// The retained messages that the stream began with and that are not yet delivered.
    retained: vec::IntoIter<Message>,
    messages: Messages,
    groups: Groups,
    pattern: Address,
    /// The place of the subscriber in its group. `None` after the subscriber has left.
    key: Option<SubscriberKey>,
}

impl GroupStream {
    pub(super) fn new(
        groups: Groups,
        pattern: Address,
        key: SubscriberKey,
        retained: Vec<Message>,
        messages: Messages,
    ) -> GroupStream {
        GroupStream {
            retained: retained.into_iter(),
            messages,
            groups,
            pattern,
            key: Some(key),
        }
    }

    /// The topic or pattern of the group.
    #[must_use]
    pub fn pattern(&self) -> &Address {
        &self.pattern
    }

    /// Leaves the group. Returns true if this was the last subscriber of the group, which no longer exists then.
    pub fn leave(mut self) -> bool {
        self.leave_group()
    }

    fn leave_group(&mut self) -> bool {
        let Some(key) = self.key.take() else {
            return false;
        };
        self.groups.leave(&self.pattern, key)
    }
}

impl Stream for GroupStream {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.retained.next() {
            Some(message) => Poll::Ready(Some(Ok(message.into()))),
            None => Pin::new(&mut self.messages).poll_next(cx),
        }
    }
}

impl Drop for GroupStream {
    fn drop(&mut self) {
        self.leave_group();
    }
}

impl fmt::Debug for GroupStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupStream")
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}
