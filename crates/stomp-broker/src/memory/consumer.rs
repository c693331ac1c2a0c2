//! Who takes messages from a queue.

use super::{
    queue::{Leftovers, Queue},
    queues::Queues,
    waiting::Letter,
};
use crate::Scope;
use futures_core::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Delivery, Settlement};

/// A consumer of a queue: the stream of what it is given. Dropping it ends the subscription.
pub(super) struct Consumer {
    queues: Queues,
    queue: Arc<Queue>,
    id: u64,
}

impl Consumer {
    /// The consumer that has joined the queue's line under this number.
    pub(super) fn new(queues: Queues, queue: Arc<Queue>, id: u64) -> Consumer {
        Consumer { queues, queue, id }
    }

    fn deliver(&self, position: u64, letter: Letter) -> Delivery {
        let delivery = Delivery::new(letter.message.clone());
        let delivery = if letter.attempts > 0 {
            delivery.with_redelivered()
        } else {
            delivery
        };
        let given = Given {
            queues: self.queues.clone(),
            queue: Arc::clone(&self.queue),
            consumer: self.id,
            position,
        };
        delivery.on_settled(move |settlement| given.settle(letter, settlement))
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut left = Leftovers::default();
        let mut state = self.queue.lock();
        let taken = state.take(self.id, &mut left);
        if taken.is_none() {
            left.waker = state.line.wait(self.id, cx.waker());
        }
        drop(state);
        self.queues.0.deal_with(left, &self.queue.destination);
        match taken {
            Some((position, letter)) => Poll::Ready(Some(Ok(self.deliver(position, letter)))),
            None => Poll::Pending,
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut left = Leftovers::default();
        self.queue.lock().leave(self.id, &mut left);
        self.queues.0.deal_with(left, &self.queue.destination);
        if *self.queue.destination.scope() == Scope::Temporary {
            self.queues
                .0
                .remove_if(&self.queue.destination, |state| state.is_abandoned(None));
        }
    }
}

/// Where a message was given out from, and to whom.
struct Given {
    queues: Queues,
    queue: Arc<Queue>,
    consumer: u64,
    position: u64,
}

impl Given {
    fn settle(&self, mut letter: Letter, settlement: Settlement) {
        let (Queues(shared), queue) = (&self.queues, &*self.queue);
        if settlement == Settlement::Acked {
            queue.lock().settle(&letter.room);
            shared.counts.delivered.add(1);
            return;
        }
        // Who has never seen it has not tried.
        if settlement != Settlement::Unsent {
            letter.attempts += 1;
        }
        letter.refused_by = (settlement == Settlement::Nacked).then_some(self.consumer);
        if letter.attempts >= shared.config.max_delivery_attempts {
            queue.lock().settle(&letter.room);
            return shared.bury(letter, "rejected", &queue.destination);
        }
        let mut left = Leftovers::default();
        queue.lock().put_back(self.position, letter, &mut left);
        shared.deal_with(left, &queue.destination);
    }
}
