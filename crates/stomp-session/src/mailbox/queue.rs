//! What waits to be sent, within bounds.

use crate::{
    delivery::Delivery,
    id::SubscriptionKey,
    mailbox::{
        budget::{Budget, Held},
        config::{MailboxConfig, Overflow, SlowConsumer},
    },
    message::Message,
};
use std::collections::VecDeque;

/// A message that waits, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// Where one queue is for several subscriptions.
    pub(crate) to: Option<SubscriptionKey>,
    pub(crate) message: Message,
    /// How many were dropped before it, so that it tells of them.
    dropped: u64,
}

impl Letter {
    pub(crate) fn new(to: Option<SubscriptionKey>, message: Message) -> Letter {
        Letter {
            to,
            message,
            dropped: 0,
        }
    }
}

impl From<Letter> for Delivery {
    fn from(
        Letter {
            message, dropped, ..
        }: Letter,
    ) -> Delivery {
        Delivery {
            dropped,
            ..Delivery::new(message)
        }
    }
}

/// What a queue holds: letters, which count, and other things, which do not and are never dropped.
pub(crate) trait Item: From<Letter> {
    fn letter(&self) -> Option<&Letter>;
    fn letter_mut(&mut self) -> Option<&mut Letter>;
}

impl Item for Letter {
    fn letter(&self) -> Option<&Letter> {
        Some(self)
    }

    fn letter_mut(&mut self) -> Option<&mut Letter> {
        Some(self)
    }
}

/// Items in order.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items: VecDeque<T>,
    /// How many of them are letters, and what these weigh.
    letters: usize,
    held: Held,
    has_overflowed: bool,
    /// Letters that were dropped and of which nobody has been told.
    untold: Vec<(Option<SubscriptionKey>, u64)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            items: VecDeque::new(),
            letters: 0,
            held: Held::default(),
            has_overflowed: false,
            untold: Vec::new(),
        }
    }
}

impl<T: Item> Queue<T> {
    /// Adds something that is no letter.
    pub(crate) fn push_other(&mut self, item: T) {
        if !self.has_overflowed {
            self.items.push_back(item);
        }
    }

    /// Adds a letter, if need be at the cost of others, as the policy says.
    pub(crate) fn push(&mut self, mut letter: Letter, config: &MailboxConfig) {
        if self.has_overflowed || (config.overflow == Overflow::Conflate && self.conflate(&letter))
        {
            return;
        }
        while self.is_full(config) {
            if config.overflow == Overflow::Disconnect {
                *self = Queue {
                    has_overflowed: true,
                    ..Queue::default()
                };
                return;
            }
            self.drop_oldest(config.overflow == Overflow::Conflate);
        }
        if let Some(at) = self.untold.iter().position(|(to, _)| *to == letter.to) {
            letter.dropped += self.untold.swap_remove(at).1;
        }
        self.letters += 1;
        self.held.add(letter.message.weight());
        self.items.push_back(T::from(letter));
    }

    /// One letter always fits.
    fn is_full(&self, config: &MailboxConfig) -> bool {
        let is_over = self.letters >= config.max_messages || self.held.bytes() >= config.max_bytes;
        self.letters > 0 && (is_over || self.held.is_budget_spent())
    }

    /// Lets what waits here count in the budget of the session that reads it.
    pub(crate) fn count_in_budget(&mut self) {
        if !self.held.has_budget() {
            if let Some(budget) = Budget::lent() {
                self.held.set_budget(budget);
            }
        }
    }

    /// Puts a letter in the place of one of the same key, if there is one.
    fn conflate(&mut self, new: &Letter) -> bool {
        let Some(key) = new.message.key() else {
            return false;
        };
        let waiting = self.items.iter_mut().filter_map(T::letter_mut);
        let Some(old) = waiting
            .rev()
            .find(|old| old.to == new.to && old.message.key() == Some(key))
        else {
            return false;
        };
        self.held.sub(old.message.weight());
        self.held.add(new.message.weight());
        old.message = new.message.clone();
        old.dropped += 1;
        true
    }

    /// Drops the oldest letter; if there is one without a key and `keeps_keys`, the oldest of these.
    fn drop_oldest(&mut self, keeps_keys: bool) {
        let position = |is_meant: fn(&Letter) -> bool| {
            self.items
                .iter()
                .position(|item| item.letter().is_some_and(is_meant))
        };
        let keyless = if keeps_keys {
            position(|letter| letter.message.key().is_none())
        } else {
            None
        };
        let oldest = keyless
            .or_else(|| position(|_| true))
            .and_then(|at| self.items.remove(at));
        let Some(oldest) = oldest.as_ref().and_then(T::letter) else {
            return;
        };
        self.letters -= 1;
        self.held.sub(oldest.message.weight());
        let lost = oldest.dropped + 1;
        match self
            .items
            .iter_mut()
            .filter_map(T::letter_mut)
            .find(|letter| letter.to == oldest.to)
        {
            Some(next) => next.dropped += lost,
            None => match self.untold.iter_mut().find(|(to, _)| *to == oldest.to) {
                Some((_, untold)) => *untold += lost,
                None => self.untold.push((oldest.to, lost)),
            },
        }
    }

    /// Takes all there is, for an empty queue that can be used again.
    ///
    /// # Errors
    ///
    /// If there was too much, and the policy is to end it then.
    pub(crate) fn take(&mut self, empty: &mut VecDeque<T>) -> Result<(), SlowConsumer> {
        if self.has_overflowed {
            return Err(SlowConsumer);
        }
        std::mem::swap(&mut self.items, empty);
        self.letters = 0;
        self.held.clear();
        Ok(())
    }

    /// Forgets what a subscription that has ended was not told.
    pub(crate) fn forget(&mut self, key: SubscriptionKey) {
        self.untold.retain(|(to, _)| *to != Some(key));
    }
}
