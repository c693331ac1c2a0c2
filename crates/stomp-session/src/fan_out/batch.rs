//! Messages that travel together.

use crate::{
    id::SessionId,
    mailbox::queue::{MessageCharge, QueuedMessage},
    memory_budget::{MemoryBudget, MemoryCharge},
    message::Message,
};
use smallvec::SmallVec;
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

/// Messages that one step brings to some members of a hub. They exist once, however many sessions wait to send them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// A single message needs no allocation of its own.
    messages: SmallVec<[Message; 1]>,
    /// The number of the first message, counted from the creation of the hub.
    first: u64,
    /// The messages that one session does not get: the place in the batch, and the session.
    exceptions: Vec<(usize, SessionId)>,
    /// The weight of all messages.
    weight: usize,
    /// True if all messages have the same destination, or all have none.
    has_one_destination: bool,
    /// Counts the messages in the memory budget. `None` if they do not count.
    charge: Option<BatchCharge>,
    /// The charges of the single messages, after they were queued one by one. They may wait longer than the batch.
    single_charges: OnceLock<Vec<Arc<MemoryCharge>>>,
}

#[derive(Debug)]
enum BatchCharge {
    All(MemoryCharge),
    /// The batches that were joined, which count the messages, and a charge for the rest.
    Joined(Vec<Arc<Batch>>, MemoryCharge),
    /// The charge of the only message, which was queued before.
    Single(#[expect(dead_code, reason = "it counts until it is dropped")] MessageCharge),
}

/// A message that waits for a round, and the session that does not get it.
pub(super) type Waiting = (Message, Option<SessionId>);

impl Batch {
    pub(super) fn new(first: u64, waiting: impl Iterator<Item = Waiting>) -> Batch {
        let mut messages = SmallVec::<[Message; 1]>::new();
        let mut exceptions = Vec::new();
        for (place, (message, except)) in waiting.enumerate() {
            exceptions.extend(except.map(|session| (place, session)));
            messages.push(message);
        }
        let weight = messages.iter().map(Message::weight).sum();
        Batch::of_parts(first, messages, exceptions, weight)
    }

    fn of_parts(
        first: u64,
        messages: SmallVec<[Message; 1]>,
        exceptions: Vec<(usize, SessionId)>,
        weight: usize,
    ) -> Batch {
        let mut destinations = messages.windows(2);
        Batch {
            has_one_destination: destinations.all(|pair| match pair {
                [one, next] => one.destination() == next.destination(),
                _ => true,
            }),
            messages,
            first,
            exceptions,
            weight,
            charge: None,
            single_charges: OnceLock::new(),
        }
    }

    /// Creates a batch of the messages of consecutive batches. It keeps these, which continue to count their messages.
    pub(super) fn join(batches: Vec<Arc<Batch>>) -> Batch {
        let first = batches.first().map_or(0, |batch| batch.first);
        let count = batches.iter().map(|batch| batch.len()).sum();
        let mut messages = SmallVec::<[Message; 1]>::with_capacity(count);
        let mut exceptions = Vec::new();
        for batch in &batches {
            let start = messages.len();
            let excepted = batch.exceptions.iter();
            exceptions.extend(excepted.map(|(place, session)| (start + place, *session)));
            messages.extend(batch.messages.iter().cloned());
        }
        let weight = batches.iter().map(|batch| batch.weight).sum();
        let budget = batches.first().and_then(|batch| batch.budget());
        let charge = budget.map(|budget| {
            budget
                .charge(size_of::<Batch>() + count * size_of::<Message>() + size_of_val(&*batches))
        });
        Batch {
            charge: charge.map(|charge| BatchCharge::Joined(batches, charge)),
            ..Batch::of_parts(first, messages, exceptions, weight)
        }
    }

    /// Creates a batch of one message, which continues to count where it was queued.
    pub(super) fn of_queued(message: Message, charge: Option<MessageCharge>) -> Batch {
        Batch {
            charge: charge.map(BatchCharge::Single),
            ..Batch::new(0, [(message, None)].into_iter())
        }
    }

    /// Makes the messages count by this charge.
    pub(super) fn with_charge(self, charge: MemoryCharge) -> Batch {
        Batch {
            charge: Some(BatchCharge::All(charge)),
            ..self
        }
    }

    /// The approximate bytes that the batch takes while it waits.
    pub(super) fn memory(&self) -> usize {
        size_of::<Batch>() + self.weight
    }

    /// The messages in this range, for a queue of single messages. They count in the memory budget as long as they are in
    /// a queue, each once for all queues.
    pub(super) fn queued(
        self: &Arc<Batch>,
        range: Range<usize>,
    ) -> impl Iterator<Item = QueuedMessage> {
        let places = range.clone();
        self.get(range).iter().zip(places).map(|(message, place)| {
            let charge = self.single_charge(place);
            QueuedMessage::new(None, message.clone()).with_charge(charge)
        })
    }

    fn single_charge(self: &Arc<Batch>, place: usize) -> Option<MessageCharge> {
        if self.messages.len() == 1 {
            return Some(MessageCharge::Batch(Arc::clone(self)));
        }
        let charge = match self.charge.as_ref()? {
            BatchCharge::All(charge) => charge,
            BatchCharge::Single(_) => return None,
            BatchCharge::Joined(batches, _) => {
                let number = self.first + place as u64;
                let before = batches.partition_point(|batch| batch.end() <= number);
                let batch = batches.get(before)?;
                return batch.single_charge(usize::try_from(number - batch.first).ok()?);
            }
        };
        let charges = self.single_charges.get_or_init(|| {
            let charge = |message: &Message| charge.budget().charge(message.weight());
            self.messages.iter().map(charge).map(Arc::new).collect()
        });
        charges.get(place).cloned().map(MessageCharge::Own)
    }

    /// The memory budget in which the messages of a hub count.
    fn budget(&self) -> Option<&MemoryBudget> {
        match self.charge.as_ref()? {
            BatchCharge::All(charge) | BatchCharge::Joined(_, charge) => Some(charge.budget()),
            BatchCharge::Single(_) => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The number of the first message, counted from the creation of the hub.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number of the message that follows the last one.
    pub(super) fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The messages in this range.
    pub(crate) fn get(&self, range: Range<usize>) -> &[Message] {
        self.messages.get(range).unwrap_or_default()
    }

    /// Returns true if all messages have the same destination, or all have none.
    pub(crate) fn has_one_destination(&self) -> bool {
        self.has_one_destination
    }

    /// The weight of the messages in this range.
    pub(super) fn weight_of(&self, range: &Range<usize>) -> usize {
        if *range == (0..self.messages.len()) {
            return self.weight;
        }
        self.get(range.clone()).iter().map(Message::weight).sum()
    }

    /// Returns a batch of these parts, if they weigh less than half of this one: as long as a part waits, the whole batch
    /// is kept.
    pub(super) fn copy_of(&self, parts: &[Range<usize>]) -> Option<Arc<Batch>> {
        let weight: usize = parts.iter().map(|part| self.weight_of(part)).sum();
        if parts.is_empty() || weight >= self.weight / 2 {
            return None;
        }
        let messages = parts.iter().flat_map(|part| self.get(part.clone()));
        let copy = Batch::new(0, messages.map(|message| (message.clone(), None)));
        // The copies may wait longer than this batch.
        let charge = self.budget().map(|budget| budget.charge(copy.memory()));
        Some(Arc::new(match charge {
            Some(charge) => copy.with_charge(charge),
            None => copy,
        }))
    }

    /// Calls `visit` with the parts of the batch that a member gets: without the messages before the number `since`, and
    /// without those that its session does not get.
    pub(super) fn for_each_part(
        &self,
        since: u64,
        session: Option<SessionId>,
        mut visit: impl FnMut(Range<usize>),
    ) {
        let skipped = usize::try_from(since.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let mut start = skipped.min(self.messages.len());
        let mut visit = |part: Range<usize>| {
            if !part.is_empty() {
                visit(part);
            }
        };
        for (place, excepted) in &self.exceptions {
            if session == Some(*excepted) && *place >= start {
                visit(start..*place);
                start = place + 1;
            }
        }
        visit(start..self.messages.len());
    }
}
