//! What a decoder is left with between frames: half an end of line, and no memory of what it has given away.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use stomp_frame::{Decoded, Decoder, Limits, Version};

fn negotiated() -> Decoder {
    let mut decoder = Decoder::new(Limits::default());
    decoder.resume(Version::V1_2, Limits::default());
    decoder
}

/// Everything in these pieces, in short: `F` is a frame, and `.` a heart-beat.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut decoder, mut found) = (negotiated(), String::new());
    for piece in pieces {
        decoder.feed(piece.to_vec());
        while let Some(item) = decoder.decode().unwrap() {
            found.push(if item == Decoded::HeartBeat { '.' } else { 'F' });
        }
    }
    assert_eq!(decoder.buffered_bytes(), 0);
    found
}

#[test]
fn an_end_of_line_may_be_cut_between_frames() {
    const WIRE: &[u8] =
        b"\r\nSEND\r\ndestination:/a\r\n\r\nx\0\r\nSEND\r\ndestination:/a\r\n\r\nx\0\r\n";
    for cut in 0..=WIRE.len() {
        let (one, two) = WIRE.split_at(cut);
        assert_eq!(decode([one, two]), ".F.F.", "cut at {cut}");
    }
    assert_eq!(decode(WIRE.chunks(1)), ".F.F.");
    assert_eq!(decode([&b"\r"[..], b"\n\r", b"\n"]), "..");
}

#[test]
fn half_an_end_of_line_is_no_frame() {
    for wire in [
        "\rSEND\ndestination:/a\n\n\0",
        "\r\r\nSEND\ndestination:/a\n\n\0",
    ] {
        let mut decoder = negotiated();
        for byte in wire.bytes() {
            decoder.feed(vec![byte]);
            match decoder.decode() {
                Ok(item) => assert_eq!(item, None, "{wire:?}"),
                Err(_) => break,
            }
        }
        decoder.decode().unwrap_err();
    }
}

#[test]
fn a_frame_that_came_in_pieces_leaves_nothing_behind() {
    let mut decoder = negotiated();
    let wire = format!("SEND\ndestination:/a\n\n{}\0", "x".repeat(255_000));
    let measured = allocation_counter::measure(|| {
        for piece in wire.as_bytes().chunks(4_096) {
            decoder.feed(piece.to_vec());
            while decoder.decode().unwrap().is_some() {}
        }
    });
    assert!(measured.bytes_max > wire.len() as u64, "{measured:?}");
    assert!(measured.bytes_current < 1_024, "{measured:?}");
}
