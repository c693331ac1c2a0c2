//! Checks that a `content-length` is one to ten digits and determines the position of the NUL, and that the decoder
//! returns no frame before the NUL arrives.
//!
//! The input is the value of the header, a line feed, and the bytes after the head without the last NUL.

use bytes::Bytes;
use stomp_frame::{DecodeErrorKind as Kind, Decoded, Decoder, Limits, Version};

use super::reference;

/// Checks a frame that has a `content-length`. Its head arrives first, and its body in a second piece.
pub fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let value = parts.next().unwrap_or_default();
    let head = [b"SEND\ncontent-length:", value, b"\n\n"].concat();
    let rest = [parts.next().unwrap_or_default(), b"\0"].concat();

    let limits = Limits::default();
    let mut decoder = Decoder::new(limits);
    decoder.resume(Version::V1_2, limits);
    decoder.feed(head.clone());
    if let Ok(item) = decoder.decode() {
        assert_eq!(item, None, "a frame before its NUL");
        assert_eq!(decoder.buffered_bytes(), head.len());
    }
    decoder.feed(rest.clone());
    let result = decoder.decode().map_err(|error| error.kind());
    assert!(decoder.buffered_bytes() <= head.len() + rest.len());

    let Some(length) = content_length(value) else {
        assert!(result.is_err(), "{value:?}: {result:?}");
        return;
    };
    let expected = match rest.get(length) {
        _ if head.len() + length >= limits.max_frame_bytes => {
            Err(Kind::FrameTooLong(limits.max_frame_bytes))
        }
        None => Ok(None),
        Some(0) => Ok(rest.get(..length)),
        Some(_) => Err(Kind::MissingNul),
    };
    let body = |item: &Decoded| match item {
        Decoded::Frame(frame) => frame.body.clone(),
        Decoded::HeartBeat => Bytes::from("a heart-beat"),
    };
    assert_eq!(
        result
            .map(|item| item.as_ref().map(body))
            .as_ref()
            .map(Option::as_deref),
        expected.as_ref().copied()
    );
}

/// Parses the value. As in any line, a CR before the LF is not part of it.
fn content_length(value: &[u8]) -> Option<usize> {
    reference::content_length(std::str::from_utf8(value.strip_suffix(b"\r").unwrap_or(value)).ok()?)
}
