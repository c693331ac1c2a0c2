//! The events of the beginning and the end of a subscription.

use crate::{Address, Event, SubscribeRequest, activity::Activity};
use futures_core::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::SessionId;

/// A value that reports [`Event::Subscribed`] when it is created, and [`Event::Left`] when it is dropped.
pub(super) struct Subscription {
    address: Address,
    session: Option<SessionId>,
    activity: Arc<Activity>,
}

impl Subscription {
    pub(super) fn new(request: SubscribeRequest, activity: &Arc<Activity>) -> Subscription {
        let subscription = Subscription {
            address: request.address,
            session: request.session,
            activity: Arc::clone(activity),
        };
        let Subscription {
            address, session, ..
        } = &subscription;
        activity.events.emit(|| Event::Subscribed {
            address: address.clone(),
            session: *session,
        });
        subscription
    }

    /// Returns a stream that holds this value.
    pub(super) fn with_stream<S>(self, stream: S) -> WithSubscription<S> {
        WithSubscription {
            stream,
            _subscription: self,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Subscription {
            address, session, ..
        } = self;
        self.activity.events.emit(|| Event::Left {
            address: address.clone(),
            session: *session,
        });
    }
}

/// A stream of a subscription.
pub(super) struct WithSubscription<S> {
    stream: S,
    _subscription: Subscription,
}

impl<S: Stream + Unpin> Stream for WithSubscription<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }
}
