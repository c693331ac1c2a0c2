//! One message on its way to one subscription.

use crate::{
    error::BoxError,
    message::{IntoMessage, Message},
};
use bytes::Bytes;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};
use stomp_frame::Headers;

/// A message on its way to one subscription: what the streams of subscriptions give.
///
/// Most are just messages, made with `Delivery::from`. One that comes from a queue is to be told what became of it:
///
/// ```
/// use stomp_session::{Delivery, Message, Settlement};
///
/// let delivery = Delivery::new(Message::new("job 7")).on_settled(|settlement| match settlement {
///     Settlement::Acked => println!("it is done"),
///     Settlement::Nacked => println!("somebody else may try"),
///     // The peer went away.
///     _ => println!("it goes back to where it was"),
/// });
/// # drop(delivery);
/// ```
#[derive(Debug)]
#[must_use = "a delivery that is dropped is settled as unsent"]
pub struct Delivery {
    pub(crate) message: Message,
    pub(crate) is_redelivered: bool,
    /// How many messages of the subscription were dropped before this one.
    pub(crate) dropped: u64,
    pub(crate) settle: Settle,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Settlement {
    /// The peer acknowledged it; where its subscription has `ack:auto`, it was sent.
    Acked,
    /// The peer refused it.
    Nacked,
    /// It was sent, and its subscription ended before the peer said anything. The peer may have seen it.
    Abandoned,
    /// It was never sent. The peer has not seen it.
    Unsent,
}

impl Delivery {
    /// A message that nobody waits for to be settled.
    pub fn new(message: Message) -> Delivery {
        Delivery {
            message,
            is_redelivered: false,
            dropped: 0,
            settle: Settle::default(),
        }
    }

    /// Tells the peer, with `redelivered:true`, that it or another may have seen this message before.
    pub fn with_redelivered(mut self) -> Delivery {
        self.is_redelivered = true;
        self
    }

    /// Calls `tell` exactly once, when it is known what became of the delivery: when the peer said so, or when the
    /// subscription has ended or the delivery was dropped.
    ///
    /// It is called by the session's task, which it must not keep waiting. Its panics are caught.
    pub fn on_settled(mut self, tell: impl FnOnce(Settlement) + Send + 'static) -> Delivery {
        self.settle = Settle {
            tell: Some(Box::new(tell)),
            is_sent: false,
        };
        self
    }

    /// Says what became of it, for whoever takes it without a session.
    pub fn settle(self, settlement: Settlement) {
        self.settle.settle(settlement);
    }

    /// Whether it, or another with the same message, may have been seen before.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The message's headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        self.message.headers()
    }

    /// The message's body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        self.message.body()
    }
}

impl From<Message> for Delivery {
    fn from(message: Message) -> Delivery {
        Delivery::new(message)
    }
}

/// What the streams of subscriptions may give: a [`Delivery`], or whatever can be sent as a [`Message`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to a STOMP subscription",
    note = "give a `String`, `Bytes`, `Vec<u8>`, a `Message`, a `Delivery`, a `Result` of these, or a serializable value \
            in `Json`"
)]
pub trait IntoDelivery {
    /// Makes the delivery.
    ///
    /// # Errors
    ///
    /// If the value cannot be written, or is itself an error: an item of a stream that may fail.
    fn into_delivery(self) -> Result<Delivery, BoxError>;
}

impl<T: IntoMessage> IntoDelivery for T {
    fn into_delivery(self) -> Result<Delivery, BoxError> {
        self.into_message().map(Delivery::new)
    }
}

impl IntoDelivery for Delivery {
    fn into_delivery(self) -> Result<Delivery, BoxError> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> IntoDelivery for Result<Delivery, E> {
    fn into_delivery(self) -> Result<Delivery, BoxError> {
        self.map_err(Into::into)
    }
}

/// Who is to be told, once, what became of a delivery: at the latest when this is dropped.
#[derive(Default)]
pub(crate) struct Settle {
    tell: Option<Box<dyn FnOnce(Settlement) + Send>>,
    is_sent: bool,
}

impl Settle {
    /// The delivery was sent.
    pub(crate) fn sent(mut self) -> Settle {
        self.is_sent = true;
        self
    }

    pub(crate) fn settle(mut self, settlement: Settlement) {
        self.tell(settlement);
    }

    fn tell(&mut self, settlement: Settlement) {
        if let Some(tell) = self.tell.take() {
            // The panic hook has told of it.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(settlement)));
        }
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        self.tell(if self.is_sent {
            Settlement::Abandoned
        } else {
            Settlement::Unsent
        });
    }
}

impl fmt::Debug for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tell.is_some() {
            "awaited"
        } else {
            "of no interest"
        })
    }
}
