//! The pieces that bytes come in make no difference, errors stay, and what is kept is bounded.
//!
//! The input is a version, how the negotiation goes, limits, the number of pieces' sizes, these sizes, and the stream.

use stomp_frame::{DecodeError, Decoded, Decoder, Frame, Limits, Version};

use super::{choices::Choices, encoding};

/// Checks a stream, at once and in pieces.
pub fn check(input: &[u8]) {
    let mut choices = Choices::new(input);
    let version = choices.version();
    let course = choices.count();
    let session = Session {
        version,
        is_open: course & 1 != 0,
        goes_on: course & 2 != 0,
        fed_at_once: 1 + (course >> 2),
        limits: choices.limits(),
    };
    let count = choices.count();
    let sizes: Vec<usize> = (0..count)
        .map(|_| usize::from(choices.byte() % 32) + 1)
        .collect();
    let stream = choices.rest();
    let whole = session.read(&[stream]);
    assert_eq!(session.read(&pieces(stream, &sizes)), whole);
    for (frame, version) in &whole.frames {
        encoding::check_read(frame, *version);
    }
}

/// The stream in pieces of these sizes, over and over; of one byte if there are none.
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
    /// The version is known from the start.
    is_open: bool,
    /// The version is known once the decoder stops.
    goes_on: bool,
    /// How many pieces come before something is decoded.
    fed_at_once: usize,
    limits: Limits,
}

/// What a stream comes to.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The frames, and the version they were read in.
    frames: Vec<(Frame, Version)>,
    /// How many bytes are left, or the error.
    end: Result<usize, DecodeError>,
    is_stopped: bool,
}

impl Session {
    fn read(&self, pieces: &[&[u8]]) -> Outcome {
        let mut decoder = Decoder::new(self.limits);
        let mut version = Version::V1_0;
        if self.is_open {
            version = self.version;
            decoder.resume(version, self.limits);
        }
        let (mut frames, mut end) = (Vec::new(), Ok(0));
        for pieces in pieces.chunks(self.fed_at_once) {
            pieces.iter().for_each(|piece| decoder.feed(piece.to_vec()));
            let (held, new) = (
                decoder.buffered_bytes(),
                pieces.iter().map(|piece| piece.len()).sum::<usize>(),
            );
            // Half an EOL is kept even where no frame is allowed.
            assert!(
                held <= self.limits.max_frame_bytes.max(1) + new,
                "{held} bytes kept"
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
                if decoder.is_stopped() && self.goes_on {
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
