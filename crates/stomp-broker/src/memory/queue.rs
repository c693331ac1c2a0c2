//! One queue.

use super::{
    counts::Count,
    line::{Calls, Line},
    waiting::{Letter, Room, Waiting},
};
use crate::{Config, Destination, QueueOverflow};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};
use tokio::time::Instant;

/// A queue: what waits, who consumes, and what was given out.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) destination: Destination,
    pub(super) published: Count,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// It is no longer in the list of queues: whoever finds it so looks for another.
    pub(super) is_closed: bool,
    pub(super) waiting: Waiting,
    pub(super) line: Line,
    /// How many were given out and are not settled.
    pub(super) unsettled: usize,
    /// How many have room, but do not wait yet.
    reserved: usize,
    /// Of all these.
    bytes: usize,
    /// The position of the next message.
    next: u64,
    /// When something happened last.
    active: Instant,
}

/// How full a queue may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    messages: usize,
    bytes: usize,
    overflow: QueueOverflow,
}

impl Bounds {
    pub(super) fn of(config: &Config, overflow: QueueOverflow) -> Bounds {
        Bounds {
            messages: config.max_queue_messages,
            bytes: config.max_queue_bytes,
            overflow,
        }
    }
}

/// What a queue has no more use for, to be dealt with when no lock is held.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    pub(super) calls: Calls,
    pub(super) expired: Vec<Letter>,
    pub(super) pushed_out: Vec<Letter>,
    /// Wakers are foreign code, which is not dropped under a lock.
    pub(super) waker: Option<Waker>,
}

impl Queue {
    pub(super) fn new(destination: Destination) -> Queue {
        let state = State {
            is_closed: false,
            waiting: Waiting::default(),
            line: Line::default(),
            unsettled: 0,
            reserved: 0,
            bytes: 0,
            next: 0,
            active: Instant::now(),
        };
        Queue {
            destination,
            published: Count::default(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes room for one more message, and says whether there is any.
    pub(super) fn reserve(&mut self, bytes: usize, bounds: Bounds, left: &mut Leftovers) -> bool {
        self.expire(left);
        let is_full = self.is_full(1, bytes, bounds);
        let may_push_out = bounds.overflow == QueueOverflow::DropOldest && !self.waiting.is_empty();
        if is_full && !may_push_out {
            return false;
        }
        self.reserved += 1;
        self.bytes += bytes;
        true
    }

    /// Gives back room that is not needed.
    pub(super) fn release(&mut self, room: &Room) {
        self.reserved -= 1;
        self.bytes -= room.bytes;
        self.active = Instant::now();
    }

    /// Puts a message behind all others, into the room that was made for it. What it pushes out, the oldest first, is left.
    pub(super) fn push(&mut self, letter: Letter, bounds: Bounds, left: &mut Leftovers) {
        self.reserved -= 1;
        let position = self.next;
        self.next += 1;
        self.active = Instant::now();
        self.waiting.insert(position, letter);
        self.line.call_one(None, &mut left.calls);
        while self.waiting.len() > 1 && self.is_full(0, 0, bounds) {
            let Some((_, oldest)) = self.waiting.take(|_| true) else {
                return;
            };
            self.bytes -= oldest.room.bytes;
            left.pushed_out.push(oldest);
        }
    }

    /// One message always fits.
    fn is_full(&self, messages: usize, bytes: usize, bounds: Bounds) -> bool {
        let held = self.waiting.len() + self.unsettled + self.reserved;
        held > 0 && (held + messages > bounds.messages || self.bytes + bytes > bounds.bytes)
    }

    /// Gives out the next message for a consumer, with its position.
    pub(super) fn take(&mut self, consumer: u64, left: &mut Leftovers) -> Option<(u64, Letter)> {
        self.expire(left);
        if !self
            .line
            .come(consumer, self.waiting.len(), &mut left.calls)
        {
            return None;
        }
        // What it has refused is for somebody else, if there is anybody.
        let has_others = self.line.has_others();
        let (position, letter) = self
            .waiting
            .take(|it| !has_others || it.refused_by != Some(consumer))?;
        self.unsettled += 1;
        Some((position, letter))
    }

    /// Takes back what was given out, to where it was.
    pub(super) fn put_back(&mut self, position: u64, letter: Letter, left: &mut Leftovers) {
        self.unsettled -= 1;
        let refuser = letter.refused_by;
        self.waiting.insert(position, letter);
        self.line.call_one(refuser, &mut left.calls);
    }

    /// What was given out does not come back.
    pub(super) fn settle(&mut self, room: &Room) {
        self.unsettled -= 1;
        self.bytes -= room.bytes;
        self.active = Instant::now();
    }

    pub(super) fn leave(&mut self, consumer: u64, left: &mut Leftovers) {
        self.active = Instant::now();
        left.waker = self
            .line
            .leave(consumer, self.waiting.len(), &mut left.calls);
    }

    /// What is to be done from time to time.
    pub(super) fn sweep(&mut self, left: &mut Leftovers) {
        self.expire(left);
        self.line.sweep(self.waiting.len(), &mut left.calls);
    }

    fn expire(&mut self, left: &mut Leftovers) {
        // Without deadlines this looks at nothing, not even at the clock.
        if self.waiting.has_deadlines() {
            let expired = self.waiting.take_expired(Instant::now());
            self.bytes -= expired
                .iter()
                .map(|letter| letter.room.bytes)
                .sum::<usize>();
            left.expired.extend(expired);
        }
    }

    /// Whether nobody needs the queue: at once for a temporary one that has no consumers.
    pub(super) fn is_abandoned(&self, idle_before: Option<Instant>) -> bool {
        let is_empty = self.waiting.is_empty() && self.unsettled == 0 && self.reserved == 0;
        self.line.len() == 0 && idle_before.is_none_or(|before| is_empty && self.active <= before)
    }
}
