//! Frames that came while a request was being handled.

use std::collections::VecDeque;
use stomp_frame::Frame;

/// Frames waiting for their turn, within bounds.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    frames: VecDeque<Frame>,
    octets: usize,
}

impl Inbox {
    pub(crate) fn is_full(&self, frames: usize, octets: usize) -> bool {
        self.frames.len() >= frames || self.octets >= octets
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.octets += weight(&frame);
        self.frames.push_back(frame);
    }

    pub(crate) fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.octets -= weight(&frame);
        Some(frame)
    }
}

/// About a frame's size in memory.
pub(crate) fn weight(frame: &Frame) -> usize {
    let headers: usize = frame.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    size_of::<Frame>() + headers + frame.body.len()
}
