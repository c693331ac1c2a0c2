//! Frames that came while a request was being handled.

use crate::weight::weight;
use bytestring::ByteString;
use std::collections::VecDeque;
use stomp_frame::{Command, Frame};

/// Frames waiting for their turn, within bounds.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// How many frames are not `SEND`.
    others: usize,
}

/// What has its turn.
#[derive(Debug)]
pub(crate) enum Waiting {
    Frame(Frame),
    /// The receipt of a frame that was handled before its turn: receipts are in the order of the frames.
    Receipt(ByteString),
}

impl Inbox {
    pub(crate) fn is_full(&self, frames: usize, bytes: usize) -> bool {
        self.waiting.len() >= frames || self.bytes >= bytes
    }

    /// Whether an `ACK` may overtake all that waits.
    pub(crate) fn has_only_sends(&self) -> bool {
        self.others == 0
    }

    pub(crate) fn push(&mut self, item: Waiting) {
        self.bytes += item.weight();
        self.others += usize::from(item.is_other());
        self.waiting.push_back(item);
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let item = self.waiting.pop_front()?;
        self.bytes -= item.weight();
        self.others -= usize::from(item.is_other());
        Some(item)
    }
}

impl Waiting {
    fn weight(&self) -> usize {
        match self {
            Waiting::Frame(frame) => weight(frame),
            Waiting::Receipt(id) => size_of::<Frame>() + id.len(),
        }
    }

    fn is_other(&self) -> bool {
        matches!(self, Waiting::Frame(frame) if frame.command != Command::Send)
    }
}
