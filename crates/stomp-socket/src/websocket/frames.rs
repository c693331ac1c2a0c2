//! Where the frames of a WebSocket begin and end, and their masks (RFC 6455, sections 5.2 and 5.3).

use crate::wire::EMPTY_PIECE;

/// Follows the headers of what is given to a context, to know what it holds without asking.
///
/// It judges nothing: what is not WebSocket is for the context to refuse, and what stands here then means nothing.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What has come of a header that is not complete.
    header: [u8; LONGEST_HEADER],
    header_length: usize,
    /// What is still to come of a payload.
    rest: u64,
    ends: Ends,
    /// What the message that is coming counts for: its fragments so far, and all that the last one announces.
    pending: u64,
    /// Messages that are complete and were not yet taken out of the context, pings and the like too.
    ready: usize,
}

/// Two bytes, a long length, a mask.
const LONGEST_HEADER: usize = 2 + 8 + 4;

/// What the payload of a frame ends.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Ends {
    #[default]
    Message,
    Fragment,
    Control,
}

pub(super) struct Header {
    ends: Ends,
    /// The payload's length.
    pub(super) payload: u64,
    /// The header's own length.
    pub(super) size: usize,
}

impl Header {
    /// The header at the beginning of `bytes`, if all of it is there.
    pub(super) fn parse(bytes: &[u8]) -> Option<Header> {
        let [first, second, extended @ ..] = bytes else {
            return None;
        };
        let (payload, size) = match (second & 0x7f, extended) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)
            }
            (126 | 127, _) => return None,
            (length, _) => (u64::from(length), 2),
        };
        let size = if second & 0x80 == 0 { size } else { size + 4 };
        let ends = match (first & 0x08, first & 0x80) {
            (0, 0) => Ends::Fragment,
            (0, _) => Ends::Message,
            _ => Ends::Control,
        };
        (bytes.len() >= size).then_some(Header {
            ends,
            payload,
            size,
        })
    }
}

impl Frames {
    /// Learns of bytes that the context is given.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let [first, after @ ..] = bytes {
            if self.rest > 0 {
                let here = usize::try_from(self.rest)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                bytes = bytes.get(here..).unwrap_or_default();
                self.rest -= here as u64;
            } else if let (0, Some(header)) = (self.header_length, Header::parse(bytes)) {
                bytes = bytes.get(header.size..).unwrap_or_default();
                self.begin(&header);
            } else {
                bytes = after;
                match self.gather(*first) {
                    Some(header) => self.begin(&header),
                    None => continue,
                }
            }
            if self.rest == 0 {
                self.end();
            }
        }
    }

    /// Adds a byte to a header that comes in pieces.
    fn gather(&mut self, byte: u8) -> Option<Header> {
        *self.header.get_mut(self.header_length)? = byte;
        self.header_length += 1;
        let header = Header::parse(self.header.get(..self.header_length)?)?;
        self.header_length = 0;
        Some(header)
    }

    fn begin(&mut self, header: &Header) {
        (self.rest, self.ends) = (header.payload, header.ends);
        if self.ends != Ends::Control {
            let counted = if header.payload == 0 {
                EMPTY_PIECE as u64
            } else {
                header.payload
            };
            self.pending = self.pending.saturating_add(counted);
        }
    }

    fn end(&mut self) {
        match self.ends {
            Ends::Fragment => return,
            Ends::Message => self.pending = 0,
            Ends::Control => {}
        }
        self.ready += 1;
    }

    /// The context gave a message.
    pub(super) fn take(&mut self) {
        self.ready = self.ready.saturating_sub(1);
    }

    /// Messages that the context gives without reading more.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// What the message that is coming counts for, in bytes.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether nothing has come of a next message, and of no frame between messages.
    pub(super) fn is_between_messages(&self) -> bool {
        self.pending == 0 && self.header_length == 0 && self.rest == 0
    }

    /// Bytes of the payload that is coming which have not come.
    pub(super) fn rest(&self) -> Option<usize> {
        (self.rest > 0).then(|| usize::try_from(self.rest).unwrap_or(usize::MAX))
    }
}

/// Masks a payload, or takes its mask off.
///
/// RFC 6455, section 5.3: byte i of the payload is XORed with byte i modulo 4 of the key.
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    // As many at a time as compilers do at once.
    let mut parts = payload.chunks_exact_mut(16);
    let [a, b, c, d] = key;
    let keys = [a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d];
    for part in &mut parts {
        part.iter_mut()
            .zip(keys)
            .for_each(|(byte, key)| *byte ^= key);
    }
    parts
        .into_remainder()
        .iter_mut()
        .zip(keys)
        .for_each(|(byte, key)| *byte ^= key);
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
    fn messages_are_counted_whatever_the_pieces() {
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
                let mut frames = Frames::default();
                stream.chunks(size).for_each(|piece| frames.follow(piece));
                assert_eq!(frames.ready(), 5, "{size}");
                assert!(frames.is_between_messages(), "{size}");
            }
        }
    }

    #[test]
    fn between_messages_is_nowhere_else() {
        let stream = [
            frame(FIN | BINARY, 2, &[1; 4]),
            frame(BINARY, 1, &[1; 4]),
            frame(FIN | CONTINUATION, 130, &[1; 4]),
        ];
        let ends = [stream[0].len(), stream.concat().len()];
        let mut frames = Frames::default();
        for (at, byte) in stream.concat().iter().enumerate() {
            frames.follow(&[*byte]);
            assert_eq!(
                frames.is_between_messages(),
                ends.contains(&(at + 1)),
                "after byte {at}"
            );
        }
    }

    #[test]
    fn what_is_announced_counts_and_empty_fragments_do() {
        let mut frames = Frames::default();
        frames.follow(&[BINARY, 126, 1, 0]);
        assert_eq!(frames.pending(), 256);
        assert_eq!(frames.rest(), Some(256));
        frames.follow(&[0; 256]);
        for _ in 0..10 {
            frames.follow(&frame(CONTINUATION, 0, &[]));
        }
        assert_eq!(frames.pending(), 256 + 10 * EMPTY_PIECE as u64);
        frames.follow(&[
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
        assert_eq!(frames.pending(), u64::MAX);
    }
}
