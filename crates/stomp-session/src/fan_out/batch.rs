//! Messages that travel together.

use crate::{id::SessionId, message::Message};
use smallvec::SmallVec;

/// Messages that one round brings to all members of a hub. A single message needs no allocation of its own.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: SmallVec<[Message; 1]>,
    /// The number of the first message, counted from the creation of the hub.
    pub(super) first: u64,
    /// The messages that one session does not get: the place in the batch, and the session.
    exceptions: Vec<(usize, SessionId)>,
}

/// A message that waits for a round, and the session that does not get it.
pub(super) type Waiting = (Message, Option<SessionId>);

impl Batch {
    pub(super) fn new(first: u64, waiting: impl Iterator<Item = Waiting>) -> Batch {
        let mut batch = Batch {
            messages: SmallVec::new(),
            first,
            exceptions: Vec::new(),
        };
        for (place, (message, except)) in waiting.enumerate() {
            batch
                .exceptions
                .extend(except.map(|session| (place, session)));
            batch.messages.push(message);
        }
        batch
    }

    /// Calls `visit` with the parts of the batch that a member gets: without the messages before the number `since`, and
    /// without those that its session does not get.
    pub(super) fn for_each_part(
        &self,
        since: u64,
        session: Option<SessionId>,
        mut visit: impl FnMut(&[Message]),
    ) {
        let skipped = usize::try_from(since.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let mut start = skipped;
        let mut visit = |part: Option<&[Message]>| {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                visit(part);
            }
        };
        for (place, excepted) in &self.exceptions {
            if session == Some(*excepted) && *place >= start {
                visit(self.messages.get(start..*place));
                start = place + 1;
            }
        }
        visit(self.messages.get(start..));
    }
}
