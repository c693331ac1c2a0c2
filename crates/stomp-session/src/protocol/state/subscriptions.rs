//! The subscriptions of a session.

use super::unacked::SubscriptionUnacked;
use crate::{
    destination::{Destination, DestinationSyntax},
    id::SubscriptionKey,
    principal_share::SubscriptionPlace,
    protocol::message_head,
};
use bytes::Bytes;
use bytestring::ByteString;
use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    mem,
    sync::Arc,
};
use stomp_frame::{Frame, Version, header};

/// The active subscriptions of a session, and the names of those that ended most recently.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    /// Maximum number of active subscriptions, and maximum number of names of ended ones.
    max: usize,
    next_key: u64,
    /// Active subscriptions in the order of their keys.
    active: Vec<Subscription>,
    /// Keys of the active subscriptions to which the client has given an id, in the order of these ids. Before 1.2, each
    /// `ACK` looks up an id.
    keys: Vec<SubscriptionKey>,
    /// The subscriptions that ended most recently, the oldest first.
    ended: VecDeque<EndedSubscription>,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    key: SubscriptionKey,
    /// In STOMP 1.0 the id is optional. Without it, the destination names the subscription.
    pub(crate) id: Option<ByteString>,
    pub(crate) destination: Destination,
    /// True if the service has accepted it.
    pub(crate) is_accepted: bool,
    /// Encoded beginning of each `MESSAGE` to this subscription.
    prefix: Bytes,
    /// Unacknowledged deliveries; `None` with `ack:auto`.
    pub(crate) unacked: Option<SubscriptionUnacked>,
    /// True if a handle of the session has added the subscription, and not the peer. Its id is its destination.
    is_implicit: bool,
    /// The place among the subscriptions of the principal, if these are limited. A subscription may share it with the
    /// implicit one that it is about to replace.
    pub(crate) place: Option<Arc<SubscriptionPlace>>,
}

#[derive(Debug)]
struct EndedSubscription {
    name: ByteString,
    /// True if the server has ended the subscription. The peer may not know this yet, and may still unsubscribe.
    by_server: bool,
}

/// Result of a search for a subscription by its name.
pub(crate) enum Lookup {
    Active(SubscriptionKey),
    /// An implicit subscription, which gives way to a subscription of the client with this id.
    Implicit(SubscriptionKey),
    /// The server has ended the subscription. The client may still unsubscribe from it once.
    EndedByServer,
    EndedByPeer,
    Unknown,
}

/// The name by which a frame refers to a subscription.
pub(crate) enum SubscriptionName<'a> {
    Id(&'a str),
    Destination(&'a str),
}

/// Data of a subscription that its next `MESSAGE` needs.
pub(crate) struct Recipient<'a> {
    /// Encoded beginning of the `MESSAGE`.
    pub(crate) prefix: Cow<'a, [u8]>,
    pub(crate) unacked: Option<&'a mut SubscriptionUnacked>,
}

impl Subscriptions {
    pub(crate) fn new(max: usize) -> Subscriptions {
        Subscriptions {
            max,
            next_key: SubscriptionKey::MIN.0,
            active: Vec::new(),
            keys: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.active.len() >= self.max
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.active.len()
    }

    pub(crate) fn is_active(&self, key: SubscriptionKey) -> bool {
        self.position(key).is_some()
    }

    /// Notes that the service has accepted a subscription, if it is active.
    pub(crate) fn set_accepted(&mut self, key: SubscriptionKey) {
        let position = self.position(key);
        if let Some(subscription) = position.and_then(|at| self.active.get_mut(at)) {
            subscription.is_accepted = true;
        }
    }

    pub(crate) fn get(&self, key: SubscriptionKey) -> Option<&Subscription> {
        self.active.get(self.position(key)?)
    }

    /// Returns true if the session has had a subscription with this key.
    pub(crate) fn has_issued(&self, key: SubscriptionKey) -> bool {
        key < SubscriptionKey(self.next_key)
    }

    /// The key of the oldest active subscription.
    pub(crate) fn first(&self) -> Option<SubscriptionKey> {
        self.active.first().map(|subscription| subscription.key)
    }

    /// The unacknowledged deliveries of a subscription; `None` if it has ended, or has `ack:auto`.
    pub(crate) fn unacked_mut(&mut self, key: SubscriptionKey) -> Option<&mut SubscriptionUnacked> {
        let position = self.position(key)?;
        self.active.get_mut(position)?.unacked.as_mut()
    }

    /// Prepares a `MESSAGE` to a subscription. `destination` is the one to which the message was sent, if known.
    /// Returns `None` if the subscription has ended.
    ///
    /// The `MESSAGE` names this destination. If the peer has subscribed to exactly this destination, the `MESSAGE`
    /// names it as the `SUBSCRIBE` spelled it.
    pub(crate) fn recipient(
        &mut self,
        key: SubscriptionKey,
        destination: Option<&str>,
        syntax: &DestinationSyntax,
        version: Version,
    ) -> Option<Recipient<'_>> {
        let position = self.position(key)?;
        let Subscription {
            id,
            destination: subscribed,
            prefix,
            unacked,
            ..
        } = self.active.get_mut(position)?;
        let is_other = |sent_to: &&str| {
            // The prefix is needed anyway, so this mostly touches no other memory.
            !message_head::is_prefix_for(prefix, sent_to)
                && *sent_to != subscribed.as_str()
                && (subscribed.is_pattern() || syntax.canonical(sent_to) != subscribed.canonical())
        };
        // Not every version can encode these characters. Such destinations are too rare for a better solution.
        let is_encodable = |sent_to: &&str| !sent_to.contains(['\r', '\n', '\0']);
        let prefix = match destination.filter(is_other).filter(is_encodable) {
            None => Cow::Borrowed(&prefix[..]),
            Some(destination) => {
                Cow::Owned(message_head::encode_prefix(version, id.as_deref(), destination).into())
            }
        };
        Some(Recipient {
            prefix,
            unacked: unacked.as_mut(),
        })
    }

    pub(crate) fn find(&self, name: &SubscriptionName<'_>) -> Lookup {
        let is_named = |subscription: &&Subscription, destination: &str| {
            subscription.id.is_none() && subscription.destination.as_str() == destination
        };
        let active = match name {
            SubscriptionName::Id(id) => self
                .by_id(id)
                .ok()
                .and_then(|at| self.keys.get(at).copied()),
            SubscriptionName::Destination(destination) => self
                .active
                .iter()
                .find(|subscription| is_named(subscription, destination))
                .map(|subscription| subscription.key),
        };
        if let Some(key) = active {
            return Lookup::Active(key);
        }
        if let Some(implicit) = self.implicit().find(|implicit| implicit.has_id(name)) {
            return Lookup::Implicit(implicit.key);
        }
        match self.ended.iter().find(|ended| *ended.name == *name.text()) {
            Some(ended) if ended.by_server => Lookup::EndedByServer,
            Some(_) => Lookup::EndedByPeer,
            None => Lookup::Unknown,
        }
    }

    /// Adds a subscription. `version` is the STOMP version of the session.
    pub(crate) fn insert(
        &mut self,
        id: Option<ByteString>,
        destination: Destination,
        version: Version,
        unacked: Option<SubscriptionUnacked>,
        place: Option<Arc<SubscriptionPlace>>,
    ) -> SubscriptionKey {
        let at = id.as_deref().map(|id| self.by_id(id));
        let key = self.push(id, destination, version, unacked, place, false);
        if let Some(Ok(at) | Err(at)) = at {
            if self.keys.capacity() == 0 {
                self.keys.reserve_exact(1);
            }
            self.keys.insert(at, key);
        }
        key
    }

    /// Adds an implicit subscription. It has the mode `auto`, and its destination is its id.
    pub(crate) fn insert_implicit(
        &mut self,
        destination: Destination,
        version: Version,
        place: Option<Arc<SubscriptionPlace>>,
    ) -> SubscriptionKey {
        let id = ByteString::from(&destination);
        self.push(Some(id), destination, version, None, place, true)
    }

    fn push(
        &mut self,
        id: Option<ByteString>,
        destination: Destination,
        version: Version,
        unacked: Option<SubscriptionUnacked>,
        place: Option<Arc<SubscriptionPlace>>,
        is_implicit: bool,
    ) -> SubscriptionKey {
        let key = SubscriptionKey(self.next_key);
        self.next_key += 1;
        if self.active.capacity() == 0 {
            // Most sessions have only one, and without this there would be room for four.
            self.active.reserve_exact(1);
        }
        self.active.push(Subscription {
            key,
            prefix: message_head::encode_prefix(version, id.as_deref(), destination.as_str()),
            id,
            destination,
            is_accepted: false,
            unacked,
            is_implicit,
            place,
        });
        key
    }

    /// Gives back the places of all subscriptions, because the end of the session has begun.
    pub(crate) fn give_back_places(&mut self) {
        for subscription in &mut self.active {
            subscription.place = None;
        }
    }

    /// Returns true if there is a subscription to the destination with this canonical text.
    pub(crate) fn has_destination(&self, canonical: &str) -> bool {
        let mut destinations = self.active.iter().map(|known| &known.destination);
        destinations.any(|destination| destination.canonical() == canonical)
    }

    /// The implicit subscription that ends if the client subscribes under this name, or to the destination with this
    /// canonical text.
    pub(crate) fn implicit_for(
        &self,
        name: &SubscriptionName<'_>,
        canonical: &str,
    ) -> Option<SubscriptionKey> {
        let gives_way = |implicit: &&Subscription| {
            implicit.has_id(name) || implicit.destination.canonical() == canonical
        };
        let found = self.implicit().find(gives_way);
        found.map(|implicit| implicit.key)
    }

    fn implicit(&self) -> impl Iterator<Item = &Subscription> {
        self.active.iter().filter(|known| known.is_implicit)
    }

    /// Removes a subscription and remembers its name.
    pub(crate) fn remove(&mut self, key: SubscriptionKey, by_server: bool) -> Option<Subscription> {
        self.keys.retain(|known| *known != key);
        let subscription = self.active.remove(self.position(key)?);
        self.remember_ended(subscription.name(), by_server);
        Some(subscription)
    }

    /// Removes all subscriptions on behalf of the server, and remembers their names. Returns them with their keys, the
    /// oldest first.
    ///
    /// To remove them one by one would take quadratic time.
    pub(crate) fn remove_all(
        &mut self,
    ) -> impl Iterator<Item = (SubscriptionKey, Subscription)> + use<> {
        self.keys.clear();
        let removed = mem::take(&mut self.active);
        if !self.ended.is_empty() {
            let names: BTreeSet<_> = removed.iter().map(Subscription::name).collect();
            self.ended.retain(|ended| !names.contains(&ended.name));
        }
        // The active subscriptions have different names, and are not more than `max`.
        self.ended
            .extend(removed.iter().map(|subscription| EndedSubscription {
                name: subscription.name(),
                by_server: true,
            }));
        self.ended
            .drain(..self.ended.len().saturating_sub(self.max));
        removed
            .into_iter()
            .map(|subscription| (subscription.key, subscription))
    }

    /// Remembers the name of a subscription that has ended.
    pub(crate) fn remember_ended(&mut self, name: ByteString, by_server: bool) {
        self.ended.retain(|ended| ended.name != name);
        if self.ended.len() >= self.max {
            self.ended.pop_front();
        }
        self.ended.push_back(EndedSubscription { name, by_server });
    }

    /// Finds the place of an id in `keys`: the place where it is, or the place where it belongs.
    fn by_id(&self, id: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|key| {
            let known = self.get(*key).and_then(|known| known.id.as_deref());
            known.cmp(&Some(id))
        })
    }

    fn position(&self, key: SubscriptionKey) -> Option<usize> {
        self.active
            .binary_search_by_key(&key, |subscription| subscription.key)
            .ok()
    }
}

impl Subscription {
    /// The name that the peer uses for the subscription: its id, or its destination if it has no id.
    fn name(&self) -> ByteString {
        self.id
            .clone()
            .unwrap_or_else(|| ByteString::from(&self.destination))
    }

    fn has_id(&self, name: &SubscriptionName<'_>) -> bool {
        self.id.as_deref() == Some(name.text())
    }
}

impl<'a> SubscriptionName<'a> {
    pub(crate) fn text(&self) -> &'a str {
        match self {
            SubscriptionName::Id(text) | SubscriptionName::Destination(text) => text,
        }
    }
}

impl<'a> From<&'a Frame> for SubscriptionName<'a> {
    /// Reads the name of the subscription from a `SUBSCRIBE` or `UNSUBSCRIBE`.
    fn from(frame: &'a Frame) -> SubscriptionName<'a> {
        match frame.headers.get(header::ID) {
            Some(id) => SubscriptionName::Id(id),
            None => SubscriptionName::Destination(
                frame.headers.get(header::DESTINATION).unwrap_or_default(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command_queue::CommandQueue, destination::PrefixSyntax};

    fn insert(subscriptions: &mut Subscriptions, id: &'static str) -> SubscriptionKey {
        let id = Some(ByteString::from_static(id));
        let destination = Destination::opaque("/a");
        subscriptions.insert(id, destination, Version::V1_2, None, None)
    }

    fn find(subscriptions: &Subscriptions, id: &str) -> Lookup {
        subscriptions.find(&SubscriptionName::Id(id))
    }

    /// Vectors have room for at most twice their elements.
    #[test]
    fn the_records_of_a_subscription_fit_into_the_bytes_that_the_worst_case_counts() {
        let in_vectors = size_of::<Subscription>()
            + size_of::<SubscriptionKey>()
            + size_of::<EndedSubscription>()
            + CommandQueue::SUBSCRIPTION_BYTES;
        let prefix = message_head::encode_prefix(Version::V1_2, Some(""), "").len();
        let bytes = 2 * in_vectors + Destination::RECORD_BYTES + prefix;
        assert!(bytes <= 768, "{bytes}");
    }

    #[test]
    fn a_search_tells_which_side_ended_a_subscription() {
        let mut subscriptions = Subscriptions::new(2);
        let [first, second] = ["0", "1"].map(|id| insert(&mut subscriptions, id));
        assert!(subscriptions.is_full());
        assert!(subscriptions.remove(first, true).is_some());
        assert!(subscriptions.remove(second, false).is_some());
        assert!(subscriptions.remove(second, false).is_none());
        assert!(matches!(find(&subscriptions, "0"), Lookup::EndedByServer));
        assert!(matches!(find(&subscriptions, "1"), Lookup::EndedByPeer));
        assert!(matches!(find(&subscriptions, "2"), Lookup::Unknown));
    }

    #[test]
    fn the_oldest_ended_subscription_is_forgotten_first() {
        let mut subscriptions = Subscriptions::new(2);
        for id in ["0", "1", "2"] {
            let key = insert(&mut subscriptions, id);
            assert!(subscriptions.remove(key, true).is_some());
        }
        assert!(matches!(find(&subscriptions, "0"), Lookup::Unknown));
        assert!(matches!(find(&subscriptions, "1"), Lookup::EndedByServer));
    }

    #[test]
    fn all_subscriptions_end_in_the_order_of_their_keys_and_their_names_stay_known() {
        let mut subscriptions = Subscriptions::new(3);
        for id in ["a", "b"] {
            let key = insert(&mut subscriptions, id);
            subscriptions.remove(key, false);
        }
        let keys = ["c", "b", "d"].map(|id| insert(&mut subscriptions, id));
        let removed = subscriptions.remove_all().map(|(key, _)| key);
        assert_eq!(removed.collect::<Vec<_>>(), keys);
        assert!(subscriptions.first().is_none());
        for id in ["b", "c", "d"] {
            assert!(matches!(find(&subscriptions, id), Lookup::EndedByServer));
        }
        assert!(matches!(find(&subscriptions, "a"), Lookup::Unknown));
        insert(&mut subscriptions, "d");
        assert!(matches!(find(&subscriptions, "d"), Lookup::Active(_)));
    }

    #[test]
    fn a_subscription_with_a_reused_id_has_a_new_key() {
        let mut subscriptions = Subscriptions::new(2);
        let first = insert(&mut subscriptions, "0");
        assert!(subscriptions.remove(first, true).is_some());
        let second = insert(&mut subscriptions, "0");
        assert_ne!(first, second);
        assert!(matches!(find(&subscriptions, "0"), Lookup::Active(key) if key == second));
        assert!(!subscriptions.is_active(first));
    }

    #[test]
    fn a_message_with_its_own_destination_names_that_one() {
        let mut subscriptions = Subscriptions::new(1);
        let key = insert(&mut subscriptions, "0");
        let syntax = DestinationSyntax::default();
        let mut prefix = |destination| {
            let recipient = subscriptions.recipient(key, destination, &syntax, Version::V1_2);
            recipient.map(|recipient| String::from_utf8(recipient.prefix.into_owned()).unwrap())
        };
        let own = prefix(None).unwrap();
        assert!(own.contains("destination:/a\n"), "{own}");
        assert_eq!(prefix(Some("/a")), Some(own));
        let other = prefix(Some("/b")).unwrap();
        assert!(other.contains("destination:/b\n"), "{other}");
    }

    #[test]
    fn a_message_names_an_exact_destination_as_the_subscriber_spelled_it() {
        let syntax = DestinationSyntax::default()
            .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns());
        let mut subscriptions = Subscriptions::new(2);
        let mut prefix = |subscribed: &'static str, sent_to| {
            let destination = syntax.parse(subscribed).unwrap();
            let key = subscriptions.insert(None, destination, Version::V1_2, None, None);
            let recipient = subscriptions.recipient(key, Some(sent_to), &syntax, Version::V1_2);
            String::from_utf8(recipient.unwrap().prefix.into_owned()).unwrap()
        };
        for (subscribed, sent_to, shown) in [
            ("/topic/a.b", "/topic/a/b", "/topic/a.b"),
            ("/topic/a/b", "/topic/a.b", "/topic/a/b"),
            ("/topic/*.b", "/topic/a/b", "/topic/a/b"),
            ("/topic/a", "/topic/b.c", "/topic/b.c"),
        ] {
            let prefix = prefix(subscribed, sent_to);
            let header = format!("destination:{shown}\n");
            assert!(prefix.contains(&header), "{prefix}");
        }
    }
}
