//! Frames that arrived while a request is being handled.

use crate::weight::frame_weight;
use bytestring::ByteString;
use std::{collections::VecDeque, mem};
use stomp_frame::{Command, Frame, header};

/// Queue of frames for the protocol. The driver stops reading while [`Inbox::is_full`] returns true.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    items: VecDeque<InboxItem>,
    bytes: usize,
    /// Number of frames other than `SEND`.
    others: usize,
}

/// Entry of an [`Inbox`].
#[derive(Debug)]
pub(super) enum InboxItem {
    Frame(Frame),
    /// Receipt of a frame that was handled early. It waits here because receipts follow the order of the frames.
    Receipt(ByteString),
}

impl Inbox {
    pub(super) fn is_full(&self, max_frames: usize, max_bytes: usize) -> bool {
        self.items.len() >= max_frames || self.bytes >= max_bytes
    }

    /// Returns true if only `SEND`s and receipts are queued, which an `ACK` may overtake.
    pub(super) fn has_only_sends(&self) -> bool {
        self.others == 0
    }

    /// The number of frames with this command.
    pub(super) fn count(&self, command: Command) -> usize {
        let frames = self.items.iter();
        frames
            .filter(|item| matches!(item, InboxItem::Frame(frame) if frame.command == command))
            .count()
    }

    /// Calls `acknowledge` with each frame. If it returns true, it has handled the frame, and only its receipt stays.
    pub(super) fn acknowledge(&mut self, mut acknowledge: impl FnMut(&Frame) -> bool) {
        for item in mem::take(self).items {
            match item {
                InboxItem::Frame(frame) if acknowledge(&frame) => {
                    if let Some(receipt) = frame.headers.share(header::RECEIPT) {
                        self.push(InboxItem::Receipt(receipt));
                    }
                }
                item => self.push(item),
            }
        }
    }

    pub(super) fn push(&mut self, item: InboxItem) {
        self.bytes += item.weight();
        self.others += usize::from(item.is_other());
        self.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<InboxItem> {
        let item = self.items.pop_front()?;
        self.bytes -= item.weight();
        self.others -= usize::from(item.is_other());
        Some(item)
    }
}

impl InboxItem {
    fn weight(&self) -> usize {
        match self {
            InboxItem::Frame(frame) => frame_weight(frame),
            InboxItem::Receipt(id) => size_of::<Frame>() + id.len(),
        }
    }

    /// Returns true for a frame other than `SEND`.
    fn is_other(&self) -> bool {
        matches!(self, InboxItem::Frame(frame) if frame.command != Command::Send)
    }
}
