//! Deliveries that were sent and wait to be acknowledged.

use super::message_ids::MessageIds;
use crate::{
    delivery::{SettleCallback, Settlement},
    id::{AckIdText, AckIds, DeliveryTag, MessageId, SessionId, SubscriptionKey},
};
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;
use stomp_frame::AckMode;

/// Data about the deliveries of a whole session. The unacknowledged deliveries themselves are in the
/// [`SubscriptionUnacked`]s.
///
/// A session does not hold the messages that it has sent. What it holds for an unacknowledged delivery is a record of
/// fixed size, so it bounds their number and not their bytes. A bound of bytes would stop a client that waits for the
/// number of messages that it was granted before it acknowledges them.
#[derive(Debug)]
pub(crate) struct SessionUnacked {
    ack_ids: AckIds,
    /// The ids by which deliveries are acknowledged before STOMP 1.2. `None` in 1.2.
    pub(crate) message_ids: Option<Box<MessageIds>>,
    /// Tag of the last delivery.
    last_tag: DeliveryTag,
    /// Sum of the maximum numbers of unacknowledged deliveries of all subscriptions.
    granted: usize,
    /// True if any delivery was sent that is not recorded: see [`SessionUnacked::record`].
    has_unrecorded: bool,
    /// In STOMP 1.2: tags that the last `ACK`s and `NACK`s have named, the oldest first.
    recently_named: VecDeque<DeliveryTag>,
    /// Maximum length of `recently_named`.
    max_named: usize,
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
    /// True if any delivery was sent that is not recorded: see [`SessionUnacked::record`].
    has_unrecorded: bool,
    /// True if nothing more will be sent to the subscription. It ends when its last delivery is acknowledged.
    is_ending: bool,
}

#[derive(Debug)]
struct UnackedDelivery {
    tag: DeliveryTag,
    message: MessageId,
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
            has_unrecorded: false,
            is_ending: false,
        })
    }

    /// Returns true if the subscription may have another unacknowledged delivery.
    pub(crate) fn has_credit(&self) -> bool {
        self.deliveries.len() < self.max_deliveries
    }

    /// Returns true if a delivery was sent that is not recorded: see [`SessionUnacked::record`].
    pub(crate) fn has_unrecorded(&self) -> bool {
        self.has_unrecorded
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

    /// The deliveries that a transaction covers.
    pub(crate) fn staged(&self) -> Vec<DeliveryTag> {
        let deliveries = self.deliveries.iter();
        deliveries
            .filter(|delivery| delivery.is_staged)
            .map(|delivery| delivery.tag)
            .collect()
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
    pub(crate) fn covered_by(&self, tag: DeliveryTag) -> SmallVec<[DeliveryTag; 1]> {
        if !self.is_cumulative {
            return smallvec![tag];
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

    /// Returns true if an `ACK` or `NACK` of `tag` does not cover an earlier delivery only because a transaction does.
    pub(crate) fn leaves_out_staged(&self, tag: DeliveryTag) -> bool {
        let mut deliveries = self.deliveries.iter();
        self.is_cumulative && deliveries.any(|delivery| delivery.tag < tag && delivery.is_staged)
    }

    fn position(&self, tag: DeliveryTag) -> Option<usize> {
        // Most clients acknowledge the oldest delivery first.
        if self
            .deliveries
            .front()
            .is_some_and(|first| first.tag == tag)
        {
            return Some(0);
        }
        self.deliveries
            .binary_search_by_key(&tag, |delivery| delivery.tag)
            .ok()
    }
}

impl SessionUnacked {
    /// Creates the state of a new session. It remembers `max_named` settled deliveries.
    pub(crate) fn new(session: SessionId, max_named: usize) -> SessionUnacked {
        SessionUnacked {
            ack_ids: AckIds::new(session),
            message_ids: None,
            last_tag: DeliveryTag::NONE,
            granted: 0,
            has_unrecorded: false,
            recently_named: VecDeque::new(),
            max_named,
        }
    }

    /// Notes that the peer acknowledges deliveries by their `message-id`, as all versions before 1.2 do.
    pub(crate) fn use_message_ids(&mut self) {
        self.message_ids = Some(Box::new(MessageIds::new(self.max_named)));
    }

    /// Sum of the maximum numbers of unacknowledged deliveries of all subscriptions.
    pub(crate) fn granted(&self) -> usize {
        self.granted
    }

    /// Adds the maximum of a new subscription. [`abandon`](SessionUnacked::abandon) subtracts it.
    pub(crate) fn grant(&mut self, unacked: &SubscriptionUnacked) {
        self.granted += unacked.max_deliveries;
    }

    /// Returns true if any subscription had a delivery that is not recorded.
    pub(crate) fn has_unrecorded(&self) -> bool {
        self.has_unrecorded
    }

    /// Adds a delivery that is being sent. Returns the value of its header `ack`, which STOMP 1.2 alone has.
    ///
    /// A delivery without a callback, such as a message of a topic, is not recorded: nobody waits for its outcome, and it
    /// is never redelivered. So it takes no credit and no memory, however late its `ACK` comes. But if an `ACK` of it
    /// would cover earlier deliveries, it is recorded like them.
    pub(crate) fn record(
        &mut self,
        subscription: SubscriptionKey,
        unacked: &mut SubscriptionUnacked,
        message: MessageId,
        on_settled: SettleCallback,
    ) -> Option<AckIdText> {
        let tag = self.last_tag.successor();
        self.last_tag = tag;
        let covers_others = unacked.is_cumulative && !unacked.deliveries.is_empty();
        if on_settled.is_set() || covers_others {
            unacked.deliveries.push_back(UnackedDelivery {
                tag,
                message,
                on_settled: on_settled.with_sent(),
                is_staged: false,
            });
            if let Some(ids) = &mut self.message_ids {
                ids.insert(message, subscription, tag);
            }
        } else {
            unacked.has_unrecorded = true;
            self.has_unrecorded = true;
        }
        let has_ack_id = self.message_ids.is_none();
        has_ack_id.then(|| self.ack_ids.text(subscription, tag))
    }

    /// Parses an id that [`record`](SessionUnacked::record) has returned. Returns `None` if this session has not issued
    /// it.
    pub(crate) fn parse_ack_id(&self, id: &str) -> Option<(SubscriptionKey, DeliveryTag)> {
        self.ack_ids
            .parse(id)
            .filter(|(_, tag)| *tag <= self.last_tag)
    }

    /// Settles all deliveries of an ending subscription as [`Settlement::Abandoned`].
    ///
    /// STOMP 1.2, "SUBSCRIBE ack Header": "If the connection fails before a client sends an `ACK` frame for the message
    /// the server will assume the message has not been processed and MAY redeliver the message to another client."
    pub(crate) fn abandon(&mut self, subscription: SubscriptionKey, unacked: SubscriptionUnacked) {
        self.granted -= unacked.max_deliveries;
        for delivery in unacked.deliveries {
            self.remember(subscription, &delivery, false);
            delivery.on_settled.call(Settlement::Abandoned);
        }
    }

    /// Removes a delivery and returns its callback, for the caller to settle. `None` if it is settled already.
    /// `is_named` is true if an `ACK` or `NACK` names the delivery: then to name it again is an error.
    pub(crate) fn detach(
        &mut self,
        subscription: SubscriptionKey,
        unacked: &mut SubscriptionUnacked,
        tag: DeliveryTag,
        is_named: bool,
    ) -> Option<SettleCallback> {
        let position = unacked.position(tag)?;
        let delivery = unacked.deliveries.remove(position)?;
        self.remember(subscription, &delivery, is_named);
        Some(delivery.on_settled)
    }

    /// Remembers a settled delivery, because the peer may name it once more.
    fn remember(
        &mut self,
        subscription: SubscriptionKey,
        delivery: &UnackedDelivery,
        is_named: bool,
    ) {
        match &mut self.message_ids {
            Some(ids) => ids.settle(delivery.message, subscription, delivery.tag, is_named),
            None if is_named => {
                if self.recently_named.len() >= self.max_named {
                    self.recently_named.pop_front();
                }
                self.recently_named.push_back(delivery.tag);
            }
            None => {}
        }
    }

    /// Returns true if one of the last `ACK`s and `NACK`s has named this tag.
    pub(crate) fn was_named(&self, tag: DeliveryTag) -> bool {
        self.recently_named.contains(&tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SubscriptionKey = SubscriptionKey(1);

    /// Returns the state of a session in STOMP 1.2, and of a subscription with three deliveries.
    fn three(mode: AckMode) -> (SessionUnacked, SubscriptionUnacked, [DeliveryTag; 3]) {
        let mut session = SessionUnacked::new(SessionId::random(), 2);
        let mut unacked = SubscriptionUnacked::new(mode, 3).unwrap();
        session.grant(&unacked);
        let tags = [(); 3].map(|()| {
            let message = MessageId::random();
            let id = session.record(KEY, &mut unacked, message, wanted());
            session.parse_ack_id(text(&id.unwrap())).unwrap().1
        });
        (session, unacked, tags)
    }

    fn text(id: &AckIdText) -> &str {
        std::str::from_utf8(id.as_bytes()).unwrap()
    }

    /// The callback of a delivery that wants to know its outcome.
    fn wanted() -> SettleCallback {
        SettleCallback::new(|_| {})
    }

    /// A table has room for at most twice its records. Before 1.2, a record has an id in a set that is half full.
    #[test]
    fn a_record_is_within_the_bytes_that_the_worst_case_of_a_session_counts() {
        let id = size_of::<(MessageId, SubscriptionKey, DeliveryTag)>();
        let record = size_of::<UnackedDelivery>();
        assert!(2 * record + id * 3 / 2 <= 160, "{record} and {id} bytes");
    }

    #[test]
    fn auto_mode_has_no_unacknowledged_deliveries() {
        assert!(SubscriptionUnacked::new(AckMode::Auto, 3).is_none());
    }

    #[test]
    fn a_cumulative_ack_covers_earlier_deliveries_that_are_not_staged() {
        let (_, mut unacked, [first, second, third]) = three(AckMode::Client);
        assert_eq!(unacked.covered_by(third)[..], [first, second, third]);
        unacked.set_staged(&[first], true);
        assert_eq!(unacked.is_staged(first), Some(true));
        assert_eq!(unacked.covered_by(second)[..], [second]);
    }

    #[test]
    fn a_delivery_whose_outcome_nobody_wants_is_recorded_only_to_cover_others() {
        for mode in [AckMode::Client, AckMode::ClientIndividual] {
            let mut session = SessionUnacked::new(SessionId::random(), 2);
            let mut unacked = SubscriptionUnacked::new(mode, 2).unwrap();
            let mut record = |on_settled| {
                let id = session.record(KEY, &mut unacked, MessageId::random(), on_settled);
                assert!(id.is_some(), "each delivery has an ack id");
                unacked.deliveries.len()
            };
            for _ in 0..10_000 {
                assert_eq!(record(SettleCallback::default()), 0);
            }
            assert_eq!(record(wanted()), 1);
            let covers = mode == AckMode::Client;
            assert_eq!(record(SettleCallback::default()), 1 + usize::from(covers));
        }
    }

    #[test]
    fn an_individual_ack_covers_one_delivery() {
        let (_, unacked, [_, second, _]) = three(AckMode::ClientIndividual);
        assert_eq!(unacked.covered_by(second)[..], [second]);
    }

    #[test]
    fn credit_returns_when_a_delivery_is_settled() {
        let (mut session, mut unacked, [first, ..]) = three(AckMode::Client);
        assert!(!unacked.has_credit(), "three deliveries");
        assert!(session.detach(KEY, &mut unacked, first, true).is_some());
        assert!(session.detach(KEY, &mut unacked, first, true).is_none());
        assert!(unacked.has_credit());
        assert_eq!(session.granted(), 3);
        session.abandon(KEY, unacked);
        assert_eq!(session.granted(), 0);
    }

    #[test]
    fn only_the_last_named_tags_are_remembered() {
        let (mut session, mut unacked, tags) = three(AckMode::Client);
        for tag in tags {
            assert!(session.detach(KEY, &mut unacked, tag, true).is_some());
        }
        assert_eq!(tags.map(|tag| session.was_named(tag)), [false, true, true]);
    }

    #[test]
    fn an_ack_id_that_was_not_issued_is_unknown() {
        let (mut session, mut unacked, [.., third]) = three(AckMode::Client);
        let next = session.ack_ids.text(KEY, third.successor());
        assert_eq!(session.parse_ack_id(text(&next)), None);
        let message = MessageId::random();
        let issued = session.record(KEY, &mut unacked, message, SettleCallback::default());
        assert_eq!(issued.as_ref().map(text), Some(text(&next)));
        let found = session.parse_ack_id(text(&next));
        assert_eq!(found, Some((KEY, third.successor())));
    }

    #[test]
    fn ten_thousand_ids_of_an_earlier_session_are_unknown_in_the_next() {
        let [mut earlier, mut later] =
            [(); 2].map(|()| SessionUnacked::new(SessionId::random(), 1));
        let [mut old, mut new] =
            [(); 2].map(|()| SubscriptionUnacked::new(AckMode::Client, 10_000).unwrap());
        for _ in 0..10_000 {
            let record = |session: &mut SessionUnacked, unacked| {
                session.record(KEY, unacked, MessageId::random(), wanted())
            };
            let id = record(&mut earlier, &mut old).unwrap();
            assert!(record(&mut later, &mut new).is_some());
            assert!(earlier.parse_ack_id(text(&id)).is_some());
            assert_eq!(later.parse_ack_id(text(&id)), None);
        }
    }
}
