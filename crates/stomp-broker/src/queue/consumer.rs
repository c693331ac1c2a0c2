//! The message stream of a queue's consumer.

use super::{Deferred, Queue, backlog::QueuedMessage, registry::Queues};
use crate::{Event, Scope};
use futures_core::Stream;
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
}

impl Consumer {
    /// Creates the stream of a consumer that [`Queues::subscribe`] has added.
    pub(crate) fn new(queues: Queues, queue: Arc<Queue>, id: u64) -> Consumer {
        Consumer { queues, queue, id }
    }

    fn deliver(&self, position: u64, message: QueuedMessage) -> Delivery {
        let delivery = Delivery::new(message.message.clone());
        let delivery = if message.attempts > 0 {
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
        let mut state = self.queue.lock();
        if state.is_closed {
            return Poll::Ready(None);
        }
        let taken = state.take(self.id, &mut deferred);
        if taken.is_none() {
            deferred.unused_waker = state.dispatcher.park(self.id, cx.waker());
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
        self.queue.lock().remove_consumer(self.id, &mut deferred);
        self.queues.run_deferred(deferred, &self.queue);
        if *self.queue.destination.scope() == Scope::Temporary {
            self.queues
                .remove_if(&self.queue.destination, |state| !state.has_consumers());
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
        let (queues, queue) = (&self.queues, &*self.queue);
        if settlement == Settlement::Acked {
            queue.lock().remove_delivered(&message.reserved);
            let activity = queues.activity();
            activity.delivered.add(1);
            activity.events.emit(|| Event::Delivered {
                address: queue.destination.clone(),
                recipients: 1,
            });
            return;
        }
        // A delivery that was never sent is not counted, because its consumer has not seen the message.
        if settlement != Settlement::Unsent {
            message.attempts += 1;
        }
        message.refused_by = (settlement == Settlement::Nacked).then_some(self.consumer);
        let mut deferred = Deferred::default();
        let unwanted = queue
            .lock()
            .take_back(self.position, message, &mut deferred);
        queues
            .activity()
            .dropped
            .add(usize::from(unwanted.is_some()));
        queues.run_deferred(deferred, queue);
    }
}
