//! THE FLOOR: what no codec can save.
//!
//! To decode is at least to find each line feed and each colon of a head and the end of the body, and to copy the
//! frame once; to encode is at least to copy what is written. Nothing is checked, kept or allocated.
//!
//! Written once and then left alone: every ratio that the benches print is a ratio to this file, and changing it makes
//! old ratios meaningless.

use memchr::memchr;
use std::hint::black_box;

/// A buffer that is used again and again.
#[derive(Default)]
pub(crate) struct Floor {
    kept: Vec<u8>,
}

impl Floor {
    /// Decodes the frame that `bytes` are, and says how many bytes it has.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> usize {
        let length = find(bytes).unwrap_or(0);
        self.encode(&bytes[..length]);
        length
    }

    /// Decodes the frames that `pieces` are together, and says how many there are.
    pub(crate) fn decode_pieces<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> usize {
        let (mut frames, mut needed) = (0, 0);
        self.kept.clear();
        for piece in pieces {
            self.kept.extend_from_slice(piece);
            if self.kept.len() < needed {
                continue;
            }
            let mut start = 0;
            loop {
                match find(&self.kept[start..]) {
                    Ok(length) => {
                        black_box(&self.kept[start..start + length]);
                        start += length;
                        frames += 1;
                    }
                    Err(length) => {
                        needed = length;
                        break;
                    }
                }
            }
            self.kept.drain(..start);
        }
        frames
    }

    /// Encodes a frame whose `bytes` are known.
    pub(crate) fn encode(&mut self, bytes: &[u8]) {
        self.kept.clear();
        self.kept.extend_from_slice(bytes);
        black_box(self.kept.as_slice());
    }
}

/// How many bytes the first frame has. If it goes on: how many there must be before it is worth another look.
fn find(bytes: &[u8]) -> Result<usize, usize> {
    let more = bytes.len() + 1;
    let mut line = memchr(b'\n', bytes).ok_or(more)? + 1;
    let mut stated = None;
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
            stated = Some(
                digits
                    .iter()
                    .fold(0, |number, digit| number * 10 + usize::from(digit - b'0')),
            );
        }
    }
    let length = match stated {
        Some(bytes) => line + bytes + 1,
        None => line + memchr(0, &bytes[line..]).ok_or(more)? + 1,
    };
    if length <= bytes.len() {
        Ok(length)
    } else {
        Err(length)
    }
}
