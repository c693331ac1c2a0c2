//! WebSocket frame headers and masks (RFC 6455, sections 5.2 and 5.3).

/// Length in bytes of the longest header: two bytes, an extended length and a masking key.
pub(super) const LONGEST_HEADER: usize = 2 + 8 + 4;

/// The role of a frame: part of a message, or a control frame.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum FrameKind {
    /// The last or only frame of a message.
    #[default]
    Final,
    /// A fragment of a message, but not the last one.
    Fragment,
    /// A ping, pong or close.
    Control,
}

/// The parts of a frame header that are needed to find the end of the frame.
pub(super) struct Header {
    pub(super) kind: FrameKind,
    /// Length of the payload in bytes.
    pub(super) payload: u64,
    /// Length of the header itself in bytes.
    pub(super) size: usize,
}

impl Header {
    /// Parses the header at the beginning of `bytes`; `None` if it is incomplete.
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
        let kind = match (first & 0x08, first & 0x80) {
            (0, 0) => FrameKind::Fragment,
            (0, _) => FrameKind::Final,
            _ => FrameKind::Control,
        };
        (bytes.len() >= size).then_some(Header {
            kind,
            payload,
            size,
        })
    }
}

/// Masks or unmasks a payload. Masking twice restores the payload.
///
/// RFC 6455, section 5.3: byte i of the payload is XORed with byte i modulo 4 of the key.
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    // 16 bytes at a time, so that the compiler vectorizes the loop.
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
