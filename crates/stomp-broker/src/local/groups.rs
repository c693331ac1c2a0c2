//! The subscribers of all topics and patterns.

use super::{
    fan_out::{Chunk, FanOut, Subscriber},
    group::{Group, SubscriberKey},
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
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use stomp_session::{ClientError, Mailbox, Message, Principal};
use tokio::time::Instant;

/// All topics and patterns with local subscribers, and the retained messages. Clones share them.
///
/// The subscribers of one topic or pattern form a group. Different patterns have different groups, even if both match a
/// topic, such as `a.>` and `*.b`.
///
/// No lock is held while a message is pushed to a mailbox or a task is woken.
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
}

#[derive(Default)]
struct State {
    /// The groups by owner, then by pattern. The owner is `None` for topics that all clients share.
    groups: BTreeMap<Option<Principal>, Trie<Group>>,
    group_count: usize,
    retained: RetainedMessages,
    next_id: u64,
    is_closed: bool,
}

impl Groups {
    /// Creates an empty set of groups.
    #[must_use]
    pub fn new(limits: GroupLimits) -> Groups {
        Groups(Arc::new(Shared {
            limits,
            state: RwLock::default(),
        }))
    }

    /// Adds a subscriber to the group of a topic or pattern. Returns its stream, and true if it is the first of the
    /// group. The stream begins with the matching retained messages.
    ///
    /// # Errors
    ///
    /// Returns `too-many-destinations` if there are too many groups, or `engine-unavailable` after [`Groups::close`].
    pub fn join(&self, pattern: &Address) -> Result<(GroupStream, bool), ClientError> {
        let (mailbox, messages) = Mailbox::new(self.0.limits.mailbox);
        let mut state = self.write();
        if state.is_closed {
            return Err(shut_down_error());
        }
        let (key, is_first) =
            state.add_subscriber(pattern, mailbox, self.0.limits.max_destinations)?;
        let retained = state.retained.matching(pattern);
        drop(state);
        let stream = GroupStream::new(self.clone(), pattern.clone(), key, retained, messages);
        Ok((stream, is_first))
    }

    /// Removes a subscriber from the group of a pattern. Returns true if it was the last of the group.
    pub(super) fn leave(&self, pattern: &Address, key: SubscriberKey) -> bool {
        let removed = self.write().remove_subscriber(pattern, key);
        removed.is_some_and(|(_, is_last)| is_last)
    }

    /// Begins to publish a message to all groups that match a topic. Also sets or removes the retained message.
    ///
    /// The subscribers get the message when the fan-out is polled or dropped. The expiry of the message concerns only
    /// the retained one: the caller checks it before. Nothing is retained if
    /// [`GroupLimits::max_retained_messages`] is 0.
    ///
    /// # Errors
    ///
    /// `engine-unavailable` after [`Groups::close`].
    pub fn publish(&self, to: &Address, publication: Publication) -> Result<FanOut, ClientError> {
        let Publication {
            message,
            retain,
            expires,
            ..
        } = publication;
        let (chunks, forgotten) =
            if retain == Retain::Nothing || self.0.limits.max_retained_messages == 0 {
                let state = self.read();
                state.check_open()?;
                (state.chunks_for(to), Forgotten::new())
            } else {
                let expires_at = expires.and_then(deadline);
                let mut state = self.write();
                state.check_open()?;
                // Both happen under one lock. So a new subscriber gets the message exactly once: either as the retained
                // message, or because it is in the list.
                let forgotten = state.retain(to, &message, retain, expires_at, &self.0.limits);
                (state.chunks_for(to), forgotten)
            };
        let fan_out = FanOut::new(message, chunks);
        // This may panic, which drops the fan-out, and so completes it.
        drop(forgotten);
        Ok(fan_out)
    }

    /// Begins to push a message to the group of exactly this pattern, and to no other group. It is for an engine whose
    /// system delivers a message once for each subscribed pattern. It retains nothing. If there is no such group, the
    /// fan-out is empty.
    ///
    /// The message must name its destination: see [`Message::with_destination`].
    pub fn push(&self, pattern: &Address, message: Message) -> FanOut {
        let state = self.read();
        let chunks = state.group(pattern).map_or_else(SmallVec::new, |group| {
            group.published.add(1);
            group.chunks().cloned().collect()
        });
        FanOut::new(message, chunks)
    }

    /// Marks a gap for all subscribers in the group of a pattern. The next message that each of them gets is marked as
    /// [`Gap::Unknown`](stomp_session::Gap::Unknown).
    pub fn mark_gap(&self, pattern: &Address) {
        let state = self.read();
        let chunks = state.group(pattern).map(|group| group.chunks());
        // This wakes no task, because a gap is reported only with the next message.
        for subscriber in chunks.into_iter().flatten().flat_map(|chunk| chunk.iter()) {
            subscriber.mailbox.mark_gap();
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
                subscribers: group.chunks().map(|chunk| chunk.len()).sum(),
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
        // Dropping mailboxes wakes tasks, so it happens without the lock.
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

    /// Returns the subscribers of all patterns that match a topic, in chunks. Counts one more published message for
    /// each of these patterns.
    fn chunks_for(&self, to: &Address) -> SmallVec<[Chunk; 2]> {
        let mut chunks = SmallVec::new();
        // A `BTreeMap` with `Option<Principal>` as keys cannot be queried by `Option<&Principal>`. Cloning is cheap:
        // most topics have no principal.
        if let Some(trie) = self.groups.get(&to.principal().cloned()) {
            trie.for_each_match(to.path(), &mut |group| {
                group.published.add(1);
                chunks.extend(group.chunks().cloned());
            });
        }
        chunks
    }

    fn group(&self, pattern: &Address) -> Option<&Group> {
        let trie = self.groups.get(&pattern.principal().cloned())?;
        trie.get(pattern.path())
    }

    /// Adds a subscriber to the group of a topic or pattern. Creates the group if it does not exist. Returns the place
    /// of the subscriber, and true if the group was created.
    fn add_subscriber(
        &mut self,
        to: &Address,
        mailbox: Mailbox,
        max_groups: usize,
    ) -> Result<(SubscriberKey, bool), ClientError> {
        let owner = to.principal().cloned();
        let known = self
            .groups
            .get_mut(&owner)
            .and_then(|trie| trie.get_mut(to.path()));
        let is_first = known.is_none();
        if is_first {
            if self.group_count >= max_groups {
                let text = format!(
                    "The broker already has subscriptions to {max_groups} different topics and patterns, its limit \
                     (max_destinations)."
                );
                return Err(ClientError::new("too-many-destinations", text));
            }
            self.group_count += 1;
            self.groups
                .entry(owner.clone())
                .or_default()
                .insert(to.path(), Group::new(to.clone()));
        }
        let id = self.next_id;
        self.next_id += 1;
        let group = self
            .groups
            .get_mut(&owner)
            .and_then(|trie| trie.get_mut(to.path()));
        let subscriber = Subscriber {
            id,
            mailbox: Arc::new(mailbox),
        };
        let key = group.map_or(SubscriberKey { chunk: 0, id }, |group| {
            group.add(subscriber)
        });
        Ok((key, is_first))
    }

    /// Removes a subscriber, and its group if it was the last there. Returns the chunk that held the subscriber, and
    /// true if the group was removed. The caller drops the chunk after it has released the lock, since this may wake a
    /// task.
    fn remove_subscriber(
        &mut self,
        pattern: &Address,
        key: SubscriberKey,
    ) -> Option<(Chunk, bool)> {
        let owner = pattern.principal().cloned();
        let trie = self.groups.get_mut(&owner)?;
        let group = trie.get_mut(pattern.path())?;
        let replaced = group.remove(key)?;
        let is_last = group.is_empty();
        if is_last {
            trie.remove(pattern.path());
            self.group_count -= 1;
            if trie.is_empty() {
                self.groups.remove(&owner);
            }
        }
        Some((replaced, is_last))
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
