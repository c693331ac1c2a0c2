//! Deliveries that were sent and wait to be acknowledged.

use crate::{
    delivery::{SettleCallback, Settlement},
    id::DeliveryTag,
};
use std::collections::VecDeque;
use stomp_frame::AckMode;

/// Data about the deliveries of a whole session. The unacknowledged deliveries themselves are in the
/// [`SubscriptionUnacked`]s.
#[derive(Debug, Default)]
pub(crate) struct SessionUnacked {
    /// Tag of the last delivery.
    last_tag: DeliveryTag,
    /// Bytes of all unacknowledged deliveries.
    bytes: usize,
    /// Tags that the last `ACK`s and `NACK`s have named, the oldest first.
    recently_named: VecDeque<DeliveryTag>,
}

/// Unacknowledged deliveries of one subscription.
#[derive(Debug)]
pub(crate) struct SubscriptionUnacked {
    /// True if an `ACK` or `NACK` covers all earlier deliveries too.
    is_cumulative: bool,
    /// Maximum number of unacknowledged deliveries.
    max_deliveries: usize,
    /// Deliveries in the order of their tags.
    deliveries: VecDeque<UnackedDelivery>,
    /// True if nothing more will be sent to the subscription. It ends when its last delivery is acknowledged.
    is_ending: bool,
}

#[derive(Debug)]
struct UnackedDelivery {
    tag: DeliveryTag,
    bytes: usize,
    on_settled: SettleCallback,
    /// True if an `ACK` or `NACK` of a transaction covers this delivery. The transaction is open or being committed.
    is_staged: bool,
}

impl SubscriptionUnacked {
    /// Creates an empty table. Returns `None` for the mode `auto`, which has no acknowledgments.
    pub(crate) fn new(mode: AckMode, max_deliveries: usize) -> Option<SubscriptionUnacked> {
        let is_cumulative = match mode {
            AckMode::Auto => return None,
            AckMode::Client => true,
            AckMode::ClientIndividual => false,
        };
        Some(SubscriptionUnacked {
            is_cumulative,
            max_deliveries,
            deliveries: VecDeque::new(),
            is_ending: false,
        })
    }

    /// Notes that nothing more will be sent to the subscription.
    pub(crate) fn set_ending(&mut self) {
        self.is_ending = true;
    }

    /// Returns true if nothing more will be sent to the subscription, and everything is acknowledged.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_ending && self.deliveries.is_empty()
    }

    /// Returns `Some(true)` if an `ACK` or `NACK` of a transaction covers the delivery, and `None` if the table does
    /// not contain it.
    pub(crate) fn is_staged(&self, tag: DeliveryTag) -> Option<bool> {
        let delivery = self.deliveries.get(self.position(tag)?)?;
        Some(delivery.is_staged)
    }

    /// Marks these deliveries as covered by a transaction, or removes the mark.
    pub(crate) fn set_staged(&mut self, tags: &[DeliveryTag], is_staged: bool) {
        for tag in tags {
            let position = self.position(*tag);
            if let Some(delivery) = position.and_then(|at| self.deliveries.get_mut(at)) {
                delivery.is_staged = is_staged;
            }
        }
    }

    /// The deliveries that an `ACK` or `NACK` of `tag` covers.
    ///
    /// STOMP 1.2, "SUBSCRIBE ack Header": with `client`, "the acknowledgment operates on the message specified in the
    /// `ACK` frame and all messages sent to the subscription before"; with `client-individual`, frames "are not
    /// cumulative".
    pub(crate) fn covered_by(&self, tag: DeliveryTag) -> Vec<DeliveryTag> {
        if !self.is_cumulative {
            return vec![tag];
        }
        let until = self
            .deliveries
            .iter()
            .take_while(|delivery| delivery.tag <= tag);
        until
            .filter(|delivery| !delivery.is_staged)
            .map(|delivery| delivery.tag)
            .collect()
    }

    fn position(&self, tag: DeliveryTag) -> Option<usize> {
        self.deliveries
            .binary_search_by_key(&tag, |delivery| delivery.tag)
            .ok()
    }
}

impl SessionUnacked {
    /// Adds a delivery that is being sent, and returns its tag.
    pub(crate) fn record(
        &mut self,
        unacked: &mut SubscriptionUnacked,
        bytes: usize,
        on_settled: SettleCallback,
    ) -> DeliveryTag {
        self.last_tag = self.last_tag.successor();
        self.bytes += bytes;
        unacked.deliveries.push_back(UnackedDelivery {
            tag: self.last_tag,
            bytes,
            on_settled: on_settled.with_sent(),
            is_staged: false,
        });
        self.last_tag
    }

    /// Returns true if the subscription may have another unacknowledged delivery.
    pub(crate) fn has_credit(&self, unacked: &SubscriptionUnacked, max_bytes: usize) -> bool {
        unacked.deliveries.len() < unacked.max_deliveries && self.bytes < max_bytes
    }

    /// Settles all deliveries of an ending subscription as [`Settlement::Abandoned`].
    ///
    /// STOMP 1.2, "SUBSCRIBE ack Header": "If the connection fails before a client sends an `ACK` frame for the message
    /// the server will assume the message has not been processed and MAY redeliver the message to another client."
    pub(crate) fn abandon(&mut self, unacked: SubscriptionUnacked) {
        for delivery in unacked.deliveries {
            self.bytes -= delivery.bytes;
            delivery.on_settled.call(Settlement::Abandoned);
        }
    }

    /// Settles a delivery, unless it is settled already.
    pub(crate) fn settle(
        &mut self,
        unacked: &mut SubscriptionUnacked,
        tag: DeliveryTag,
        settlement: Settlement,
    ) {
        if let Some(on_settled) = self.detach(unacked, tag) {
            on_settled.call(settlement);
        }
    }

    /// Removes a delivery and returns its callback, for the caller to settle. `None` if it is settled already.
    pub(crate) fn detach(
        &mut self,
        unacked: &mut SubscriptionUnacked,
        tag: DeliveryTag,
    ) -> Option<SettleCallback> {
        let position = unacked.position(tag)?;
        let delivery = unacked.deliveries.remove(position)?;
        self.bytes -= delivery.bytes;
        Some(delivery.on_settled)
    }

    /// Returns true if a delivery with this tag was sent.
    pub(crate) fn has_sent(&self, tag: DeliveryTag) -> bool {
        tag <= self.last_tag
    }

    /// Remembers a tag that an `ACK` or `NACK` named, because to name it again is an error. Keeps the last `max` tags.
    pub(crate) fn remember_named(&mut self, tag: DeliveryTag, max: usize) {
        if self.recently_named.len() >= max {
            self.recently_named.pop_front();
        }
        self.recently_named.push_back(tag);
    }

    /// Returns true if one of the last `ACK`s and `NACK`s has named this tag.
    pub(crate) fn was_named(&self, tag: DeliveryTag) -> bool {
        self.recently_named.contains(&tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the totals and the table of a subscription with three deliveries of 10 bytes.
    fn three(mode: AckMode) -> (SessionUnacked, SubscriptionUnacked, [DeliveryTag; 3]) {
        let mut session = SessionUnacked::default();
        let mut unacked = SubscriptionUnacked::new(mode, 3).unwrap();
        let tags = [(); 3].map(|()| session.record(&mut unacked, 10, SettleCallback::default()));
        (session, unacked, tags)
    }

    #[test]
    fn auto_mode_has_no_unacknowledged_deliveries() {
        assert!(SubscriptionUnacked::new(AckMode::Auto, 3).is_none());
    }

    #[test]
    fn a_cumulative_ack_covers_earlier_deliveries_that_are_not_staged() {
        let (_, mut unacked, [first, second, third]) = three(AckMode::Client);
        assert_eq!(unacked.covered_by(third), [first, second, third]);
        unacked.set_staged(&[first], true);
        assert_eq!(unacked.is_staged(first), Some(true));
        assert_eq!(unacked.covered_by(second), [second]);
    }

    #[test]
    fn an_individual_ack_covers_one_delivery() {
        let (_, unacked, [_, second, _]) = three(AckMode::ClientIndividual);
        assert_eq!(unacked.covered_by(second), [second]);
    }

    #[test]
    fn credit_returns_when_a_delivery_is_settled() {
        let (mut session, mut unacked, [first, ..]) = three(AckMode::Client);
        assert!(!session.has_credit(&unacked, 1_000), "three deliveries");
        session.settle(&mut unacked, first, Settlement::Acked);
        session.settle(&mut unacked, first, Settlement::Acked);
        assert!(session.has_credit(&unacked, 21));
        assert!(!session.has_credit(&unacked, 20), "twenty bytes");
        session.abandon(unacked);
        assert_eq!(session.bytes, 0);
    }

    #[test]
    fn only_the_last_named_tags_are_remembered() {
        let (mut session, _, [first, second, third]) = three(AckMode::Client);
        for tag in [first, second, third] {
            session.remember_named(tag, 2);
        }
        assert_eq!(
            [first, second, third].map(|tag| session.was_named(tag)),
            [false, true, true]
        );
        assert!(session.has_sent(third));
        assert!(!session.has_sent(third.successor()));
    }
}
