//! The message stream of a queue's consumer.

use super::{
    Deferred, Queue, State, dispatch::ConsumerKey, message::QueuedMessage, registry::Queues,
};
use crate::Event;
use futures_core::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use stomp_session::{BoxError, Delivery, Settlement};

/// The stream of a queue's deliveries to one consumer. Dropping it ends the subscription.
///
/// A consumer pulls messages: its session polls this stream only while there is credit and room in the session's
/// output. So no message leaves the queue for a consumer that cannot take it.
pub(crate) struct Consumer {
    origin: Arc<Origin>,
    /// The waker of the task that polled last. The dispatcher of the queue has another reference to it.
    waker: Arc<Waker>,
}

/// The origin of a consumer's messages, which its deliveries share.
struct Origin {
    queues: Queues,
    queue: Arc<Queue>,
    consumer: ConsumerKey,
}

impl Consumer {
    /// Creates the stream of a consumer that [`Queues::subscribe`] has added to a queue.
    pub(super) fn new(
        queues: Queues,
        queue: Arc<Queue>,
        consumer: ConsumerKey,
        waker: Arc<Waker>,
    ) -> Consumer {
        let origin = Origin {
            queues,
            queue,
            consumer,
        };
        Consumer {
            origin: Arc::new(origin),
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
        let origin = Arc::clone(&self.origin);
        delivery.on_settled(move |settlement| origin.settle(position, message, settlement))
    }

    /// Replaces the waker, unless it wakes the same task. Wakers are foreign code, so none is cloned or dropped under the
    /// lock.
    fn set_waker(&mut self, waker: &Waker) {
        if self.waker.will_wake(waker) {
            return;
        }
        let waker = Arc::new(waker.clone());
        let Origin {
            queue, consumer, ..
        } = &*self.origin;
        queue.lock().dispatcher.set_waker(*consumer, &waker);
        self.waker = waker;
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.set_waker(cx.waker());
        let Origin {
            queues,
            queue,
            consumer,
        } = &*self.origin;
        let mut deferred = Deferred::default();
        let mut state = queue.lock();
        if state.is_closed {
            return Poll::Ready(None);
        }
        let taken = state.take(*consumer, &mut deferred);
        if taken.is_none() {
            state.dispatcher.park(*consumer);
        }
        drop(state);
        queues.run_deferred(deferred, queue);
        match taken {
            Some((position, message)) => Poll::Ready(Some(Ok(self.deliver(position, message)))),
            None => Poll::Pending,
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let Origin {
            queues,
            queue,
            consumer,
        } = &*self.origin;
        let mut deferred = Deferred::default();
        let mut state = queue.lock();
        state.remove_consumer(*consumer, &mut deferred);
        let is_removable = !state.is_closed && state.is_left_by_consumers();
        drop(state);
        queues.run_deferred(deferred, queue);
        if is_removable {
            queues.remove_if(&queue.destination, State::is_left_by_consumers);
        }
    }
}

impl Origin {
    /// Removes an acknowledged message from its queue. Puts any other message back at its position, or makes it a dead
    /// letter.
    fn settle(&self, position: u64, mut message: QueuedMessage, settlement: Settlement) {
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
                message.refused_by = Some(self.consumer.id);
            }
            // The consumer has not seen the message.
            Settlement::Unsent => {}
            _ => message.losses = message.losses.saturating_add(1),
        }
        let mut deferred = Deferred::default();
        let mut state = queue.lock();
        let unwanted = state.take_back(position, message, &mut deferred);
        queues.set_alarm(queue, &mut state);
        drop(state);
        queues
            .activity()
            .dropped
            .add(usize::from(unwanted.is_some()));
        queues.run_deferred(deferred, queue);
    }
}
