//! A message that hubs have taken.

use super::{core::Core, pump::Pump};
use crate::error::BoxError;
use smallvec::SmallVec;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A publisher that does not wait for room delivers the messages itself if this many times the allowed ones wait.
const MAX_OVERDRAFT: usize = 4;

/// Publication of messages that [hubs](crate::Hub) have taken, as a future. It completes when all these hubs have room for
/// further messages, so a publisher that awaits it is slowed down to the speed of its subscribers.
///
/// The messages are delivered in any case. [`Hub::append`](crate::Hub::append) may be called under a lock of the caller. Starting the
/// delivery may wake tasks, so it happens later: when this future is [started](Published::start), polled or dropped.
#[must_use = "the messages are delivered when this value is started, awaited or dropped"]
#[derive(Default)]
pub struct Published {
    recipients: usize,
    /// Hubs for which a pump is to be started, unless another publisher has done so.
    starts: SmallVec<[Arc<Core>; 1]>,
    /// Hubs that have no room.
    full: SmallVec<[Arc<Core>; 1]>,
    /// The number of times that the last hub in `full` had taken messages when the waker was registered there.
    registered: Option<u64>,
    waker: Option<Waker>,
}

impl Published {
    /// Creates a publication without messages, for [`Hub::append`](crate::Hub::append).
    pub fn new() -> Published {
        Published::default()
    }

    pub(super) fn add(&mut self, hub: &Arc<Core>, starts: bool, is_full: bool) {
        self.recipients += hub.members();
        let is_last = |last: &Arc<Core>| Arc::ptr_eq(last, hub);
        if starts && !self.starts.last().is_some_and(is_last) {
            self.starts.push(Arc::clone(hub));
        }
        if is_full {
            self.full.push(Arc::clone(hub));
        }
    }

    /// The number of subscribers that get the messages.
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// Starts the delivery. Returns true if all hubs have room, so that this future is ready.
    pub fn start(&mut self) -> bool {
        self.starts.drain(..).for_each(Pump::start);
        self.full.is_empty()
    }
}

impl Future for Published {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.start() {
            return Poll::Ready(Ok(()));
        }
        // The waker is foreign code, so it is cloned before the hub is locked.
        if !this
            .waker
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()))
        {
            this.waker = Some(cx.waker().clone());
            this.registered = None;
        }
        while let Some(hub) = this.full.last() {
            let mut waker = this.waker.clone();
            if hub.block(&mut this.registered, &mut waker) {
                // The message may have been added on another runtime, which nobody drives now.
                Pump::start(Arc::clone(hub));
                return Poll::Pending;
            }
            this.registered = None;
            this.full.pop();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if !self.start() {
            // The publisher does not wait for room. Sooner or later it has to do the work itself.
            self.full
                .iter()
                .for_each(|hub| hub.make_room(MAX_OVERDRAFT));
        }
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("recipients", &self.recipients)
            .finish_non_exhaustive()
    }
}
