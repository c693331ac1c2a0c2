//! One message on its way to many subscribers.

use smallvec::SmallVec;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Mailbox, Message};

/// So many subscribers are given a message without a pause, as in [`Topic`](stomp_session::Topic): larger bursts of wakes
/// make everybody else wait.
pub(super) const CHUNK: usize = 64;

/// At most [`CHUNK`] subscribers. It does not change, so that it can be gone through without a lock.
pub(super) type Chunk = Arc<[Member]>;

/// One subscriber.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) mailbox: Arc<Mailbox>,
}

/// A message and those who get it. Where it is dropped, the rest get it at once: half a fan-out is none.
pub(super) struct FanOut {
    message: Message,
    chunks: SmallVec<[Chunk; 2]>,
    reached: usize,
}

impl FanOut {
    pub(super) fn new(message: Message, chunks: SmallVec<[Chunk; 2]>) -> FanOut {
        FanOut {
            message,
            chunks,
            reached: 0,
        }
    }

    /// How many get it.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// Gives it to some, and says whether there are others left.
    pub(super) fn step(&mut self) -> bool {
        let mut given = 0;
        while let Some(chunk) = self.chunks.get(self.reached) {
            if given > 0 && given + chunk.len() > CHUNK {
                return true;
            }
            for member in chunk.iter() {
                member.mailbox.push(std::slice::from_ref(&self.message));
            }
            given += chunk.len();
            self.reached += 1;
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
