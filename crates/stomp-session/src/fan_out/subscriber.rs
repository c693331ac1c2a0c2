//! The stream of one subscriber of a hub.

use super::{Hub, backlog::Backlog};
use crate::{
    delivery::Delivery,
    error::BoxError,
    id::{StreamId, SubscriptionKey},
    mailbox::Messages,
    message::Message,
};
use futures_core::Stream;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

/// Stream of the messages for one subscriber. Dropping the stream ends the subscription.
///
/// A session that gets the stream itself, in [`Response::observe`](crate::Response::observe) or
/// [`MessageStream::new`](crate::MessageStream::new), takes whole batches from the hub. If another stream wraps it, as
/// with `map`, the messages pass one by one through a queue of its own.
pub struct Subscriber {
    hub: Hub,
    key: usize,
    /// The queue. `None` after a session has attached the subscriber.
    own: Option<Box<Own>>,
    attached: Option<(Arc<Backlog>, usize)>,
    /// Value that is dropped with the stream.
    guard: Option<Box<dyn Any + Send>>,
}

/// The messages of a subscriber that no session has attached.
pub(super) struct Own {
    /// Messages that the stream begins with.
    pub(super) first: vec::IntoIter<Message>,
    pub(super) messages: Messages,
}

/// The place in a session to which a subscriber is attached.
pub(crate) struct Attachment<'a> {
    pub(crate) backlog: &'a Arc<Backlog>,
    pub(crate) subscription: SubscriptionKey,
    /// The id of the stream; `None` for the stream with which the service answered `SUBSCRIBE`.
    pub(crate) stream: Option<StreamId>,
}

impl Subscriber {
    pub(super) fn new(
        hub: Hub,
        key: usize,
        first: vec::IntoIter<Message>,
        messages: Messages,
    ) -> Subscriber {
        Subscriber {
            hub,
            key,
            own: Some(Box::new(Own { first, messages })),
            attached: None,
            guard: None,
        }
    }

    /// Lets the messages wait in the backlog of a session. After that, the stream has no items.
    pub(crate) fn attach(&mut self, to: &Attachment<'_>) {
        if let Some(mut own) = self.own.take() {
            let feed = self.hub.attach(self.key, to, &mut own);
            self.attached = Some((Arc::clone(to.backlog), feed));
        }
    }

    /// Adds a value that is dropped after the subscriber has left its hub, and after the values that were added before.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Send + 'static) -> Subscriber {
        self.guard = Some(match self.guard.take() {
            None => Box::new(guard),
            Some(before) => Box::new((before, guard)),
        });
        self
    }
}

impl Stream for Subscriber {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(own) = &mut self.own else {
            return Poll::Pending;
        };
        match own.first.next() {
            Some(message) => Poll::Ready(Some(Ok(message.into()))),
            None => Pin::new(&mut own.messages).poll_next(cx),
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.leave(self.key);
        if let Some((backlog, feed)) = self.attached.take() {
            backlog.remove_feed(feed);
        }
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}
