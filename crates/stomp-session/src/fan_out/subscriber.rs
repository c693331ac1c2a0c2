//! The stream of one subscriber of a hub.

use super::{
    backlog::{Attachment, Backlog},
    core::Core,
    members::MemberKey,
};
use crate::{delivery::Delivery, error::BoxError, mailbox::Messages, message::Message};
use futures_core::Stream;
use std::{
    any::Any,
    fmt, mem,
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
    hub: Arc<Core>,
    key: MemberKey,
    /// The queue. `None` after a session has attached the subscriber.
    own: Option<Box<Own>>,
    attached: Option<(Arc<Backlog>, usize)>,
    /// Value that is dropped with the stream.
    guard: Option<Box<dyn Any + Send>>,
}

/// The messages of a subscriber that no session has attached.
struct Own {
    /// Messages that the stream begins with.
    first: vec::IntoIter<Message>,
    messages: Messages,
}

impl Subscriber {
    pub(super) fn new(
        hub: Arc<Core>,
        key: MemberKey,
        first: Vec<Message>,
        messages: Messages,
    ) -> Subscriber {
        Subscriber {
            hub,
            key,
            own: Some(Box::new(Own {
                first: first.into_iter(),
                messages,
            })),
            attached: None,
            guard: None,
        }
    }

    /// Lets the messages wait in the backlog of a session. After that, the stream has no items.
    pub(crate) fn attach(&mut self, to: &Attachment<'_>) {
        if let Some(mut own) = self.own.take() {
            let first = mem::take(&mut own.first).collect();
            let feed = self.hub.attach(self.key, to, first, &mut own.messages);
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
