//! Temporary queues for replies, to which a client has not subscribed.
//!
//! A client may name its temporary queue in `reply-to` without a `SUBSCRIBE`, as with RabbitMQ. Then the broker adds an
//! implicit subscription to its session before it hands out the public name, so that no reply is lost.

use crate::{
    Address, Broker, EngineFuture, SubscribeRequest, gaps,
    temporary_names::{self, NameInUse},
};
use std::fmt;
use stomp_frame::AckMode;
use stomp_session::{BoxError, Destination, Request, SubscribeError};

/// A temporary queue to which a session has no subscription yet.
pub struct ReplyQueue {
    pub(crate) name: NameInUse,
    /// The destination as the client spelled it in `reply-to`.
    pub(crate) destination: Destination,
}

impl Broker {
    /// Adds an implicit subscription to the session of a request. If the session has ended, nobody needs it.
    pub(crate) fn open_reply_queue(
        &self,
        queue: ReplyQueue,
        request: &Request,
    ) -> EngineFuture<()> {
        let ReplyQueue { name, destination } = queue;
        let session = request.session().clone();
        let to = Address::temporary(name.public_name());
        let subscription = SubscribeRequest::new(to)
            .ack_mode(AckMode::Auto)
            .sent_by(request);
        let subscription = match self.check_subscription(subscription) {
            Ok(subscription) => subscription,
            Err(error) => return EngineFuture::ready(Err(error)),
        };
        let on_gap = self.0.config.on_gap;
        let stream = self.0.engine.subscribe(subscription);
        stream.and_then(move |stream| {
            let stream = gaps::apply(on_gap, stream, Some(&session));
            let stream = temporary_names::hold(Some(name), stream);
            let added = match session.subscribe(&destination, stream) {
                Ok(()) | Err(SubscribeError::Closed) => Ok(()),
                Err(error) => Err(BoxError::from(error)),
            };
            EngineFuture::ready(added)
        })
    }
}

/// Hides the public name, which is a secret.
impl fmt::Debug for ReplyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyQueue")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}
