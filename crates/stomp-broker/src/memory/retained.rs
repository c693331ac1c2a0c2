//! Topics' last values.

use super::{trie::is_match, weight};
use crate::Destination;
use std::collections::BTreeMap;
use stomp_session::Message;

/// Says what becomes of a topic's last value.
const RETAIN: &str = "retain";

/// What a message wants of its topic's last value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retain {
    Nothing,
    Set,
    Remove,
}

impl Retain {
    pub(super) fn of(message: &Message) -> Retain {
        match message.headers().get(RETAIN) {
            Some("set") => Retain::Set,
            Some("remove") => Retain::Remove,
            _ => Retain::Nothing,
        }
    }
}

/// The last values of topics, of so many that were set last.
#[derive(Debug, Default)]
pub(super) struct Retained {
    values: BTreeMap<Destination, Value>,
    /// By when they were set.
    ages: BTreeMap<u64, Destination>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Value {
    age: u64,
    message: Message,
}

impl Retained {
    /// Keeps a message as its topic's last value, and forgets the oldest of those for which there is no room.
    pub(super) fn set(&mut self, topic: &Destination, message: Message, most: usize, bytes: usize) {
        self.remove(topic);
        let (topic, age) = (topic.canonical(), self.next);
        self.next += 1;
        self.bytes += weight(&message);
        self.ages.insert(age, topic.clone());
        self.values.insert(topic, Value { age, message });
        while self.values.len() > most || (self.bytes > bytes && self.values.len() > 1) {
            let Some((_, oldest)) = self.ages.pop_first() else {
                return;
            };
            self.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, topic: &Destination) {
        if let Some(Value { age, message }) = self.values.remove(&topic.canonical()) {
            self.ages.remove(&age);
            self.bytes -= weight(&message);
        }
    }

    /// The last values of all topics that a subscription is for.
    pub(super) fn matching(&self, pattern: &Destination) -> Vec<Message> {
        let is_for = |topic: &Destination| {
            topic.scope() == pattern.scope() && is_match(pattern.path(), topic.path())
        };
        self.values
            .iter()
            .filter(|(topic, _)| is_for(topic))
            .map(|(_, value)| value.message.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retained(retained: &Retained, pattern: &'static str) -> Vec<String> {
        let bodies = retained.matching(&Destination::topic(pattern)).into_iter();
        bodies
            .map(|message| String::from_utf8(message.body().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn the_last_that_were_set_are_kept() {
        let mut values = Retained::default();
        let mut set =
            |path, body| values.set(&Destination::topic(path), Message::new(body), 2, usize::MAX);
        set("a", "1");
        set("b.c", "2");
        set("a", "3");
        set("d.e", "0");
        set("d/e", "4");
        assert_eq!(retained(&values, ">"), ["3", "4"]);
        assert_eq!(retained(&values, "a"), ["3"]);
        assert!(retained(&values, "b.c").is_empty());
        let own = Destination::user(stomp_session::Principal::new("ann"), "a");
        assert!(values.matching(&own).is_empty(), "that is another topic");
        values.remove(&Destination::topic("a"));
        assert!(retained(&values, "a").is_empty());
        assert_eq!((values.values.len(), values.ages.len()), (1, 1));
    }

    #[test]
    fn within_so_many_bytes() {
        let mut values = Retained::default();
        for path in ["a", "b", "c"] {
            values.set(
                &Destination::topic(path),
                Message::new(vec![b'x'; 1_000]),
                10,
                2_500,
            );
        }
        assert_eq!(values.values.len(), 2);
        values.set(
            &Destination::topic("d"),
            Message::new(vec![b'x'; 5_000]),
            10,
            2_500,
        );
        assert_eq!(values.values.len(), 1, "one is always kept");
        values.remove(&Destination::topic("d"));
        assert_eq!(values.bytes, 0);
    }
}
