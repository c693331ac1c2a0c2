//! A message for one subscription, and its outcome.

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

/// A message on its way to one subscription: the item of a subscription's stream.
///
/// Most deliveries are just messages, made with `Delivery::from`: nobody needs to know their outcome, so they need no
/// credit, however late the client acknowledges them. A queue that needs to know the outcome adds a callback:
///
/// ```
/// use stomp_session::{Delivery, Message, Settlement};
///
/// let delivery = Delivery::new(Message::new("job 7")).on_settled(|settlement| match settlement {
///     Settlement::Acked => println!("done"),
///     Settlement::Nacked => println!("refused: give it to another consumer"),
///     // The peer went away.
///     _ => println!("back to the queue"),
/// });
/// # drop(delivery);
/// ```
#[derive(Debug)]
#[must_use = "a delivery that is dropped is settled as unsent"]
pub struct Delivery {
    pub(crate) message: Message,
    pub(crate) is_redelivered: bool,
    /// Number of messages of the subscription that are missing before this one, or [`UNKNOWN_GAP`].
    pub(crate) missing: u64,
    pub(crate) on_settled: SettleCallback,
}

/// Messages of a subscription that are missing before a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// This number of messages was dropped. The header is `dropped-messages`, with the number.
    Dropped(u64),
    /// Any number of messages may be missing, perhaps none: for example after a connection to another server was lost.
    /// The header is `gap:unknown`.
    Unknown,
}

/// The count of missing messages that stands for [`Gap::Unknown`]. Saturating addition keeps it.
pub(crate) const UNKNOWN_GAP: u64 = u64::MAX;

/// Outcome of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Settlement {
    /// The peer acknowledged the message. With `ack:auto`, the message was sent.
    Acked,
    /// The peer refused the message with `NACK`.
    Nacked,
    /// The message was sent, but the subscription ended before the peer acknowledged it. The peer may have seen it.
    Abandoned,
    /// The message was never sent. The peer has not seen it.
    Unsent,
}

impl Delivery {
    /// Creates a delivery without a callback.
    pub fn new(message: Message) -> Delivery {
        Delivery {
            message,
            is_redelivered: false,
            missing: 0,
            on_settled: SettleCallback::default(),
        }
    }

    /// Marks the message with the header `redelivered:true`: this client or another may have received it before.
    pub fn with_redelivered(mut self) -> Delivery {
        self.is_redelivered = true;
        self
    }

    /// Marks the message with the header `dropped-messages` or `gap`: messages of the subscription are missing before
    /// it. Adds to the gap that the delivery has already. `Gap::Dropped(0)` changes nothing.
    pub fn with_gap(mut self, gap: Gap) -> Delivery {
        let missing = match gap {
            Gap::Dropped(count) => count.min(UNKNOWN_GAP - 1),
            Gap::Unknown => UNKNOWN_GAP,
        };
        self.missing = self.missing.saturating_add(missing);
        self
    }

    /// Sets the callback for the outcome. It is called exactly once: when the message is sent with `ack:auto`, when the
    /// peer acknowledges or refuses it, when the subscription ends, or when the delivery is dropped. If the
    /// subscription ends while an open transaction acknowledges the message, the end of the transaction settles the
    /// delivery.
    ///
    /// It usually runs on the task of the session, so it must not block. Its panics are caught.
    pub fn on_settled(mut self, callback: impl FnOnce(Settlement) + Send + 'static) -> Delivery {
        self.on_settled = SettleCallback::new(callback);
        self
    }

    /// Replaces the message by the result of a function. The id, the outcome, the gap and the mark of a redelivery stay:
    /// what happens to the new message settles the delivery, and a client recognizes it when it is delivered again.
    ///
    /// ```
    /// use stomp_session::{Delivery, Gap, Message};
    ///
    /// let delivery = Delivery::new(Message::new("5")).with_gap(Gap::Dropped(2));
    /// let delivery = delivery.map_message(|message| message.with_header("unit", "kg"));
    /// assert_eq!(delivery.headers().get("unit"), Some("kg"));
    /// assert_eq!(delivery.gap(), Some(Gap::Dropped(2)));
    /// ```
    pub fn map_message(self, change: impl FnOnce(Message) -> Message) -> Delivery {
        let id = self.message.id();
        let message = change(self.message);
        let message = if message.id() == id {
            message
        } else {
            message.with_id(id)
        };
        Delivery { message, ..self }
    }

    /// Calls the callback with this outcome. Consumers other than sessions use this method.
    pub fn settle(self, settlement: Settlement) {
        self.on_settled.call(settlement);
    }

    /// Returns true if a client may have received the message before.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }

    /// The gap before the message. `None` if no message is missing there.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        match self.missing {
            0 => None,
            UNKNOWN_GAP => Some(Gap::Unknown),
            count => Some(Gap::Dropped(count)),
        }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The headers of the message.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        self.message.headers()
    }

    /// The body of the message.
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

/// Conversion into a [`Delivery`]. Implemented for `Delivery` and for everything that implements [`IntoMessage`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to a STOMP subscription",
    note = "give a `String`, `Bytes`, `Vec<u8>`, a `Message`, a `Delivery`, a `Result` of these, or a serializable value \
            in `Json`"
)]
pub trait IntoDelivery {
    /// Converts the value.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized. A `Result` with an error returns that error.
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

/// Callback for the outcome of a delivery, if any. It is called exactly once, at the latest by its destructor, so that
/// no code path can forget it.
#[derive(Default)]
pub(crate) struct SettleCallback {
    callback: Option<Box<dyn FnOnce(Settlement) + Send>>,
    is_sent: bool,
}

impl SettleCallback {
    /// Marks the delivery as sent: if the callback is dropped, it is called with [`Settlement::Abandoned`].
    pub(crate) fn with_sent(mut self) -> SettleCallback {
        self.is_sent = true;
        self
    }

    pub(crate) fn new(callback: impl FnOnce(Settlement) + Send + 'static) -> SettleCallback {
        SettleCallback {
            callback: Some(Box::new(callback)),
            is_sent: false,
        }
    }

    /// Returns true if the delivery reports its outcome.
    pub(crate) fn is_set(&self) -> bool {
        self.callback.is_some()
    }

    pub(crate) fn call(mut self, settlement: Settlement) {
        self.call_once(settlement);
    }

    fn call_once(&mut self, settlement: Settlement) {
        if let Some(callback) = self.callback.take() {
            // The panic hook has reported a panic.
            let _ = catch_unwind(AssertUnwindSafe(|| callback(settlement)));
        }
    }
}

impl Drop for SettleCallback {
    fn drop(&mut self) {
        self.call_once(if self.is_sent {
            Settlement::Abandoned
        } else {
            Settlement::Unsent
        });
    }
}

impl fmt::Debug for SettleCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.callback.is_some() {
            "set"
        } else {
            "unset"
        })
    }
}
