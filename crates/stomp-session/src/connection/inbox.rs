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

    /// The number of frames for which `is_meant` returns true.
    pub(super) fn count(&self, is_meant: impl Fn(&Frame) -> bool) -> usize {
        let frames = self.items.iter();
        frames
            .filter(|item| matches!(item, InboxItem::Frame(frame) if is_meant(frame)))
            .count()
    }

    /// Calls `acknowledge` with each frame, up to the first one of a transaction other than a `SEND`: it may decide which
    /// deliveries the `ACK`s behind it cover. If `acknowledge` returns true, it has handled the frame, and only its
    /// receipt stays.
    pub(super) fn acknowledge(&mut self, mut acknowledge: impl FnMut(&Frame) -> bool) {
        let mut is_behind = false;
        for item in mem::take(self).items {
            match item {
                InboxItem::Frame(frame) if !is_behind && acknowledge(&frame) => {
                    if let Some(receipt) = frame.headers.share(header::RECEIPT) {
                        self.push(InboxItem::Receipt(receipt));
                    }
                }
                item => {
                    is_behind |= item.is_of_transaction();
                    self.push(item);
                }
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

    /// Returns true for a frame of a transaction other than `SEND`.
    fn is_of_transaction(&self) -> bool {
        self.is_other()
            && matches!(self, InboxItem::Frame(frame) if frame.headers.contains(header::TRANSACTION))
    }

    /// Returns true for a frame other than `SEND`.
    fn is_other(&self) -> bool {
        matches!(self, InboxItem::Frame(frame) if frame.command != Command::Send)
    }
}
