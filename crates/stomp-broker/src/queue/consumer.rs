//! The message stream of a queue's consumer.

use super::{Deferred, Queue, State, message::QueuedMessage, registry::Queues};
use crate::Event;
use futures_core::Stream;
use futures_util::task::AtomicWaker;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Delivery, Settlement};

/// The stream of a queue's deliveries to one consumer. Dropping it ends the subscription.
///
/// A consumer pulls messages: its session polls this stream only while there is credit and room in the session's
/// output. So no message leaves the queue for a consumer that cannot take it.
pub(crate) struct Consumer {
    queues: Queues,
    queue: Arc<Queue>,
    id: u64,
    /// The waker of the task that polled last. The dispatcher of the queue has another reference to it.
    waker: Arc<AtomicWaker>,
}

impl Consumer {
    /// Creates the stream of a consumer that [`Queues::subscribe`] has added to a queue.
    pub(super) fn new(
        queues: Queues,
        queue: Arc<Queue>,
        id: u64,
        waker: Arc<AtomicWaker>,
    ) -> Consumer {
        Consumer {
            queues,
            queue,
            id,
            waker,
        }
    }

    fn deliver(&self, position: u64, message: QueuedMessage) -> Delivery {
        let delivery = Delivery::new(message.message.clone());
        let delivery = if message.was_sent() {
            delivery.with_redelivered()
        } else {
            delivery
        };
        let in_flight = InFlight {
            queues: self.queues.clone(),
            queue: Arc::clone(&self.queue),
            consumer: self.id,
            position,
        };
        delivery.on_settled(move |settlement| in_flight.settle(message, settlement))
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut deferred = Deferred::default();
        // This clones the waker, which is foreign code. It comes before the lock, so that no wake is lost.
        self.waker.register(cx.waker());
        let mut state = self.queue.lock();
        if state.is_closed {
            return Poll::Ready(None);
        }
        let taken = state.take(self.id, &mut deferred);
        if taken.is_none() {
            state.dispatcher.park(self.id);
        }
        drop(state);
        self.queues.run_deferred(deferred, &self.queue);
        match taken {
            Some((position, message)) => Poll::Ready(Some(Ok(self.deliver(position, message)))),
            None => Poll::Pending,
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut deferred = Deferred::default();
        let mut state = self.queue.lock();
        state.remove_consumer(self.id, &mut deferred);
        let is_removable = !state.is_closed && state.is_left_by_consumers();
        drop(state);
        self.queues.run_deferred(deferred, &self.queue);
        if is_removable {
            let is_left = State::is_left_by_consumers;
            self.queues.remove_if(&self.queue.destination, is_left);
        }
    }
}

/// The origin of a delivered message: its queue, its position in the queue, and its consumer.
struct InFlight {
    queues: Queues,
    queue: Arc<Queue>,
    consumer: u64,
    position: u64,
}

impl InFlight {
    /// Removes an acknowledged message from its queue. Puts any other message back, or makes it a dead letter.
    fn settle(&self, mut message: QueuedMessage, settlement: Settlement) {
        let (queues, queue) = (&self.queues, &self.queue);
        if settlement == Settlement::Acked {
            queue.lock().remove_delivered(&message);
            let activity = queues.activity();
            activity.delivered.add(1);
            activity.events.emit(|| Event::Delivered {
                address: queue.destination.clone(),
                recipients: 1,
            });
            return;
        }
        message.refused_by = None;
        match settlement {
            Settlement::Nacked => {
                message.refusals = message.refusals.saturating_add(1);
                message.refused_by = Some(self.consumer);
            }
            // The consumer has not seen the message.
            Settlement::Unsent => {}
            _ => message.losses = message.losses.saturating_add(1),
        }
        let mut deferred = Deferred::default();
        let mut state = queue.lock();
        let unwanted = state.take_back(self.position, message, &mut deferred);
        queues.set_alarm(queue, &mut state);
        drop(state);
        queues
            .activity()
            .dropped
            .add(usize::from(unwanted.is_some()));
        queues.run_deferred(deferred, queue);
    }
}
