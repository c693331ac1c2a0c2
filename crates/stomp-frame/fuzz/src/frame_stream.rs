//! Checks that a stream decodes to the same result in pieces of any size, that errors are permanent, and that the
//! buffered bytes are bounded.
//!
//! The input consists of a version, a number whose bits set the other fields of `Session`, limits, the number of piece
//! sizes, these sizes, and the stream.

use stomp_frame::{DecodeError, Decoded, Decoder, Frame, Limits, Version};

use super::{choices::Choices, encoding};

/// Checks a stream that arrives as a whole, and then in pieces.
pub fn check(input: &[u8]) {
    let mut choices = Choices::new(input);
    let version = choices.version();
    let course = choices.count();
    let session = Session {
        version,
        is_negotiated: course & 1 != 0,
        resumes: course & 2 != 0,
        fed_at_once: 1 + (course >> 2),
        limits: choices.limits(),
    };
    let count = choices.count();
    let sizes: Vec<usize> = (0..count)
        .map(|_| usize::from(choices.byte() % 32) + 1)
        .collect();
    let stream = choices.rest();
    let whole = session.decode(&[stream]);
    assert_eq!(session.decode(&pieces(stream, &sizes)), whole);
    for (frame, version) in &whole.frames {
        encoding::check_decoded(frame, *version);
    }
}

/// Cuts the stream into pieces. Repeats the list of `sizes` until the stream ends. Without sizes, each piece is one
/// byte.
fn pieces<'a>(mut stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(sizes.next().unwrap_or(1).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

struct Session {
    version: Version,
    /// True if `resume` is called at the start.
    is_negotiated: bool,
    /// True if `resume` is called when the decoder stops.
    resumes: bool,
    /// The number of pieces that are fed between calls of `decode`.
    fed_at_once: usize,
    limits: Limits,
}

/// The result of decoding a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The frames, with the version in which they were decoded.
    frames: Vec<(Frame, Version)>,
    /// The number of buffered bytes at the end, or the error.
    end: Result<usize, DecodeError>,
    is_stopped: bool,
}

impl Session {
    fn decode(&self, pieces: &[&[u8]]) -> Outcome {
        let mut decoder = Decoder::new(self.limits);
        let mut version = Version::V1_0;
        if self.is_negotiated {
            version = self.version;
            decoder.resume(version, self.limits);
        }
        let (mut frames, mut end) = (Vec::new(), Ok(0));
        for pieces in pieces.chunks(self.fed_at_once) {
            pieces.iter().for_each(|piece| decoder.feed(piece.to_vec()));
            let (buffered, new) = (
                decoder.buffered_bytes(),
                pieces.iter().map(|piece| piece.len()).sum::<usize>(),
            );
            // The CR of an incomplete EOL is buffered even if the limit is 0.
            assert!(
                buffered <= self.limits.max_frame_bytes.max(1) + new,
                "{buffered} bytes buffered"
            );
            let result = loop {
                match decoder.decode() {
                    Ok(Some(Decoded::Frame(frame))) => {
                        assert_eq!(decoder.is_stopped(), frame.command.is_unescaped());
                        frames.push((frame, version));
                    }
                    Ok(Some(Decoded::HeartBeat)) => {}
                    Ok(None) => break Ok(decoder.buffered_bytes()),
                    Err(error) => break Err(error),
                }
                if decoder.is_stopped() && self.resumes {
                    version = self.version;
                    decoder.resume(version, self.limits);
                }
            };
            assert!(end.is_ok() || end == result, "{end:?} became {result:?}");
            end = result;
        }
        Outcome {
            frames,
            end,
            is_stopped: decoder.is_stopped(),
        }
    }
}
