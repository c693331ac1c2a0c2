//! `ACK` and `NACK`.

use super::{
    Protocol,
    error_reply::{ErrorReply, Quoted},
    state::{
        subscriptions::{Lookup, SubscriptionName},
        transactions::Step,
    },
    subscribe::unknown_subscription,
};
use crate::{
    delivery::Settlement,
    id::{DeliveryTag, SubscriptionKey},
    staging::Acknowledgment,
    weight::frame_weight,
};
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
                    self.set_staged(&acknowledgment, true);
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
    /// is faulty, or belongs to a transaction, or the session is not open.
    pub(crate) fn acknowledge_early(&mut self, frame: &Frame) -> bool {
        let is_ack = matches!(frame.command, Command::Ack | Command::Nack);
        if !is_ack || !self.is_open() || frame.headers.contains(header::TRANSACTION) {
            return false;
        }
        if frame.validate(self.version).is_err() {
            return false;
        }
        match self.resolve_acknowledgment(frame) {
            Ok(acknowledgment) => {
                if let Some(acknowledgment) = acknowledgment {
                    self.apply_acknowledgment(&acknowledgment);
                }
                true
            }
            Err(_) => false,
        }
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
        for tag in tags {
            self.unacked.settle(unacked, *tag, *settlement);
        }
        if let Some(named) = tags.last() {
            self.unacked
                .remember_named(*named, self.config.max_unacked_messages);
        }
        if unacked.is_finished() {
            self.end_subscription(*subscription);
        }
    }

    /// Handles the end of the stream with which the service answered `SUBSCRIBE`. The subscription ends as soon as all
    /// of its deliveries are acknowledged.
    pub(crate) fn handle_stream_end(&mut self, subscription: SubscriptionKey) {
        if let Some(unacked) = self.subscriptions.unacked_mut(subscription) {
            unacked.set_ending();
            if !unacked.is_finished() {
                return;
            }
        }
        self.end_subscription(subscription);
    }

    /// Marks the deliveries of an acknowledgment as covered by a transaction, or removes the mark.
    pub(super) fn set_staged(&mut self, acknowledgment: &Acknowledgment, is_staged: bool) {
        if let Some(unacked) = self.subscriptions.unacked_mut(acknowledgment.subscription) {
            unacked.set_staged(&acknowledgment.tags, is_staged);
        }
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
        let error = |code, text| Err(ErrorReply::new(code, text).with_receipt_of(frame));
        let header_name = if self.version == Version::V1_2 {
            header::ID
        } else {
            header::MESSAGE_ID
        };
        let value = frame.headers.get(header_name).unwrap_or_default();
        // STOMP 1.1 alone has a `subscription` header in these frames.
        let subscription_id = frame
            .headers
            .get(header::SUBSCRIPTION)
            .filter(|_| self.version == Version::V1_1);
        let subscription = match subscription_id.map(SubscriptionName::Id) {
            None => None,
            Some(name) => match self.subscriptions.find(&name) {
                Lookup::Active(key) => Some(key),
                Lookup::EndedByServer | Lookup::EndedByPeer => return Ok(None),
                Lookup::Unknown => return Err(unknown_subscription(&name, frame)),
            },
        };
        let Some(tag) = DeliveryTag::parse(value).filter(|tag| self.unacked.has_sent(*tag)) else {
            let text = format!(
                "The {header_name} {} is not that of a message to be acknowledged in this session.",
                Quoted(value)
            );
            return error("unknown-delivery", text);
        };
        let repeated = || {
            let text = format!(
                "The message with the {header_name} {} was acknowledged before.",
                Quoted(value)
            );
            error("already-settled", text)
        };
        let found = self
            .subscriptions
            .all_unacked()
            .find_map(|(key, unacked)| Some((key, unacked.is_staged(tag)?)));
        match found {
            Some((key, _)) if subscription.is_some_and(|named| named != key) => {
                let text = format!(
                    "The {header_name} {} is that of a message of another subscription.",
                    Quoted(value)
                );
                error("unknown-delivery", text)
            }
            Some((_, true)) => repeated(),
            Some((key, false)) => Ok(Some((key, tag))),
            None if self.unacked.was_named(tag) => repeated(),
            None => Ok(None),
        }
    }
}
