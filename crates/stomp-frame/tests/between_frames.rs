//! Tests for the decoder between two frames: EOLs that arrive in pieces, and memory that is released after a frame.

#![allow(clippy::unwrap_used, reason = "a panic in a helper fails the test")]

use stomp_frame::{Decoded, Decoder, Limits, Version};

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(Limits::default());
    decoder.resume(Version::V1_2, Limits::default());
    decoder
}

/// Decodes `pieces`, and returns a text with `F` for each frame and `.` for each heart-beat.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut decoder, mut found) = (decoder(), String::new());
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
fn an_eol_between_frames_may_arrive_in_pieces() {
    const STREAM: &[u8] =
        b"\r\nSEND\r\ndestination:/a\r\n\r\nx\0\r\nSEND\r\ndestination:/a\r\n\r\nx\0\r\n";
    for cut in 0..=STREAM.len() {
        let (one, two) = STREAM.split_at(cut);
        assert_eq!(decode([one, two]), ".F.F.", "cut at {cut}");
    }
    assert_eq!(decode(STREAM.chunks(1)), ".F.F.");
    assert_eq!(decode([&b"\r"[..], b"\n\r", b"\n"]), "..");
}

#[test]
fn a_cr_without_lf_between_frames_is_an_error() {
    for stream in [
        "\rSEND\ndestination:/a\n\n\0",
        "\r\r\nSEND\ndestination:/a\n\n\0",
    ] {
        let mut decoder = decoder();
        for byte in stream.bytes() {
            decoder.feed(vec![byte]);
            match decoder.decode() {
                Ok(item) => assert_eq!(item, None, "{stream:?}"),
                Err(_) => break,
            }
        }
        decoder.decode().unwrap_err();
    }
}

#[test]
fn a_frame_in_pieces_leaves_no_buffer_behind() {
    let mut decoder = decoder();
    let frame = format!("SEND\ndestination:/a\n\n{}\0", "x".repeat(255_000));
    let measured = allocation_counter::measure(|| {
        for piece in frame.as_bytes().chunks(4_096) {
            decoder.feed(piece.to_vec());
            while decoder.decode().unwrap().is_some() {}
        }
    });
    assert!(measured.bytes_max > frame.len() as u64, "{measured:?}");
    assert!(measured.bytes_current < 1_024, "{measured:?}");
}
