//! Fan-out: delivery of one message to many subscribers, in steps.

use smallvec::SmallVec;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Mailbox, Message};

/// The largest number of subscribers that one step delivers to, the same as in [`Topic`](stomp_session::Topic). It is
/// bounded because waking many tasks at once delays all others.
pub(super) const CHUNK_SIZE: usize = 64;

/// At most [`CHUNK_SIZE`] subscribers of one group. A chunk never changes: it is replaced by a new one. So publishers
/// copy the list of chunks, and read it without a lock.
pub(super) type Chunk = Arc<[Subscriber]>;

/// One subscriber of a topic or pattern.
#[derive(Clone)]
pub(super) struct Subscriber {
    pub(super) id: u64,
    pub(super) mailbox: Arc<Mailbox>,
}

/// A message and its local subscribers, as a future. Each poll delivers the message to at most 64 of them.
///
/// The publisher polls it: no task is spawned, and each publisher spends its own time on its messages. Dropping it
/// delivers to all remaining subscribers at once, so that none is left out.
#[must_use = "a fan-out that is dropped delivers to all subscribers in one go"]
pub struct FanOut {
    message: Message,
    chunks: SmallVec<[Chunk; 2]>,
    /// The number of chunks whose subscribers have the message.
    delivered_chunks: usize,
}

impl FanOut {
    pub(super) fn new(message: Message, chunks: SmallVec<[Chunk; 2]>) -> FanOut {
        FanOut {
            message,
            chunks,
            delivered_chunks: 0,
        }
    }

    /// The number of all subscribers, including those that have the message already.
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// Delivers to the next subscribers, at most 64. Returns true if some remain.
    pub fn step(&mut self) -> bool {
        let mut count = 0;
        while let Some(chunk) = self.chunks.get(self.delivered_chunks) {
            if count > 0 && count + chunk.len() > CHUNK_SIZE {
                return true;
            }
            for subscriber in chunk.iter() {
                subscriber.mailbox.push(std::slice::from_ref(&self.message));
            }
            count += chunk.len();
            self.delivered_chunks += 1;
        }
        false
    }
}

impl Future for FanOut {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.step() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        while self.step() {}
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("recipients", &self.recipients())
            .finish_non_exhaustive()
    }
}
