//! The stream of a subscription, which reports the events of its beginning and its end.

use crate::{Address, Event, SubscribeRequest, activity::Activity};
use futures_core::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::SessionId;

/// A stream that reports [`Event::Subscribed`] when it is created, and [`Event::Left`] when it is dropped.
pub(super) struct Subscription<S> {
    stream: S,
    address: Address,
    session: Option<SessionId>,
    activity: Arc<Activity>,
}

impl<S> Subscription<S> {
    pub(super) fn new(
        stream: S,
        request: SubscribeRequest,
        activity: &Arc<Activity>,
    ) -> Subscription<S> {
        let subscription = Subscription {
            stream,
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
}

impl<S: Stream + Unpin> Stream for Subscription<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }
}

impl<S> Drop for Subscription<S> {
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
