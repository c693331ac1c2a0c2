//! The message stream of one subscriber.

use super::Groups;
use crate::Address;
use futures_core::Stream;
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Delivery, Subscriber};

/// The message stream of one subscriber of a group. Dropping it removes the subscriber from the group.
pub struct GroupStream {
    // Dropped before the membership, so that the group does not count the subscriber then.
    subscriber: Subscriber,
    membership: Membership,
}

/// The place of a subscriber in its group. Dropping it removes the group, if that has no subscribers left.
struct Membership {
    groups: Groups,
    pattern: Address,
    has_ended: bool,
}

impl GroupStream {
    pub(super) fn new(groups: Groups, pattern: Address, subscriber: Subscriber) -> GroupStream {
        GroupStream {
            subscriber,
            membership: Membership {
                groups,
                pattern,
                has_ended: false,
            },
        }
    }

    /// The topic or pattern of the group.
    #[must_use]
    pub fn pattern(&self) -> &Address {
        &self.membership.pattern
    }

    /// Leaves the group. Returns true if this was the last subscriber of the group, which no longer exists then.
    pub fn leave(self) -> bool {
        let GroupStream {
            subscriber,
            mut membership,
        } = self;
        drop(subscriber);
        membership.end()
    }

    /// Returns the stream of the subscriber, which leaves the group when it is dropped. A session reads it faster than
    /// any other stream.
    #[must_use]
    pub fn into_subscriber(self) -> Subscriber {
        self.subscriber.with_guard(self.membership)
    }

    /// Returns the stream of the subscriber, like [`into_subscriber`](GroupStream::into_subscriber). `guard` is dropped
    /// after the subscriber has left the group.
    pub(crate) fn into_subscriber_with(self, guard: impl Send + 'static) -> Subscriber {
        self.subscriber.with_guard((self.membership, guard))
    }
}

impl Membership {
    fn end(&mut self) -> bool {
        !mem::replace(&mut self.has_ended, true) && self.groups.remove_if_empty(&self.pattern)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stream for GroupStream {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.subscriber).poll_next(cx)
    }
}

impl fmt::Debug for GroupStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupStream")
            .field("pattern", self.pattern())
            .finish_non_exhaustive()
    }
}
