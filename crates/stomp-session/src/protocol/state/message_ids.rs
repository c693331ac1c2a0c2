//! The `message-id`s by which a peer acknowledges deliveries before STOMP 1.2.

use crate::id::{DeliveryTag, MessageId, SubscriptionKey};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
};

/// The deliveries of a session by `message-id`.
///
/// A message keeps its id for ever. So several deliveries may have the same `message-id`: one in each subscription that
/// receives the message, and further ones when the message is redelivered. An `ACK` can never settle another message:
///
/// - It settles an unacknowledged delivery of this message, if there is one. This is right even if it was meant for an
///   earlier delivery: the client says that it has processed the message, and need not get it again.
/// - Of several unacknowledged deliveries, it settles the one in the oldest subscription, and there the oldest. So as
///   many `ACK`s as deliveries settle all of them. Only STOMP 1.0 needs the first rule, because an `ACK` of 1.1 names the
///   subscription. The second one concerns applications that send a message twice to a subscription.
#[derive(Debug)]
pub(crate) struct MessageIds {
    /// Unacknowledged deliveries.
    unacked: BTreeSet<(MessageId, SubscriptionKey, DeliveryTag)>,
    /// Maximum number of settled messages that are remembered.
    max_settled: usize,
    settled: BTreeMap<MessageId, SettledMessage>,
    /// The settled messages, the oldest first. An entry whose number is not that of the message is out of date.
    settled_order: VecDeque<(u64, MessageId)>,
    /// Number of deliveries that were settled.
    settled_count: u64,
}

#[derive(Debug)]
struct SettledMessage {
    /// Number of the delivery that was settled last.
    number: u64,
    was_named: bool,
}

impl MessageIds {
    pub(crate) fn new(max_settled: usize) -> MessageIds {
        MessageIds {
            unacked: BTreeSet::new(),
            max_settled,
            settled: BTreeMap::new(),
            settled_order: VecDeque::new(),
            settled_count: 0,
        }
    }

    /// Adds an unacknowledged delivery.
    pub(crate) fn insert(
        &mut self,
        message: MessageId,
        subscription: SubscriptionKey,
        tag: DeliveryTag,
    ) {
        self.unacked.insert((message, subscription, tag));
    }

    /// Removes a settled delivery, and remembers its message. `is_named` is true if an `ACK` or `NACK` named it, and
    /// false if a cumulative one covered it, or if its subscription has ended.
    pub(crate) fn settle(
        &mut self,
        message: MessageId,
        subscription: SubscriptionKey,
        tag: DeliveryTag,
        is_named: bool,
    ) {
        self.unacked.remove(&(message, subscription, tag));
        if self.settled_order.len() >= self.max_settled {
            if let Some((number, oldest)) = self.settled_order.pop_front() {
                let is_current = |settled: &SettledMessage| settled.number == number;
                if self.settled.get(&oldest).is_some_and(is_current) {
                    self.settled.remove(&oldest);
                }
            }
        }
        self.settled_count += 1;
        let settled = SettledMessage {
            number: self.settled_count,
            was_named: is_named,
        };
        self.settled.insert(message, settled);
        self.settled_order.push_back((self.settled_count, message));
    }

    /// The unacknowledged deliveries of a message, in the order in which `ACK`s settle them. `subscription` selects
    /// those of one subscription.
    pub(crate) fn unacked(
        &self,
        message: MessageId,
        subscription: Option<SubscriptionKey>,
    ) -> impl Iterator<Item = (SubscriptionKey, DeliveryTag)> {
        let first = subscription.unwrap_or(SubscriptionKey::MIN);
        let last = subscription.unwrap_or(SubscriptionKey::MAX);
        let range: RangeInclusive<_> =
            (message, first, DeliveryTag::NONE)..=(message, last, DeliveryTag::MAX);
        self.unacked.range(range).map(|(_, key, tag)| (*key, *tag))
    }

    /// Returns `Some` if a delivery of the message was settled recently, with true if an `ACK` or `NACK` named it.
    pub(crate) fn settled(&self, message: MessageId) -> Option<bool> {
        self.settled.get(&message).map(|settled| settled.was_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u128) -> MessageId {
        MessageId::from(number)
    }

    fn tags<const COUNT: usize>() -> [DeliveryTag; COUNT] {
        let mut last = DeliveryTag::NONE;
        [(); COUNT].map(|()| {
            last = last.successor();
            last
        })
    }

    #[test]
    fn deliveries_of_a_message_are_found_oldest_subscription_first() {
        let [old, new] = [SubscriptionKey(1), SubscriptionKey(2)];
        let [first, second, third, other] = tags();
        let mut ids = MessageIds::new(2);
        ids.insert(message(7), new, first);
        ids.insert(message(7), old, third);
        ids.insert(message(7), old, second);
        ids.insert(message(8), old, other);
        let found = |subscription| Vec::from_iter(ids.unacked(message(7), subscription));
        assert_eq!(found(None), [(old, second), (old, third), (new, first)]);
        assert_eq!(found(Some(new)), [(new, first)]);
        assert_eq!(ids.unacked(message(9), None).count(), 0);
    }

    #[test]
    fn the_messages_settled_last_are_remembered() {
        let key = SubscriptionKey(1);
        let [first, second, third, again] = tags();
        let mut ids = MessageIds::new(2);
        for (number, tag, is_named) in [(1, first, true), (2, second, false), (3, third, true)] {
            ids.insert(message(number), key, tag);
            ids.settle(message(number), key, tag, is_named);
        }
        let settled = |ids: &MessageIds| [1, 2, 3].map(|number| ids.settled(message(number)));
        assert_eq!(settled(&ids), [None, Some(false), Some(true)]);
        // A message that is settled again counts as settled last.
        ids.settle(message(2), key, again, true);
        assert_eq!(settled(&ids), [None, Some(true), Some(true)]);
        ids.settle(message(1), key, first, true);
        assert_eq!(settled(&ids), [Some(true), Some(true), None]);
    }
}
