//! `MESSAGE`: encodes deliveries for the subscriptions of a session.

use super::{Protocol, clear_head, message_head::DeliveryHeaders, state::subscriptions::Recipient};
use crate::{
    delivery::{Delivery, Settlement},
    id::SubscriptionKey,
    message::Tail,
};
use std::{borrow::Cow, mem};

/// Encoded `MESSAGE` frame, in two parts.
pub(crate) struct EncodedDelivery<'a> {
    /// The first part: the command, and the headers that differ between subscriptions or between deliveries.
    pub(crate) prefix: Cow<'a, [u8]>,
    /// The second part, which all recipients of the message share.
    pub(crate) tail: &'a [u8],
    /// True if the whole frame is UTF-8.
    pub(crate) is_text: bool,
}

impl Protocol {
    /// Returns the encoded beginning of a `MESSAGE` to a subscription with `ack:auto`. `destination` is the one of the
    /// message. Returns `None` if the subscription has ended.
    pub(crate) fn prefix(
        &mut self,
        subscription: SubscriptionKey,
        destination: Option<&str>,
    ) -> Option<Cow<'_, [u8]>> {
        let (syntax, version) = (&self.config.destinations, self.version);
        let recipient = self
            .subscriptions
            .recipient(subscription, destination, syntax, version)?;
        Some(recipient.prefix)
    }

    /// Encodes a delivery and marks it as sent. Returns `None` if its subscription has ended.
    ///
    /// STOMP 1.2, "MESSAGE": "If the message is received from a subscription that requires explicit acknowledgment ...
    /// then the `MESSAGE` frame MUST also contain an `ack` header with an arbitrary value."
    pub(crate) fn encode_delivery<'a>(
        &'a mut self,
        subscription: SubscriptionKey,
        delivery: &'a mut Delivery,
    ) -> Option<EncodedDelivery<'a>> {
        let Delivery {
            message,
            is_redelivered,
            missing,
            on_settled,
        } = delivery;
        let Recipient { prefix, unacked } = self.subscriptions.recipient(
            subscription,
            message.destination(),
            &self.config.destinations,
            self.version,
        )?;
        let Tail {
            bytes: tail,
            is_text,
        } = message.tail(self.version);
        let on_settled = mem::take(on_settled);
        let mut headers = DeliveryHeaders {
            is_redelivered: *is_redelivered,
            missing: *missing,
            ack: None,
        };
        match unacked {
            None => on_settled.call(Settlement::Acked),
            Some(unacked) => {
                headers.ack = self
                    .unacked
                    .record(subscription, unacked, message.id(), on_settled);
            }
        }
        let prefix = if headers.are_empty() {
            prefix
        } else {
            clear_head(&mut self.head);
            self.head.extend_from_slice(&prefix);
            headers.append_to(self.version, &mut self.head);
            Cow::Borrowed(&*self.head)
        };
        Some(EncodedDelivery {
            prefix,
            tail,
            is_text: *is_text,
        })
    }
}
