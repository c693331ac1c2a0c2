//! THE FLOOR: the work that no codec can avoid.
//!
//! Decoding must find each line feed and each colon of a head and the end of the body, and copy the frame once.
//! Encoding must copy the encoded bytes. The floor checks, keeps and allocates nothing.
//!
//! Do not change this file: each ratio that the benches print is relative to it, so a change makes old ratios
//! meaningless.

use memchr::memchr;
use std::hint::black_box;

/// The floor, with a buffer that is reused.
#[derive(Default)]
pub(crate) struct Floor {
    buffer: Vec<u8>,
}

impl Floor {
    /// Decodes one frame, and returns its length.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> usize {
        let length = find(bytes).unwrap_or(0);
        self.encode(&bytes[..length]);
        length
    }

    /// Decodes the frames of a stream in pieces, and returns their number.
    pub(crate) fn decode_pieces<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> usize {
        let (mut frames, mut needed) = (0, 0);
        self.buffer.clear();
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() < needed {
                continue;
            }
            let mut start = 0;
            loop {
                match find(&self.buffer[start..]) {
                    Ok(length) => {
                        black_box(&self.buffer[start..start + length]);
                        start += length;
                        frames += 1;
                    }
                    Err(length) => {
                        needed = length;
                        break;
                    }
                }
            }
            self.buffer.drain(..start);
        }
        frames
    }

    /// Encodes a frame whose bytes are known.
    pub(crate) fn encode(&mut self, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        black_box(self.buffer.as_slice());
    }
}

/// Finds the length of the first frame. If it is incomplete, the error is the number of bytes to wait for before the
/// next try.
fn find(bytes: &[u8]) -> Result<usize, usize> {
    let more = bytes.len() + 1;
    let mut line = memchr(b'\n', bytes).ok_or(more)? + 1;
    let mut body_len = None;
    loop {
        let rest = &bytes[line..];
        let end = memchr(b'\n', rest).ok_or(more)?;
        line += end + 1;
        if end == 0 {
            break;
        }
        let header = &rest[..end];
        black_box(memchr(b':', header));
        if let Some(digits) = header.strip_prefix(b"content-length:") {
            body_len = Some(
                digits
                    .iter()
                    .fold(0, |number, digit| number * 10 + usize::from(digit - b'0')),
            );
        }
    }
    let length = match body_len {
        Some(bytes) => line + bytes + 1,
        None => line + memchr(0, &bytes[line..]).ok_or(more)? + 1,
    };
    if length <= bytes.len() {
        Ok(length)
    } else {
        Err(length)
    }
}
