//! The subscribers of all topics and patterns.

use super::{
    group::Group,
    limits::GroupLimits,
    retained::{Forgotten, RetainedMessages},
    stream::GroupStream,
    trie::Trie,
};
use crate::{
    Address, DestinationStatistics, Publication, Retain, deadline::deadline,
    engine::shut_down_error,
};
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use stomp_session::{ClientError, Message, Principal, Published, Subscriber};
use tokio::time::Instant;

/// All topics and patterns with local subscribers, and the retained messages. Clones share them.
///
/// The subscribers of one topic or pattern form a group. Different patterns have different groups, even if both match a
/// topic, such as `a.>` and `*.b`. Each group has a [`Hub`](stomp_session::Hub).
///
/// All subscribers of a topic, and its retained message, see the messages to it in the same order, also if several
/// publishers publish at the same time. No lock is held while a task is woken.
///
/// # Joining and leaving at the same time
///
/// [`Groups::join`] and [`GroupStream::leave`] return true for the first and for the last subscriber of a group. Then
/// an engine begins or ends a subscription in its external system. If one task leaves as the last, and another joins as
/// the first, their calls to the system may be in the wrong order.
///
/// The engine must keep them in order. It can hold a lock of its own during each call and its report to the system. Or
/// it waits a moment after the last subscriber has left, and then asks [`Groups::has_members`]. This also avoids ending
/// a subscription that begins again at once.
#[derive(Clone)]
pub struct Groups(Arc<Shared>);

struct Shared {
    limits: GroupLimits,
    state: RwLock<State>,
    /// Locked while a message is added to several groups, so that they all have the same order.
    order: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The groups by owner, then by pattern. The owner is `None` for topics that all clients share.
    groups: BTreeMap<Option<Principal>, Trie<Group>>,
    group_count: usize,
    retained: RetainedMessages,
    is_closed: bool,
}

impl Groups {
    /// Creates an empty set of groups.
    #[must_use]
    pub fn new(limits: GroupLimits) -> Groups {
        Groups(Arc::new(Shared {
            limits,
            state: RwLock::default(),
            order: Mutex::default(),
        }))
    }

    /// Adds a subscriber to the group of a topic or pattern. Returns its stream, and true if it is the first of the
    /// group. The stream begins with the matching retained messages.
    ///
    /// # Errors
    ///
    /// Returns `too-many-destinations` if there are too many groups, or `engine-unavailable` after [`Groups::close`].
    pub fn join(&self, pattern: &Address) -> Result<(GroupStream, bool), ClientError> {
        let mut state = self.write();
        if state.is_closed {
            return Err(shut_down_error());
        }
        let (subscriber, is_first) = state.add_subscriber(pattern, &self.0.limits)?;
        drop(state);
        let stream = GroupStream::new(self.clone(), pattern.clone(), subscriber);
        Ok((stream, is_first))
    }

    /// Removes the group of a pattern, if it has no subscribers. Returns true if it had none.
    pub(super) fn remove_if_empty(&self, pattern: &Address) -> bool {
        // Most subscribers leave others behind, and need not stop the publishers of all topics for this.
        let is_empty = |group: &Group| group.hub.members() == 0;
        if !self.read().group(pattern).is_some_and(is_empty) {
            return false;
        }
        let removed = self.write().remove_if_empty(pattern);
        removed.is_some()
    }

    /// Publishes a message to all groups that match a topic. Also sets or removes the retained message.
    ///
    /// The message is taken when this returns, and delivered when the result is started, awaited or dropped. Awaiting it
    /// waits until the groups have room for further messages.
    ///
    /// The expiry of the message concerns only the retained one: the caller checks it before. Nothing is retained if
    /// [`GroupLimits::max_retained_messages`] is 0.
    ///
    /// # Errors
    ///
    /// `engine-unavailable` after [`Groups::close`].
    pub fn publish(
        &self,
        to: &Address,
        publication: Publication,
    ) -> Result<Published, ClientError> {
        let Publication {
            message,
            retain,
            expires,
            ..
        } = publication;
        let mut published = Published::new();
        let forgotten = if retain == Retain::Nothing || self.0.limits.max_retained_messages == 0 {
            let state = self.read();
            state.check_open()?;
            state.append(to, &message, &self.0.order, &mut published);
            Forgotten::new()
        } else {
            let expires_at = expires.and_then(deadline);
            let mut state = self.write();
            state.check_open()?;
            // Both happen under one lock. So a new subscriber gets the message exactly once: either as the retained
            // message, or because it was added before.
            let forgotten = state.retain(to, &message, retain, expires_at, &self.0.limits);
            state.append(to, &message, &self.0.order, &mut published);
            forgotten
        };
        // This may panic, which drops `published`, and so delivers the message.
        drop(forgotten);
        Ok(published)
    }

    /// Publishes a message to the group of exactly this pattern, and to no other group. It is for an engine whose
    /// system delivers a message once for each subscribed pattern. It retains nothing. If there is no such group, the
    /// result is ready.
    ///
    /// The message must name its destination: see [`Message::with_destination`].
    pub fn push(&self, pattern: &Address, message: Message) -> Published {
        let mut published = Published::new();
        if let Some(group) = self.read().group(pattern) {
            group.published.add(1);
            group.hub.append(message, &mut published);
        }
        published
    }

    /// Returns true if a group matches a topic, or after [`Groups::close`].
    pub(crate) fn is_heard(&self, to: &Address) -> bool {
        let state = self.read();
        let mut is_heard = state.is_closed;
        if let Some(trie) = state.groups.get(&to.principal().cloned()) {
            trie.for_each_match(to.path(), &mut |_| is_heard = true);
        }
        is_heard
    }

    /// Marks a gap for all subscribers in the group of a pattern. The next message that each of them gets is marked as
    /// [`Gap::Unknown`](stomp_session::Gap::Unknown).
    pub fn mark_gap(&self, pattern: &Address) {
        let hub = self.read().group(pattern).map(|group| group.hub.clone());
        if let Some(hub) = hub {
            hub.mark_gap();
        }
    }

    /// Returns true if the group of a pattern has subscribers.
    #[must_use]
    pub fn has_members(&self, pattern: &Address) -> bool {
        self.read().group(pattern).is_some()
    }

    /// Returns the number of subscribers and of published messages of each group.
    #[must_use]
    pub fn statistics(&self) -> Vec<DestinationStatistics> {
        let mut destinations = Vec::new();
        let mut add = |group: &Group| {
            destinations.push(DestinationStatistics {
                subscribers: group.hub.members(),
                published: group.published.get(),
                ..DestinationStatistics::new(group.pattern.clone())
            });
        };
        self.read()
            .groups
            .values()
            .for_each(|trie| trie.for_each(&mut add));
        destinations
    }

    /// Removes all groups and retained messages. A stream ends after the messages that already wait in it. Later calls
    /// of [`join`](Groups::join) and [`publish`](Groups::publish) fail with `engine-unavailable`.
    pub fn close(&self) {
        let closed = State {
            is_closed: true,
            ..State::default()
        };
        let state = mem::replace(&mut *self.write(), closed);
        // This wakes tasks, so it happens without the lock.
        for trie in state.groups.values() {
            trie.for_each(&mut |group| group.hub.close());
        }
        drop(state);
    }

    /// Returns the error `engine-unavailable` after [`Groups::close`].
    pub(crate) fn check_open(&self) -> Result<(), ClientError> {
        self.read().check_open()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl State {
    fn check_open(&self) -> Result<(), ClientError> {
        if self.is_closed {
            Err(shut_down_error())
        } else {
            Ok(())
        }
    }

    /// Sets or removes the retained message of a topic, or does nothing, as `retain` says. Returns the messages that are
    /// no longer retained.
    fn retain(
        &mut self,
        topic: &Address,
        message: &Message,
        retain: Retain,
        expires_at: Option<Instant>,
        limits: &GroupLimits,
    ) -> Forgotten {
        match retain {
            Retain::Nothing => Forgotten::new(),
            Retain::Remove => self.retained.remove(topic).into_iter().collect(),
            Retain::Set => self.retained.set(
                topic,
                message.clone(),
                expires_at,
                limits.max_retained_messages,
                limits.max_retained_bytes,
            ),
        }
    }

    /// Adds a message to the groups of all patterns that match a topic. Counts one more published message for each of
    /// these patterns.
    fn append(
        &self,
        to: &Address,
        message: &Message,
        order: &Mutex<()>,
        published: &mut Published,
    ) {
        let mut groups = SmallVec::<[&Group; 4]>::new();
        // A `BTreeMap` with `Option<Principal>` as keys cannot be queried by `Option<&Principal>`. Cloning is cheap:
        // most topics have no principal.
        if let Some(trie) = self.groups.get(&to.principal().cloned()) {
            trie.for_each_match(to.path(), &mut |group| groups.push(group));
        }
        // Each group has an order of its own.
        let _ordered = (groups.len() > 1).then(|| order.lock());
        for group in groups {
            group.published.add(1);
            group.hub.append(message.clone(), published);
        }
    }

    fn group(&self, pattern: &Address) -> Option<&Group> {
        let trie = self.groups.get(&pattern.principal().cloned())?;
        trie.get(pattern.path())
    }

    /// Adds a subscriber to the group of a topic or pattern, beginning with the retained messages. Creates the group if
    /// it does not exist. Returns true with it if the group was created.
    fn add_subscriber(
        &mut self,
        to: &Address,
        limits: &GroupLimits,
    ) -> Result<(Subscriber, bool), ClientError> {
        let retained = self.retained.matching(to);
        if let Some(group) = self.group(to) {
            return Ok((group.hub.subscribe(retained), false));
        }
        let max_groups = limits.max_destinations;
        if self.group_count >= max_groups {
            let text = format!(
                "The broker already has subscriptions to {max_groups} different topics and patterns, its limit \
                 (max_destinations)."
            );
            return Err(ClientError::new("too-many-destinations", text));
        }
        let group = Group::new(to.clone(), limits);
        let subscriber = group.hub.subscribe(retained);
        self.group_count += 1;
        self.groups
            .entry(to.principal().cloned())
            .or_default()
            .insert(to.path(), group);
        Ok((subscriber, true))
    }

    /// Removes a group without subscribers, and returns it.
    fn remove_if_empty(&mut self, pattern: &Address) -> Option<Group> {
        let owner = pattern.principal().cloned();
        let trie = self.groups.get_mut(&owner)?;
        if trie.get(pattern.path())?.hub.members() > 0 {
            return None;
        }
        let group = trie.remove(pattern.path());
        self.group_count -= 1;
        if trie.is_empty() {
            self.groups.remove(&owner);
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    fn groups() -> Groups {
        Groups::new(GroupLimits::default())
    }

    /// The bodies of the messages that a subscriber has, with a `!` before those after a gap.
    fn drain(stream: &mut GroupStream) -> Vec<String> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten())
            .map(|item| {
                let delivery = item.unwrap();
                let gap = if delivery.gap().is_some() { "!" } else { "" };
                format!("{gap}{}", String::from_utf8_lossy(delivery.body()))
            })
            .collect()
    }

    #[test]
    fn the_first_to_join_and_the_last_to_leave_are_told() {
        let groups = groups();
        let [exact, pattern] = [Address::topic("a.b"), Address::topic("a.>")];
        let (one, is_first) = groups.join(&exact).unwrap();
        assert!(is_first);
        let (two, is_first) = groups.join(&Address::topic("a/b")).unwrap();
        assert!(!is_first, "both spellings are the same group");
        let (other, is_first) = groups.join(&pattern).unwrap();
        assert!(is_first, "a pattern is a group of its own");
        let of_ann = Address::user(Principal::new("ann"), "a.b");
        assert!(groups.join(&of_ann).unwrap().1);
        assert!(!one.leave());
        assert!(groups.has_members(&exact));
        assert!(two.leave());
        assert!(!groups.has_members(&exact) && groups.has_members(&pattern));
        assert!(groups.join(&exact).unwrap().1, "the group was gone");
        drop(other);
        assert!(
            !groups.has_members(&pattern),
            "dropping a stream leaves too"
        );
        assert!(groups.statistics().is_empty());
    }

    #[test]
    fn a_push_reaches_one_group_and_a_publication_all_that_match() {
        let groups = groups();
        let [exact, pattern] = [Address::topic("a.b"), Address::topic("a.*")];
        let (mut of_exact, _) = groups.join(&exact).unwrap();
        let (mut of_pattern, _) = groups.join(&pattern).unwrap();
        drop(groups.push(&pattern, Message::new("1")));
        assert_eq!(drain(&mut of_pattern), ["1"]);
        assert!(drain(&mut of_exact).is_empty());
        let published = groups.publish(&exact, Publication::new(Message::new("2")));
        assert_eq!(published.unwrap().recipients(), 2);
        assert_eq!(drain(&mut of_pattern), ["2"]);
        assert_eq!(drain(&mut of_exact), ["2"]);
        let nobody = groups.push(&Address::topic("c"), Message::new("3"));
        assert_eq!(nobody.recipients(), 0);
    }

    #[test]
    fn a_gap_is_marked_for_all_subscribers_of_one_group() {
        let groups = groups();
        let [exact, pattern] = [Address::topic("a"), Address::topic("*")];
        let mut of_exact = [(); 2].map(|()| groups.join(&exact).unwrap().0);
        let (mut of_pattern, _) = groups.join(&pattern).unwrap();
        groups.mark_gap(&exact);
        for body in ["1", "2"] {
            drop(groups.publish(&exact, Publication::new(Message::new(body))));
        }
        for stream in &mut of_exact {
            assert_eq!(drain(stream), ["!1", "2"]);
        }
        assert_eq!(drain(&mut of_pattern), ["1", "2"]);
    }

    #[test]
    fn closing_ends_all_streams_after_their_messages() {
        let groups = groups();
        let topic = Address::topic("a");
        let (mut stream, _) = groups.join(&topic).unwrap();
        let publication = || Publication::new(Message::new("1"));
        drop(groups.publish(&topic, publication()));
        groups.close();
        assert!(groups.publish(&topic, publication()).is_err());
        assert!(groups.join(&topic).is_err());
        assert_eq!(drain(&mut stream), ["1"]);
        assert!(stream.next().now_or_never().unwrap().is_none());
        assert!(!stream.leave(), "closing has removed the group already");
    }
}
