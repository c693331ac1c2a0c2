//! The stream of one subscriber of a hub.

use super::Hub;
use crate::{delivery::Delivery, error::BoxError, mailbox::Messages, message::Message};
use futures_core::Stream;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

/// Stream of the messages for one subscriber. Dropping the stream ends the subscription.
pub struct Subscriber {
    /// Messages that the stream begins with.
    first: vec::IntoIter<Message>,
    messages: Messages,
    hub: Hub,
    key: usize,
    /// Value that is dropped with the stream.
    guard: Option<Box<dyn Any + Send>>,
}

impl Subscriber {
    pub(super) fn new(
        hub: Hub,
        key: usize,
        first: vec::IntoIter<Message>,
        messages: Messages,
    ) -> Subscriber {
        Subscriber {
            first,
            messages,
            hub,
            key,
            guard: None,
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
        match self.first.next() {
            Some(message) => Poll::Ready(Some(Ok(message.into()))),
            None => Pin::new(&mut self.messages).poll_next(cx),
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.leave(self.key);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}
