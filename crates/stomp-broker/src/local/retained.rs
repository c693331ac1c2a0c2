//! Retained messages: the last values of topics.

use super::trie::Trie;
use crate::{Address, wire_size::wire_size};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use stomp_session::{Message, Principal};
use tokio::time::Instant;

/// The retained messages, at most one for each topic. Beyond the bounds, the oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct RetainedMessages {
    /// The entries by the owner of their topics, then by topic, so that a subscription finds its own without a scan.
    entries: BTreeMap<Option<Principal>, Trie<Entry>>,
    /// The topics by the sequence number of their entries, oldest first.
    by_age: BTreeMap<u64, Address>,
    bytes: usize,
    next_sequence: u64,
}

/// Messages that are no longer retained. The destructor of a body may be foreign code, so the caller drops them after it
/// has released its lock.
pub(super) type Forgotten = SmallVec<[Message; 1]>;

#[derive(Debug)]
struct Entry {
    sequence: u64,
    message: Message,
    expires_at: Option<Instant>,
}

impl RetainedMessages {
    /// Retains a message for its topic. Then removes the oldest entries until the bounds hold. The last entry may
    /// exceed the bound in bytes. Returns the removed messages.
    #[must_use = "the messages are dropped without a lock"]
    pub(super) fn set(
        &mut self,
        topic: &Address,
        message: Message,
        expires_at: Option<Instant>,
        max_messages: usize,
        max_bytes: usize,
    ) -> Forgotten {
        let mut forgotten = Forgotten::new();
        forgotten.extend(self.remove(topic));
        let (topic, sequence) = (topic.clone(), self.next_sequence);
        self.next_sequence += 1;
        self.bytes += wire_size(&message);
        self.by_age.insert(sequence, topic.clone());
        let entry = Entry {
            sequence,
            message,
            expires_at,
        };
        self.entries
            .entry(topic.principal().cloned())
            .or_default()
            .insert(topic.path(), entry);
        while self.by_age.len() > max_messages || (self.bytes > max_bytes && self.by_age.len() > 1)
        {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            forgotten.extend(self.remove(&oldest));
        }
        forgotten
    }

    /// Removes and returns the retained message of a topic.
    #[must_use = "the message is dropped without a lock"]
    pub(super) fn remove(&mut self, topic: &Address) -> Option<Message> {
        let owner = topic.principal().cloned();
        let trie = self.entries.get_mut(&owner)?;
        let Entry {
            sequence, message, ..
        } = trie.remove(topic.path())?;
        if trie.is_empty() {
            self.entries.remove(&owner);
        }
        self.by_age.remove(&sequence);
        self.bytes -= wire_size(&message);
        Some(message)
    }

    /// Returns the retained messages of all topics that match a subscription, except expired messages. Those stay in
    /// memory until newer messages replace them, which is safe because the bounds hold anyway.
    pub(super) fn matching(&self, pattern: &Address) -> Vec<Message> {
        let mut messages = Vec::new();
        if let Some(trie) = self.entries.get(&pattern.principal().cloned()) {
            let now = Instant::now();
            trie.for_each_covered(pattern.path(), &mut |entry| {
                if entry.expires_at.is_none_or(|at| at > now) {
                    messages.push(entry.message.clone());
                }
            });
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(retained: &RetainedMessages, pattern: &'static str) -> Vec<String> {
        let messages = retained.matching(&Address::topic(pattern)).into_iter();
        messages
            .map(|message| String::from_utf8(message.body().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn the_messages_that_were_set_most_recently_are_retained() {
        let mut retained = RetainedMessages::default();
        let mut set = |path, body| {
            let topic = Address::topic(path);
            drop(retained.set(&topic, Message::new(body), None, 2, usize::MAX));
        };
        set("a", "1");
        set("b.c", "2");
        set("a", "3");
        set("d.e", "0");
        set("d/e", "4");
        assert_eq!(bodies(&retained, ">"), ["3", "4"]);
        assert_eq!(bodies(&retained, "a"), ["3"]);
        assert!(bodies(&retained, "b.c").is_empty());
        let of_ann = Address::user(stomp_session::Principal::new("ann"), "a");
        assert!(
            retained.matching(&of_ann).is_empty(),
            "the topics of a principal are different ones"
        );
        drop(retained.remove(&Address::topic("a")));
        assert!(bodies(&retained, "a").is_empty());
        assert_eq!((retained.entries.len(), retained.by_age.len()), (1, 1));
    }

    #[test]
    fn retained_messages_stay_within_their_bound_in_bytes() {
        let mut retained = RetainedMessages::default();
        for path in ["a", "b", "c"] {
            let message = Message::new(vec![b'x'; 1_000]);
            drop(retained.set(&Address::topic(path), message, None, 10, 2_500));
        }
        assert_eq!(retained.by_age.len(), 2);
        let message = Message::new(vec![b'x'; 5_000]);
        drop(retained.set(&Address::topic("d"), message, None, 10, 2_500));
        assert_eq!(retained.by_age.len(), 1, "one message is always retained");
        drop(retained.remove(&Address::topic("d")));
        assert_eq!(retained.bytes, 0);
    }
}
