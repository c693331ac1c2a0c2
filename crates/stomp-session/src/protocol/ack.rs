//! `ACK` and `NACK`.

use super::{
    Protocol,
    error_reply::{ErrorReply, Quoted},
    output::IoOutput,
    state::{
        subscriptions::{Lookup, SubscriptionName},
        transactions::Step,
        unacked::SubscriptionUnacked,
    },
    subscribe::unknown_subscription,
};
use crate::{
    delivery::Settlement,
    id::{DeliveryTag, MessageId, SubscriptionKey},
    staging::Acknowledgment,
    weight::frame_weight,
};
use std::time::Instant;
use stomp_frame::{Command, Frame, Version, header};

impl Protocol {
    /// Handles an `ACK` or `NACK`. If it belongs to a transaction, it is checked now, but takes effect when the
    /// transaction is committed.
    pub(super) fn acknowledge(&mut self, frame: &Frame) -> Result<(), ErrorReply> {
        let transaction = self.transaction_of(frame)?;
        if let Some(acknowledgment) = self.resolve_acknowledgment(frame)? {
            match transaction {
                None => self.apply_acknowledgment(&acknowledgment),
                Some(transaction) => {
                    let step = Step::Acknowledge(acknowledgment);
                    self.add_step(transaction, step, frame_weight(frame), frame)?;
                }
            }
        }
        self.send_receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    /// Handles an `ACK` or `NACK` while a request is still being handled, so that credit does not wait. The caller
    /// sends its receipt. Returns false, and does nothing, if the frame must wait for its turn: it has another command,
    /// is faulty, belongs to a transaction, or covers more if the running commit is refused, or the session is not open.
    pub(crate) fn acknowledge_early(&mut self, frame: &Frame) -> bool {
        let is_ack = matches!(frame.command, Command::Ack | Command::Nack);
        if !is_ack || !self.is_open() || frame.headers.contains(header::TRANSACTION) {
            return false;
        }
        if frame.validate(self.version).is_err() {
            return false;
        }
        match self.resolve_acknowledgment(frame) {
            Ok(Some(acknowledgment)) if self.may_cover_more(&acknowledgment) => false,
            Ok(acknowledgment) => {
                if let Some(acknowledgment) = acknowledgment {
                    self.apply_acknowledgment(&acknowledgment);
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Returns true if an acknowledgment covers more deliveries if the running commit is refused.
    fn may_cover_more(&mut self, acknowledgment: &Acknowledgment) -> bool {
        let Acknowledgment {
            subscription, tags, ..
        } = acknowledgment;
        let (true, Some(last)) = (self.commit.is_some(), tags.last()) else {
            return false;
        };
        let unacked = self.subscriptions.unacked_mut(*subscription);
        unacked.is_some_and(|unacked| unacked.leaves_out_staged(*last))
    }

    /// Settles the deliveries of an acknowledgment that are not settled yet. Ends the subscription if this settles its
    /// last delivery and its stream has ended.
    pub(super) fn apply_acknowledgment(&mut self, acknowledgment: &Acknowledgment) {
        let Acknowledgment {
            subscription,
            tags,
            settlement,
        } = acknowledgment;
        let Some(unacked) = self.subscriptions.unacked_mut(*subscription) else {
            return;
        };
        let had_credit = unacked.has_credit();
        for tag in tags {
            let is_named = Some(tag) == tags.last();
            let settled = self.unacked.detach(*subscription, unacked, *tag, is_named);
            if let Some(on_settled) = settled {
                on_settled.call(*settlement);
            }
        }
        let has_credit_again = !had_credit && unacked.has_credit();
        if unacked.is_finished() {
            self.end_subscription(*subscription);
        } else if has_credit_again {
            self.push_io(IoOutput::Credit(*subscription));
        }
    }

    /// Handles the end of the stream with which the service answered `SUBSCRIBE`. The subscription ends as soon as all
    /// of its deliveries are acknowledged.
    pub(crate) fn handle_stream_end(&mut self, subscription: SubscriptionKey, now: Instant) {
        if let Some(unacked) = self.subscriptions.unacked_mut(subscription) {
            unacked.set_ending();
            if !unacked.is_finished() {
                return;
            }
        }
        self.end_subscription(subscription);
        self.call_next(now);
    }

    /// Finds the deliveries that an `ACK` or `NACK` settles, if any.
    fn resolve_acknowledgment(
        &mut self,
        frame: &Frame,
    ) -> Result<Option<Acknowledgment>, ErrorReply> {
        let Some((subscription, tag)) = self.find_delivery(frame)? else {
            return Ok(None);
        };
        let settlement = if frame.command == Command::Ack {
            Settlement::Acked
        } else {
            Settlement::Nacked
        };
        let tags = self
            .subscriptions
            .unacked_mut(subscription)
            .map(|unacked| unacked.covered_by(tag))
            .unwrap_or_default();
        Ok(Some(Acknowledgment {
            subscription,
            tags,
            settlement,
        }))
    }

    /// Finds the delivery that an `ACK` or `NACK` names. Returns `None` if it is settled already, by a cumulative frame
    /// or by the end of its subscription. This is not an error, because the peer may not know yet that the subscription
    /// has ended.
    fn find_delivery(
        &self,
        frame: &Frame,
    ) -> Result<Option<(SubscriptionKey, DeliveryTag)>, ErrorReply> {
        let header_name = if self.version == Version::V1_2 {
            header::ID
        } else {
            header::MESSAGE_ID
        };
        let value = frame.headers.get(header_name).unwrap_or_default();
        let found = if self.version == Version::V1_2 {
            self.find_by_ack_id(value)
        } else {
            let subscription = match self.subscription_of_ack(frame)? {
                NamedSubscription::Ended => return Ok(None),
                NamedSubscription::Active(key) => Some(key),
                NamedSubscription::Any => None,
            };
            match self.find_by_message_id(value, subscription) {
                Found::Unknown(_) if self.version == Version::V1_0 => {
                    self.find_by_message_id(value, None)
                }
                found => found,
            }
        };
        let (code, text) = match found {
            Found::Unacked(subscription, tag) => return Ok(Some((subscription, tag))),
            Found::Settled => return Ok(None),
            Found::Named => (
                "already-settled",
                format!(
                    "The message with the {header_name} {} was acknowledged before.",
                    Quoted(value)
                ),
            ),
            Found::Unknown(reason) => (
                "unknown-delivery",
                format!(
                    "The header {header_name} is {}, but {reason}",
                    Quoted(value)
                ),
            ),
        };
        Err(ErrorReply::new(code, text).with_receipt_of(frame))
    }

    /// Finds a delivery by the value of its header `ack`.
    ///
    /// STOMP 1.2, "ACK": "The `ACK` frame MUST include an `id` header matching the `ack` header of the `MESSAGE` being
    /// acknowledged."
    fn find_by_ack_id(&self, value: &str) -> Found {
        let issued = self.unacked.parse_ack_id(value);
        let Some((key, tag)) = issued.filter(|(key, _)| self.subscriptions.has_issued(*key)) else {
            return Found::Unknown(if value.parse::<MessageId>().is_ok() {
                "this is a message-id. Use the value of the header ack of the MESSAGE."
            } else {
                "no MESSAGE of this session has this value in its header ack. Values of earlier sessions \
                 are not valid."
            });
        };
        match self.is_staged(key, tag) {
            Some(false) => Found::Unacked(key, tag),
            Some(true) => Found::Named,
            None if self.unacked.was_named(tag) => Found::Named,
            None => Found::Settled,
        }
    }

    /// Finds a delivery by its `message-id`, of this subscription or of any. See
    /// [`MessageIds`](super::state::message_ids::MessageIds) for the order.
    ///
    /// STOMP 1.1, "ACK": "message-id, which MUST contain a value matching the message-id for the MESSAGE being
    /// acknowledged and subscription, which MUST be set to match the value of the subscription's id header".
    fn find_by_message_id(&self, value: &str, subscription: Option<SubscriptionKey>) -> Found {
        const UNKNOWN: Found =
            Found::Unknown("no MESSAGE that waits for an ACK in this session has this message-id.");
        let (Ok(message), Some(ids)) = (value.parse(), &self.unacked.message_ids) else {
            return UNKNOWN;
        };
        let mut is_staged = false;
        for (key, tag) in ids.unacked(message, subscription) {
            match self.is_staged(key, tag) {
                Some(false) => return Found::Unacked(key, tag),
                Some(true) => is_staged = true,
                None => {}
            }
        }
        if is_staged {
            return Found::Named;
        }
        match ids.settled(message) {
            Some(true) => Found::Named,
            Some(false) => Found::Settled,
            None if ids.unacked(message, None).next().is_some() => {
                Found::Unknown("this is a message of another subscription.")
            }
            None if self.has_unrecorded(subscription) => Found::Settled,
            None => UNKNOWN,
        }
    }

    /// Returns true if this subscription, or any in STOMP 1.0, had deliveries that are not recorded. Before STOMP 1.2,
    /// nothing tells their ids from unknown ones, so each id may be one of theirs.
    fn has_unrecorded(&self, subscription: Option<SubscriptionKey>) -> bool {
        let Some(key) = subscription else {
            return self.unacked.has_unrecorded();
        };
        let subscription = self.subscriptions.get(key);
        let unacked = subscription.and_then(|subscription| subscription.unacked.as_ref());
        unacked.is_some_and(SubscriptionUnacked::has_unrecorded)
    }

    /// Reads the header `subscription` of an `ACK` or `NACK` before STOMP 1.2.
    ///
    /// STOMP 1.0 has no such header. If a client sends one that names a subscription, it probably means that one.
    fn subscription_of_ack(&self, frame: &Frame) -> Result<NamedSubscription, ErrorReply> {
        let Some(id) = frame.headers.get(header::SUBSCRIPTION) else {
            return Ok(NamedSubscription::Any);
        };
        let name = SubscriptionName::Id(id);
        match self.subscriptions.find(&name) {
            Lookup::Active(key) | Lookup::Implicit(key) => Ok(NamedSubscription::Active(key)),
            _ if self.version == Version::V1_0 => Ok(NamedSubscription::Any),
            Lookup::EndedByServer | Lookup::EndedByPeer => Ok(NamedSubscription::Ended),
            Lookup::Unknown => Err(unknown_subscription(&name, frame)),
        }
    }

    /// Returns `Some(true)` if an `ACK` or `NACK` of a transaction covers the delivery, and `None` if it is settled.
    fn is_staged(&self, subscription: SubscriptionKey, tag: DeliveryTag) -> Option<bool> {
        let subscription = self.subscriptions.get(subscription)?;
        subscription.unacked.as_ref()?.is_staged(tag)
    }
}

/// Returns true if a frame may settle deliveries when it is handled: an `ACK` or `NACK` outside of a transaction, or a
/// `COMMIT`.
pub(crate) fn may_settle(frame: &Frame) -> bool {
    match frame.command {
        Command::Ack | Command::Nack => !frame.headers.contains(header::TRANSACTION),
        command => command == Command::Commit,
    }
}

/// The delivery that an `ACK` or `NACK` names.
enum Found {
    Unacked(SubscriptionKey, DeliveryTag),
    /// A cumulative frame or the end of its subscription has settled it.
    Settled,
    /// An `ACK` or `NACK` has named it already.
    Named,
    /// There is none, for this reason.
    Unknown(&'static str),
}

/// The subscription that an `ACK` or `NACK` names.
enum NamedSubscription {
    Any,
    Active(SubscriptionKey),
    Ended,
}
