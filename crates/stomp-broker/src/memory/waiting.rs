//! Messages that wait in a queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use stomp_session::Message;
use tokio::time::Instant;

/// A message in a queue, or on its way from there.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) message: Message,
    pub(super) room: Room,
    /// How often it was given out in vain.
    pub(super) attempts: u32,
    /// Who was the last to refuse it.
    pub(super) refused_by: Option<u64>,
    pub(super) expires: Option<Instant>,
}

/// Bytes of all that queues may hold, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Room {
    /// Takes so many bytes, if no more than `most` are taken then.
    pub(super) fn take(all: &Arc<AtomicUsize>, bytes: usize, most: usize) -> Option<Room> {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= most);
        all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()?;
        Some(Room {
            bytes,
            all: Arc::clone(all),
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The messages that wait, by their positions: one that comes back finds its own.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    letters: BTreeMap<u64, Letter>,
    /// When which expire.
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Whether any of them will expire.
    pub(super) fn has_deadlines(&self) -> bool {
        !self.deadlines.is_empty()
    }

    pub(super) fn insert(&mut self, position: u64, letter: Letter) {
        self.deadlines
            .extend(letter.expires.map(|at| (at, position)));
        self.letters.insert(position, letter);
    }

    /// Takes out the first that is `wanted`, with its position.
    pub(super) fn take(&mut self, wanted: impl Fn(&Letter) -> bool) -> Option<(u64, Letter)> {
        let position = self
            .letters
            .iter()
            .find(|(_, letter)| wanted(letter))
            .map(|(position, _)| *position)?;
        self.remove(position).map(|letter| (position, letter))
    }

    /// Takes out all that have expired.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Letter> {
        let mut expired = Vec::new();
        while let Some((_, position)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now)
        {
            expired.extend(self.remove(position));
        }
        expired
    }

    fn remove(&mut self, position: u64) -> Option<Letter> {
        let letter = self.letters.remove(&position)?;
        if let Some(at) = letter.expires {
            self.deadlines.remove(&(at, position));
        }
        Some(letter)
    }
}

impl Letter {
    /// The letter as a dead one: with why it died, and where.
    pub(super) fn into_dead(self, reason: &str, queue: &str) -> Letter {
        let mut headers = self.message.headers().clone();
        headers.remove("expires");
        headers.insert("original-destination", queue);
        headers.insert("dead-letter-reason", reason);
        let message = Message::from_parts(headers, self.message.body().clone());
        Letter {
            message,
            attempts: 0,
            refused_by: None,
            expires: None,
            ..self
        }
    }
}
