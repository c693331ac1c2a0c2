//! Tracks the frames in the bytes that a tungstenite context receives.

use super::frame::{FrameKind, Header, LONGEST_HEADER};
use crate::transport::EMPTY_PIECE_COST;

/// Knows which messages a tungstenite context holds. It parses the frame headers in the bytes that the context
/// receives.
///
/// A context does not report the messages that it holds. The tracker validates nothing: the context rejects bytes that
/// are not valid WebSocket, and after that the tracker's values have no meaning.
#[derive(Debug, Default)]
pub(super) struct FrameTracker {
    /// The received bytes of an incomplete header.
    header: [u8; LONGEST_HEADER],
    header_length: usize,
    /// Bytes of the current payload that were not received yet.
    missing: u64,
    /// The kind of the current frame.
    kind: FrameKind,
    /// Cost of the current message, in bytes: the lengths of its fragments so far, including the announced length of
    /// the last one. Empty fragments cost [`EMPTY_PIECE_COST`].
    pending: u64,
    /// Number of complete messages, including control frames, that were not read from the context yet.
    ready: usize,
}

impl FrameTracker {
    /// Parses bytes that the context receives.
    pub(super) fn track(&mut self, mut bytes: &[u8]) {
        while let [first, after @ ..] = bytes {
            if self.missing > 0 {
                let here = usize::try_from(self.missing)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                bytes = bytes.get(here..).unwrap_or_default();
                self.missing -= here as u64;
            } else if let (0, Some(header)) = (self.header_length, Header::parse(bytes)) {
                bytes = bytes.get(header.size..).unwrap_or_default();
                self.begin(&header);
            } else {
                bytes = after;
                match self.push_header_byte(*first) {
                    Some(header) => self.begin(&header),
                    None => continue,
                }
            }
            if self.missing == 0 {
                self.end();
            }
        }
    }

    /// Adds a byte to a header that arrives in several reads; returns the header once it is complete.
    fn push_header_byte(&mut self, byte: u8) -> Option<Header> {
        *self.header.get_mut(self.header_length)? = byte;
        self.header_length += 1;
        let header = Header::parse(self.header.get(..self.header_length)?)?;
        self.header_length = 0;
        Some(header)
    }

    fn begin(&mut self, header: &Header) {
        (self.missing, self.kind) = (header.payload, header.kind);
        if self.kind != FrameKind::Control {
            let cost = if header.payload == 0 {
                EMPTY_PIECE_COST as u64
            } else {
                header.payload
            };
            self.pending = self.pending.saturating_add(cost);
        }
    }

    fn end(&mut self) {
        match self.kind {
            FrameKind::Fragment => return,
            FrameKind::Final => self.pending = 0,
            FrameKind::Control => {}
        }
        self.ready += 1;
    }

    /// Records that a message or control frame was read from the tungstenite context.
    pub(super) fn message_read(&mut self) {
        self.ready = self.ready.saturating_sub(1);
    }

    /// Number of messages that the context can return without reading more bytes.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// Cost of the current message in bytes.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Returns true if no part of another message or control frame was received.
    pub(super) fn is_between_messages(&self) -> bool {
        self.pending == 0 && self.header_length == 0 && self.missing == 0
    }

    /// Bytes of the current payload that were not received yet; `None` outside of a payload.
    pub(super) fn missing_payload(&self) -> Option<usize> {
        (self.missing > 0).then(|| usize::try_from(self.missing).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIN: u8 = 0x80;
    const CONTINUATION: u8 = 0;
    const BINARY: u8 = 2;
    const PING: u8 = 9;

    fn frame(first: u8, length: usize, mask: &[u8]) -> Vec<u8> {
        let masked = if mask.is_empty() { 0 } else { 0x80 };
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(masked | length as u8),
            126..=0xffff => {
                frame.push(masked | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(masked | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.resize(frame.len() + length, 0xff);
        frame
    }

    #[test]
    fn all_messages_are_counted_in_pieces_of_any_size() {
        for mask in [&[][..], &[1, 2, 3, 4]] {
            let stream = [
                frame(FIN | BINARY, 5, mask),
                frame(BINARY, 200, mask),
                frame(FIN | PING, 3, mask),
                frame(CONTINUATION, 0, mask),
                frame(FIN | CONTINUATION, 0x1_0000, mask),
                frame(FIN | PING, 0, mask),
                frame(FIN | BINARY, 0, mask),
            ]
            .concat();
            for size in [1, 2, 3, 7, 4096, stream.len()] {
                let mut tracker = FrameTracker::default();
                stream.chunks(size).for_each(|piece| tracker.track(piece));
                assert_eq!(tracker.ready(), 5, "{size}");
                assert!(tracker.is_between_messages(), "{size}");
            }
        }
    }

    #[test]
    fn is_between_messages_returns_true_only_at_the_end_of_a_message() {
        let stream = [
            frame(FIN | BINARY, 2, &[1; 4]),
            frame(BINARY, 1, &[1; 4]),
            frame(FIN | CONTINUATION, 130, &[1; 4]),
        ];
        let ends = [stream[0].len(), stream.concat().len()];
        let mut tracker = FrameTracker::default();
        for (at, byte) in stream.concat().iter().enumerate() {
            tracker.track(&[*byte]);
            assert_eq!(
                tracker.is_between_messages(),
                ends.contains(&(at + 1)),
                "after byte {at}"
            );
        }
    }

    #[test]
    fn announced_lengths_and_empty_fragments_add_to_the_cost() {
        let mut tracker = FrameTracker::default();
        tracker.track(&[BINARY, 126, 1, 0]);
        assert_eq!(tracker.pending(), 256);
        assert_eq!(tracker.missing_payload(), Some(256));
        tracker.track(&[0; 256]);
        for _ in 0..10 {
            tracker.track(&frame(CONTINUATION, 0, &[]));
        }
        assert_eq!(tracker.pending(), 256 + 10 * EMPTY_PIECE_COST as u64);
        tracker.track(&[
            FIN | CONTINUATION,
            127,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
        ]);
        assert_eq!(tracker.pending(), u64::MAX);
    }
}
