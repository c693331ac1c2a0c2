//! Topics: who gets what is published.

use super::{
    counts::{Count, Counts},
    fan_out::{CHUNK, Chunk, FanOut, Member},
    retained::{Retain, Retained},
    trie::Trie,
};
use crate::{Config, Destination, DestinationStatistics, Statistics};
use futures_core::Stream;
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    task::{Context, Poll},
    vec,
};
use stomp_session::{BoxError, ClientError, Delivery, Mailbox, Message, Messages, Principal};

/// All topics.
#[derive(Clone)]
pub(super) struct Topics(Arc<Shared>);

struct Shared {
    config: Arc<Config>,
    counts: Arc<Counts>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// Everybody's, and those of principals, by pattern.
    groups: BTreeMap<Option<Principal>, Trie<Group>>,
    /// How many groups there are.
    count: usize,
    retained: Retained,
    /// The number of the next subscriber.
    next: u64,
}

/// All subscribers of one pattern.
struct Group {
    pattern: Destination,
    /// A subscriber stays in its chunk, so that it is found again.
    chunks: BTreeMap<u64, Chunk>,
    published: Count,
}

impl Topics {
    pub(super) fn new(config: Arc<Config>, counts: Arc<Counts>) -> Topics {
        Topics(Arc::new(Shared {
            config,
            counts,
            state: RwLock::default(),
        }))
    }

    /// Who gets a message. It is theirs with the next step of the fan-out, or when that is dropped.
    pub(super) fn publish(&self, to: &Destination, message: Message) -> FanOut {
        let Config {
            max_retained_messages: retained,
            max_retained_bytes,
            ..
        } = *self.0.config;
        let retain = if retained > 0 {
            Retain::of(&message)
        } else {
            Retain::Nothing
        };
        let chunks = if retain == Retain::Nothing {
            self.read().subscribers(to)
        } else {
            // Whoever subscribes gets it either as the last value or as one of the subscribers, so both are one step.
            let mut state = self.write();
            match retain {
                Retain::Set => {
                    state
                        .retained
                        .set(to, message.clone(), retained, max_retained_bytes)
                }
                _ => state.retained.remove(to),
            }
            state.subscribers(to)
        };
        let fan_out = FanOut::new(message, chunks);
        self.0.counts.published.add(1);
        self.0.counts.delivered.add(fan_out.len());
        fan_out
    }

    pub(super) fn subscribe(&self, to: &Destination) -> Result<Subscription, ClientError> {
        let (mailbox, messages) = Mailbox::new(self.0.config.mailbox);
        let mut state = self.write();
        let (chunk, id) = state.join(to, mailbox, self.0.config.max_destinations)?;
        let retained = state.retained.matching(to).into_iter();
        drop(state);
        Ok(Subscription {
            retained,
            messages,
            topics: self.clone(),
            pattern: to.clone(),
            chunk,
            id,
        })
    }

    /// Adds what there is to `statistics`.
    pub(super) fn list(&self, statistics: &mut Statistics) {
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
    /// All who are subscribed to patterns that match.
    fn subscribers(&self, to: &Destination) -> SmallVec<[Chunk; 2]> {
        let mut chunks = SmallVec::new();
        // Borrowing half a key is not to be had; names are short, and most topics are everybody's.
        if let Some(trie) = self.groups.get(&to.principal().cloned()) {
            trie.matches(to.path(), &mut |group| {
                group.published.add(1);
                chunks.extend(group.chunks.values().cloned());
            });
        }
        chunks
    }

    /// Adds a subscriber, and says which it is, in which chunk.
    fn join(
        &mut self,
        to: &Destination,
        mailbox: Mailbox,
        most: usize,
    ) -> Result<(u64, u64), ClientError> {
        let owner = to.principal().cloned();
        let known = self
            .groups
            .get_mut(&owner)
            .and_then(|trie| trie.get_mut(to.path()));
        if known.is_none() {
            if self.count >= most {
                let text =
                    format!("There are at most {most} topics that somebody is subscribed to.");
                return Err(ClientError::new("too-many-destinations", text));
            }
            self.count += 1;
            let group = Group {
                pattern: to.clone(),
                chunks: BTreeMap::new(),
                published: Count::default(),
            };
            self.groups
                .entry(owner.clone())
                .or_default()
                .insert(to.path(), group);
        }
        let id = self.next;
        self.next += 1;
        let group = self
            .groups
            .get_mut(&owner)
            .and_then(|trie| trie.get_mut(to.path()));
        let member = Member {
            id,
            mailbox: Arc::new(mailbox),
        };
        Ok((group.map_or(0, |group| group.join(member)), id))
    }

    /// Takes out a subscriber, for it to be dropped elsewhere.
    fn leave(&mut self, pattern: &Destination, chunk: u64, id: u64) -> Option<Chunk> {
        let owner = pattern.principal().cloned();
        let trie = self.groups.get_mut(&owner)?;
        let group = trie.get_mut(pattern.path())?;
        let left = group.leave(chunk, id);
        if group.chunks.is_empty() {
            trie.remove(pattern.path());
            self.count -= 1;
            if trie.is_empty() {
                self.groups.remove(&owner);
            }
        }
        left
    }
}

impl Group {
    /// Adds a subscriber after all others, and says in which chunk.
    fn join(&mut self, member: Member) -> u64 {
        let last = self.chunks.last_key_value();
        let (number, members) = match last {
            Some((number, chunk)) if chunk.len() < CHUNK => (*number, &**chunk),
            Some((number, _)) => (number + 1, &[] as &[Member]),
            None => (0, &[] as &[Member]),
        };
        let chunk: Chunk = members.iter().cloned().chain([member]).collect();
        self.chunks.insert(number, chunk);
        number
    }

    fn leave(&mut self, number: u64, id: u64) -> Option<Chunk> {
        let before = self.chunks.remove(&number)?;
        let chunk: Chunk = before
            .iter()
            .filter(|member| member.id != id)
            .cloned()
            .collect();
        if !chunk.is_empty() {
            self.chunks.insert(number, chunk);
        }
        Some(before)
    }
}

/// A subscriber's messages. Dropping it ends the subscription.
pub(super) struct Subscription {
    /// The last values from before it.
    retained: vec::IntoIter<Message>,
    messages: Messages,
    topics: Topics,
    pattern: Destination,
    chunk: u64,
    id: u64,
}

impl Stream for Subscription {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.retained.next() {
            Some(message) => Poll::Ready(Some(Ok(message.into()))),
            None => Pin::new(&mut self.messages).poll_next(cx),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let left = self
            .topics
            .write()
            .leave(&self.pattern, self.chunk, self.id);
        // A mailbox that is dropped may wake somebody.
        drop(left);
    }
}
