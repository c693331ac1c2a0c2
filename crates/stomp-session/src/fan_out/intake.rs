//! The messages of a hub that wait for the next step.

use super::batch::{Batch, Waiting};
use crate::{
    guarded::Leftovers,
    id::SessionId,
    mailbox::config::BacklogConfig,
    memory_budget::{MemoryBudget, MemoryCharge},
    message::Message,
};
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc, task::Waker};
use tokio::runtime::{self, Handle};

/// The runtime on which a pump runs; `None` for a publisher that delivers messages without a runtime.
pub(super) type PumpPlace = Option<runtime::Id>;

/// The weight of messages that wait without being counted in the memory budget, so that small messages cost no atomic
/// operation each.
const UNCOUNTED_BYTES: usize = 1 << 10;

/// The messages that wait, and the state of the pump.
pub(super) struct Intake {
    waiting: VecDeque<Waiting>,
    /// The weight of these messages.
    weight: usize,
    /// Counts about this weight in the memory budget.
    charge: MemoryCharge,
    /// The number of the next message.
    next: u64,
    /// The pumps that deliver the messages, at most one for each runtime: nobody may drive the runtime of another pump.
    pumps: SmallVec<[PumpPlace; 1]>,
    /// The wakers of publishers that wait for room.
    blocked: Vec<Waker>,
    /// The number of times that messages were taken, and all of `blocked` with them.
    takes: u64,
}

/// The bounds of the messages that wait. Beyond them, publishers wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntakeLimits {
    messages: usize,
    bytes: usize,
}

impl IntakeLimits {
    /// A subscriber may get the messages of two rounds before it reads the first ones, and all must fit.
    pub(super) fn new(config: &BacklogConfig) -> IntakeLimits {
        IntakeLimits {
            messages: (config.max_messages / 2).clamp(1, 1_024),
            bytes: (config.max_bytes / 2).clamp(1, 1 << 20),
        }
    }
}

impl IntakeLimits {
    /// A sixteenth of the bounds, while the memory budget is exceeded.
    pub(super) fn reduced(self) -> IntakeLimits {
        IntakeLimits {
            messages: (self.messages / 16).max(1),
            bytes: (self.bytes / 16).max(1),
        }
    }
}

impl Intake {
    pub(super) fn new(budget: &MemoryBudget) -> Intake {
        Intake {
            waiting: VecDeque::new(),
            weight: 0,
            charge: budget.charge(0),
            next: 0,
            pumps: SmallVec::new(),
            blocked: Vec::new(),
            takes: 0,
        }
    }

    /// Adds a message. Returns true if the caller has to start a pump, unless another publisher does so before.
    pub(super) fn append(&mut self, message: Message, except: Option<SessionId>) -> bool {
        self.weight += message.weight();
        if self.weight >= self.charge.bytes() + UNCOUNTED_BYTES {
            self.charge.resize(self.weight);
        }
        self.waiting.push_back((message, except));
        self.next += 1;
        self.pumps.is_empty() || self.needs_pump(Handle::try_current().ok().map(|it| it.id()))
    }

    /// Returns true if a publisher at this place needs a pump there.
    fn needs_pump(&self, place: PumpPlace) -> bool {
        if place.is_some() {
            !self.pumps.contains(&place)
        } else {
            // Such a publisher would do all the work itself, and perhaps not wait for slow members.
            self.pumps.is_empty()
        }
    }

    /// Notes that a pump starts at this place. Returns false if it is not needed.
    pub(super) fn start_pump(&mut self, place: PumpPlace) -> bool {
        let starts = !self.waiting.is_empty() && self.needs_pump(place);
        if starts {
            self.pumps.push(place);
        }
        starts
    }

    /// The number of the next message.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns true if at least `factor` times the bounds wait. Fewer than `factor` messages do not exceed the bound on
    /// bytes, however large they are.
    pub(super) fn is_full(&self, limits: IntakeLimits, factor: usize) -> bool {
        let count = self.waiting.len();
        count >= factor * limits.messages
            || (count >= factor && self.weight >= factor * limits.bytes)
    }

    /// Notes that the pump at this place stops, if no message waits.
    pub(super) fn stop_if_empty(&mut self, place: PumpPlace) -> bool {
        let is_empty = self.waiting.is_empty();
        if is_empty {
            self.pumps.retain(|pump| *pump != place);
        }
        is_empty
    }

    /// Takes messages for members that may get so many other messages and bytes with them, as far as they fit within the
    /// bounds together. Wakes the publishers.
    pub(super) fn take(
        &mut self,
        limits: IntakeLimits,
        (other_messages, other_bytes): (usize, usize),
        leftovers: &mut Leftovers,
    ) -> Option<Arc<Batch>> {
        let room = limits.messages.saturating_sub(other_messages);
        let count = self.waiting.len().min(room);
        let is_too_heavy = other_messages > 0 && other_bytes + self.weight > limits.bytes;
        if count == 0 || is_too_heavy {
            return None;
        }
        self.takes += 1;
        leftovers.wake(self.blocked.drain(..));
        let first = self.next - self.waiting.len() as u64;
        let batch = Batch::new(first, self.waiting.drain(..count));
        self.weight -= batch.weight();
        let memory = batch.memory();
        self.charge.resize(self.weight + memory);
        let batch = Arc::new(batch.with_charge(self.charge.split(memory)));
        // Frees the memory of a large burst.
        if self.waiting.is_empty() && self.waiting.capacity() > 4 * count {
            self.waiting = VecDeque::new();
        }
        Some(batch)
    }

    /// Takes the waker of a publisher that has to wait, unless it was taken since messages were taken last, as `registered`
    /// tells. Returns false if there is room, so that the publisher need not wait.
    pub(super) fn block(
        &mut self,
        limits: IntakeLimits,
        registered: &mut Option<u64>,
        waker: &mut Option<Waker>,
    ) -> bool {
        let waits = !self.pumps.is_empty() && self.is_full(limits, 1);
        if waits && *registered != Some(self.takes) {
            *registered = Some(self.takes);
            self.blocked.extend(waker.take());
        }
        waits
    }
}
