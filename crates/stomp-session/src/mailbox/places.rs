//! The places of messages in a queue that conflates.

use super::queue::QueuedMessage;
use crate::{id::SubscriptionKey, message::Message};
use std::{
    collections::{HashMap, VecDeque},
    hash::{Hash, Hasher},
};

/// Index of the messages in a queue: by key and recipient, and those without a key by age. With it, a queue is searched
/// in the same time however long it is.
#[derive(Debug, Default)]
pub(super) struct Places {
    keyed: HashMap<Keyed, u64>,
    /// The places of the messages without a key, beginning with the oldest.
    keyless: VecDeque<u64>,
    /// The place of the first slot of the queue. Places are counted from the creation of the index.
    first: u64,
}

/// The key and the recipient of a message. It shares the message, which is in the queue longer than here: so no
/// destructor of a body runs here.
#[derive(Debug)]
struct Keyed {
    subscription: Option<SubscriptionKey>,
    message: Message,
}

impl Keyed {
    fn new(queued: &QueuedMessage) -> Keyed {
        Keyed {
            subscription: queued.subscription,
            message: queued.message.clone(),
        }
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Keyed) -> bool {
        self.subscription == other.subscription && self.message.key() == other.message.key()
    }
}

impl Eq for Keyed {}

impl Hash for Keyed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.subscription.hash(state);
        self.message.key().hash(state);
    }
}

impl Places {
    /// Creates the index of a queue with these messages in these slots.
    pub(super) fn new<'a>(queued: impl Iterator<Item = (usize, &'a QueuedMessage)>) -> Places {
        let mut places = Places::default();
        queued.for_each(|(slot, queued)| places.push(queued, slot));
        places
    }

    /// Adds a message, which is younger than the others.
    pub(super) fn push(&mut self, queued: &QueuedMessage, slot: usize) {
        let place = self.first + slot as u64;
        if queued.message.key().is_some() {
            self.keyed.insert(Keyed::new(queued), place);
        } else {
            self.keyless.push_back(place);
        }
    }

    /// Returns the slot of the message that has the key and the recipient of `new`, which takes its place.
    pub(super) fn replace(&mut self, new: &QueuedMessage) -> Option<usize> {
        let new = Keyed::new(new);
        let (_, place) = self.keyed.remove_entry(&new)?;
        self.keyed.insert(new, place);
        self.slot(place)
    }

    /// Removes a message, which is the oldest of those without a key if it has none.
    pub(super) fn remove(&mut self, queued: &QueuedMessage) {
        if queued.message.key().is_some() {
            self.keyed.remove(&Keyed::new(queued));
        } else {
            self.keyless.pop_front();
        }
    }

    /// The slot of the oldest message without a key.
    pub(super) fn oldest_keyless(&self) -> Option<usize> {
        self.slot(*self.keyless.front()?)
    }

    /// Notes that the first slot was removed.
    pub(super) fn first_removed(&mut self) {
        self.first += 1;
    }

    fn slot(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }
}
