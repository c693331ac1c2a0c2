//! The subscribers of all topics and patterns.

use super::{
    fan_out::{CHUNK_SIZE, Chunk, FanOut, Subscriber},
    retained::{RetainAction, RetainedMessages},
    trie::Trie,
};
use crate::{
    Address, DestinationStatistics, Statistics,
    counters::{Counter, Counters},
};
use futures_core::Stream;
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    task::{Context, Poll},
    vec,
};
use stomp_session::{
    BoxError, ClientError, Delivery, Mailbox, MailboxConfig, Message, Messages, Principal,
};

/// The bounds of [`Topics`]. Each is the field of [`Config`](crate::Config) with the same name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopicLimits {
    pub(crate) mailbox: MailboxConfig,
    pub(crate) max_destinations: usize,
    pub(crate) max_retained_messages: usize,
    pub(crate) max_retained_bytes: usize,
}

/// All topics and patterns with subscribers, and the retained messages. Clones share them.
#[derive(Clone)]
pub(crate) struct Topics(Arc<Shared>);

struct Shared {
    limits: TopicLimits,
    counters: Arc<Counters>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// The groups by owner, then by pattern. `None` owns the topics that all clients share.
    groups: BTreeMap<Option<Principal>, Trie<Group>>,
    group_count: usize,
    retained: RetainedMessages,
    next_id: u64,
}

/// All subscribers of one topic or pattern.
struct Group {
    /// The destination as its first subscriber wrote it.
    pattern: Address,
    /// The chunks by number. A subscriber stays in its chunk, so that leaving it needs no search of the others.
    chunks: BTreeMap<u64, Chunk>,
    published: Counter,
}

/// The place of a subscriber in its group.
#[derive(Clone, Copy)]
struct SubscriberKey {
    chunk: u64,
    id: u64,
}

impl Topics {
    pub(crate) fn new(limits: TopicLimits, counters: Arc<Counters>) -> Topics {
        Topics(Arc::new(Shared {
            limits,
            counters,
            state: RwLock::default(),
        }))
    }

    /// Begins to publish a message: takes the list of its subscribers, and retains it if its header asks for that.
    ///
    /// The subscribers get the message when the fan-out is polled or dropped.
    pub(crate) fn publish(&self, to: &Address, message: Message) -> FanOut {
        let TopicLimits {
            max_retained_messages,
            max_retained_bytes,
            ..
        } = self.0.limits;
        let action = if max_retained_messages > 0 {
            RetainAction::from_headers(&message)
        } else {
            RetainAction::Keep
        };
        let chunks = if action == RetainAction::Keep {
            self.read().chunks_for(to)
        } else {
            // One critical section for both, so that a new subscriber gets the message exactly once: either as the
            // retained message or as a member of the list.
            let mut state = self.write();
            match action {
                RetainAction::Set => state.retained.set(
                    to,
                    message.clone(),
                    max_retained_messages,
                    max_retained_bytes,
                ),
                _ => state.retained.remove(to),
            }
            state.chunks_for(to)
        };
        let fan_out = FanOut::new(message, chunks);
        self.0.counters.published.add(1);
        self.0.counters.delivered.add(fan_out.subscriber_count());
        fan_out
    }

    /// Adds a subscriber. Its stream begins with the retained messages that match.
    pub(crate) fn subscribe(&self, to: &Address) -> Result<TopicStream, ClientError> {
        let (mailbox, messages) = Mailbox::new(self.0.limits.mailbox);
        let mut state = self.write();
        let key = state.add_subscriber(to, mailbox, self.0.limits.max_destinations)?;
        let retained = state.retained.matching(to).into_iter();
        drop(state);
        Ok(TopicStream {
            retained,
            messages,
            topics: self.clone(),
            pattern: to.clone(),
            key,
        })
    }

    /// Adds all groups to `statistics`.
    pub(crate) fn add_statistics(&self, statistics: &mut Statistics) {
        let state = self.read();
        let mut add = |group: &Group| {
            statistics.destinations.push(DestinationStatistics {
                subscribers: group.chunks.values().map(|chunk| chunk.len()).sum(),
                published: group.published.get(),
                ..DestinationStatistics::new(group.pattern.clone())
            });
        };
        state
            .groups
            .values()
            .for_each(|trie| trie.for_each(&mut add));
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The subscribers of all patterns that match a topic. Counts the message in each matching group.
    fn chunks_for(&self, to: &Address) -> SmallVec<[Chunk; 2]> {
        let mut chunks = SmallVec::new();
        // A `BTreeMap` with `Option<Principal>` as keys cannot be queried by `Option<&Principal>`. Cloning is cheap:
        // most topics have no principal.
        if let Some(trie) = self.groups.get(&to.principal().cloned()) {
            trie.for_each_match(to.path(), &mut |group| {
                group.published.add(1);
                chunks.extend(group.chunks.values().cloned());
            });
        }
        chunks
    }

    /// Adds a subscriber to the group of a pattern, which is created if there is none.
    fn add_subscriber(
        &mut self,
        to: &Address,
        mailbox: Mailbox,
        max_groups: usize,
    ) -> Result<SubscriberKey, ClientError> {
        let owner = to.principal().cloned();
        let known = self
            .groups
            .get_mut(&owner)
            .and_then(|trie| trie.get_mut(to.path()));
        if known.is_none() {
            if self.group_count >= max_groups {
                let text = format!(
                    "The broker already has subscriptions to {max_groups} different topics and patterns, its limit \
                     (max_destinations)."
                );
                return Err(ClientError::new("too-many-destinations", text));
            }
            self.group_count += 1;
            let group = Group {
                pattern: to.clone(),
                chunks: BTreeMap::new(),
                published: Counter::default(),
            };
            self.groups
                .entry(owner.clone())
                .or_default()
                .insert(to.path(), group);
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
        let chunk = group.map_or(0, |group| group.add(subscriber));
        Ok(SubscriberKey { chunk, id })
    }

    /// Removes a subscriber, and its group if that has no others. Returns the chunk that held the subscriber: dropping
    /// it may wake a task, so the caller drops it without the lock.
    fn remove_subscriber(&mut self, pattern: &Address, key: SubscriberKey) -> Option<Chunk> {
        let owner = pattern.principal().cloned();
        let trie = self.groups.get_mut(&owner)?;
        let group = trie.get_mut(pattern.path())?;
        let replaced = group.remove(key);
        if group.chunks.is_empty() {
            trie.remove(pattern.path());
            self.group_count -= 1;
            if trie.is_empty() {
                self.groups.remove(&owner);
            }
        }
        replaced
    }
}

impl Group {
    /// Adds a subscriber to the last chunk, or to a new one if that is full. Returns the number of the chunk.
    fn add(&mut self, subscriber: Subscriber) -> u64 {
        let last = self.chunks.last_key_value();
        let (number, others) = match last {
            Some((number, chunk)) if chunk.len() < CHUNK_SIZE => (*number, &**chunk),
            Some((number, _)) => (number + 1, &[] as &[Subscriber]),
            None => (0, &[] as &[Subscriber]),
        };
        let chunk: Chunk = others.iter().cloned().chain([subscriber]).collect();
        self.chunks.insert(number, chunk);
        number
    }

    /// Replaces the chunk of a subscriber by one without it. Returns the replaced chunk.
    fn remove(&mut self, key: SubscriberKey) -> Option<Chunk> {
        let replaced = self.chunks.remove(&key.chunk)?;
        let chunk: Chunk = replaced
            .iter()
            .filter(|subscriber| subscriber.id != key.id)
            .cloned()
            .collect();
        if !chunk.is_empty() {
            self.chunks.insert(key.chunk, chunk);
        }
        Some(replaced)
    }
}

/// The messages of one subscription to a topic or pattern. Dropping it ends the subscription.
pub(crate) struct TopicStream {
    /// The retained messages at the time of the subscription that are not yet delivered.
    retained: vec::IntoIter<Message>,
    messages: Messages,
    topics: Topics,
    pattern: Address,
    key: SubscriberKey,
}

impl Stream for TopicStream {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.retained.next() {
            Some(message) => Poll::Ready(Some(Ok(message.into()))),
            None => Pin::new(&mut self.messages).poll_next(cx),
        }
    }
}

impl Drop for TopicStream {
    fn drop(&mut self) {
        let replaced = self
            .topics
            .write()
            .remove_subscriber(&self.pattern, self.key);
        drop(replaced);
    }
}
