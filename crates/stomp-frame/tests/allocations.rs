//! Counts the allocations for decoding and encoding a frame. The comments explain each allocation.

#![allow(clippy::unwrap_used, reason = "a panic in a helper fails the test")]

use bytes::{Bytes, BytesMut};
use stomp_frame::{Command, Decoded, Decoder, Encoder, Frame, Limits, Version};

/// A decoder after the negotiation.
struct Session(Decoder);

impl Session {
    fn new() -> Session {
        let mut decoder = Decoder::new(Limits::default());
        decoder.resume(Version::V1_2, Limits::default());
        Session(decoder)
    }

    /// Decodes `pieces`, which must contain `frames` frames, and counts the allocations.
    fn decode(&mut self, pieces: Vec<Bytes>, frames: usize) -> u64 {
        let (mut found, mut pieces) = (Vec::with_capacity(frames), pieces.into_iter());
        let counted = count_allocations(|| {
            for piece in &mut pieces {
                self.0.feed(piece);
                while let Some(item) = self.0.decode().unwrap() {
                    if let Decoded::Frame(frame) = item {
                        found.push(frame);
                    }
                }
            }
        });
        assert_eq!(found.len(), frames);
        counted
    }
}

fn count_allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

/// Part of a larger buffer that is shared already, as it is when a socket feeds a decoder.
fn part_of_a_buffer(text: &str) -> Bytes {
    let mut buffer = Bytes::from(format!("{text}and more bytes"));
    buffer.split_to(text.len())
}

fn send(headers: usize) -> String {
    let lines: String = (0..headers)
        .map(|number| format!("name-{number}:value\n"))
        .collect();
    format!("SEND\n{lines}\nhello\0")
}

#[test]
fn decoding_a_frame_with_up_to_eight_headers_costs_one_allocation() {
    let mut session = Session::new();
    for headers in 1..=8 {
        assert_eq!(
            session.decode(vec![part_of_a_buffer(&send(headers))], 1),
            1,
            "{headers} headers"
        );
    }
    assert_eq!(
        session.decode(vec![part_of_a_buffer(&send(3).repeat(16))], 16),
        16
    );
}

#[test]
fn decoding_a_frame_without_headers_costs_no_allocation() {
    let mut session = Session::new();
    assert_eq!(session.decode(vec![part_of_a_buffer(&send(0))], 1), 0);
    assert_eq!(
        session.decode(vec![part_of_a_buffer("DISCONNECT\n\n\0\n")], 1),
        0
    );
    assert_eq!(session.decode(vec![part_of_a_buffer("\n")], 0), 0);
}

/// The first slice of a buffer that is not shared yet makes `Bytes` allocate a reference count.
#[test]
fn decoding_from_an_unshared_buffer_costs_one_more_allocation() {
    let unshared = || Bytes::from(send(3).into_bytes().into_boxed_slice());
    assert_eq!(Session::new().decode(vec![unshared()], 1), 2);
    assert_eq!(
        Session::new().decode(vec![Bytes::from_static(b"SEND\na:b\n\nhello\0")], 1),
        1
    );
}

/// The index contains room for eight entries. For more entries it allocates a buffer, whose capacity doubles when it is
/// full.
#[test]
fn more_than_eight_headers_cost_one_more_allocation_for_each_doubling() {
    let mut session = Session::new();
    for (headers, expected) in [(9, 2), (16, 2), (17, 3), (32, 3), (33, 4), (64, 4)] {
        assert_eq!(
            session.decode(vec![part_of_a_buffer(&send(headers))], 1),
            expected,
            "{headers} headers"
        );
    }
}

/// The two allocations are the index and the unescaped text.
#[test]
fn decoding_an_escaped_head_costs_two_allocations() {
    let mut session = Session::new();
    assert_eq!(
        session.decode(
            vec![part_of_a_buffer("SEND\na:b\\nc\nd:e\\\\f\n\nhello\0")],
            1
        ),
        2
    );
    let longer = part_of_a_buffer(&format!("SEND\na:b\\nc\n{}\nhello\0", "d:e\n".repeat(12)));
    assert_eq!(
        session.decode(vec![longer], 1),
        3,
        "one more for more than eight headers"
    );
}

/// The four allocations are the copy of the first piece, the growth of this buffer, its reference count, and the index.
#[test]
fn decoding_a_frame_in_two_pieces_costs_four_allocations() {
    let text = send(3);
    for cut in [2, 10, text.len() - 3] {
        let mut rest = part_of_a_buffer(&text);
        let first = rest.split_to(cut);
        assert_eq!(
            Session::new().decode(vec![first, rest], 1),
            4,
            "cut at {cut}"
        );
    }
}

/// The capacity of the buffer doubles, so it grows a logarithmic number of times, and each byte is copied a bounded
/// number of times.
#[test]
fn decoding_many_pieces_costs_logarithmically_many_allocations() {
    let length: usize = 64 << 10;
    let text = format!("SEND\ncontent-length:{length}\n\n{}\0", "x".repeat(length));
    let cut = |size: usize| -> Vec<Bytes> {
        text.as_bytes()
            .chunks(size)
            .map(Bytes::copy_from_slice)
            .collect()
    };
    for size in [1, 16, 256, 4096] {
        let (mut session, pieces) = (Session::new(), cut(size));
        let doublings = (text.len() / size).ilog2() + 1;
        let mut counted = 0;
        let bytes = allocation_counter::measure(|| counted = session.decode(pieces, 1)).bytes_total;
        assert!(
            counted <= u64::from(doublings) + 4,
            "{counted} allocations for pieces of {size} bytes"
        );
        assert!(
            bytes < 5 * text.len() as u64,
            "{bytes} bytes allocated for pieces of {size} bytes"
        );
    }
}

#[test]
fn reading_headers_costs_no_allocation() {
    let frame = Frame::parse(part_of_a_buffer(&send(3)), Version::V1_2).unwrap();
    let mut shared = None;
    let counted = count_allocations(|| {
        shared = frame.headers.share("name-1");
        assert!(frame.headers.contains("name-2"));
        assert_eq!(frame.headers.iter().count(), 3);
    });
    assert_eq!((counted, shared.as_deref()), (0, Some("value")));
}

#[test]
fn encoding_into_a_buffer_with_enough_capacity_costs_no_allocation() {
    let message = Frame::new(Command::Message)
        .with_header("destination", "/a")
        .with_body("hello");
    let escaped = Frame::new(Command::Message)
        .with_header("a:\n", "b\\\r")
        .with_body("hello");
    for frame in [message, escaped] {
        let mut out = BytesMut::with_capacity(256);
        assert_eq!(
            count_allocations(|| Encoder::new(Version::V1_2)
                .encode(&frame, &mut out)
                .unwrap()),
            0
        );
        assert!(out.ends_with(b"\ncontent-length:5\n\nhello\0"));
    }
}

/// The two allocations are a buffer that is large enough from the start, and its reference count.
#[test]
fn encoding_into_new_bytes_costs_two_allocations() {
    let frame = (0..20).fold(
        Frame::new(Command::Message).with_body("hello"),
        |frame, number| frame.with_header(&format!("name-{number}"), "value"),
    );
    let mut bytes = Bytes::new();
    assert_eq!(
        count_allocations(|| bytes = frame.to_bytes(Version::V1_2).unwrap()),
        2
    );
    assert!(bytes.ends_with(b"hello\0"));
}
