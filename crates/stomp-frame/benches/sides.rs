//! The two sides that are compared: the floor and this crate. Both decode or encode the same frames.

use crate::{floor::Floor, workload::Workload};
use bytes::BytesMut;
use std::hint::black_box;
use stomp_frame::{Decoder, Encoder, Frame, Limits, Version};

/// A function that does its work the given number of times.
pub(crate) type Repeat = Box<dyn FnMut(u64)>;

pub(crate) fn floor_decodes(Workload { pieces, frames }: Workload) -> Repeat {
    let mut floor = Floor::default();
    Box::new(move |times| {
        for _ in 0..times {
            match black_box(&pieces[..]) {
                [whole] => assert_eq!(floor.decode(whole), whole.len()),
                pieces => assert_eq!(
                    floor.decode_pieces(pieces.iter().map(AsRef::as_ref)),
                    frames
                ),
            }
        }
    })
}

/// Decodes with this crate. Feeds one piece after the other, as a connection does, and drops each frame at once.
pub(crate) fn ours_decodes(Workload { pieces, frames }: Workload) -> Repeat {
    let limits = Limits::default().max_frame_bytes(2 << 20);
    let mut decoder = Decoder::new(limits);
    decoder.resume(Version::V1_2, limits);
    Box::new(move |times| {
        for _ in 0..times {
            let mut found = 0;
            for piece in black_box(&pieces) {
                decoder.feed(piece.clone());
                while let Some(item) = decoder.decode().expect("only frames") {
                    black_box(item);
                    found += 1;
                }
            }
            assert_eq!(found, frames);
        }
    })
}

pub(crate) fn floor_encodes(frame: &Frame) -> Repeat {
    let bytes = frame.to_bytes(Version::V1_2).expect("a valid frame");
    let mut floor = Floor::default();
    Box::new(move |times| {
        for _ in 0..times {
            floor.encode(black_box(&bytes));
        }
    })
}

pub(crate) fn ours_encodes(frame: Frame) -> Repeat {
    let encoder = Encoder::new(Version::V1_2);
    let mut out = BytesMut::new();
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            encoder
                .encode(black_box(&frame), &mut out)
                .expect("a valid frame");
            black_box(&out[..]);
        }
    })
}
