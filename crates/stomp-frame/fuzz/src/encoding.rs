//! Checks that apply to every frame that is encoded.

use bytes::BytesMut;
use stomp_frame::{Encoder, Frame, Version};

use super::reference;

/// Encodes `frame`. If `version` can express it, checks that the bytes decode to exactly this frame, apart from the
/// spaces around its values in STOMP 1.0; otherwise, that nothing is written.
pub(crate) fn check(frame: &Frame, version: Version) {
    const BEFORE: &[u8] = b"earlier bytes";
    let mut out = BytesMut::from(BEFORE);
    let result = Encoder::new(version).encode(frame, &mut out);
    assert_eq!(
        result.is_ok(),
        reference::is_expressible(frame, version),
        "{result:?}: {frame:?} in {version}"
    );
    let bytes = out.strip_prefix(BEFORE);
    let Some(bytes) = bytes.filter(|_| result.is_ok()) else {
        assert_eq!(out, BEFORE, "{result:?}");
        return;
    };
    // `parse` fails if any bytes follow the frame.
    let decoded = Frame::parse(bytes.to_vec(), version);
    assert_eq!(
        decoded.as_ref(),
        Ok(&read_back(frame, version)),
        "{bytes:?} in {version}"
    );
    let (lines, _) = reference::head(bytes);
    assert_eq!(
        decoded.map(|frame| frame.headers.len() + 1),
        Ok(lines.len()),
        "{bytes:?}"
    );
    check_parts(frame, version, bytes);
}

/// Checks that a frame that was decoded in `version` can be encoded in the same version.
pub(crate) fn check_decoded(frame: &Frame, version: Version) {
    assert!(
        reference::is_expressible(frame, version),
        "{frame:?} in {version}"
    );
    check(frame, version);
}

/// Returns the frame with the `content-length` that encoding adds, and without the spaces that decoding removes.
fn read_back(frame: &Frame, version: Version) -> Frame {
    let mut frame = frame.clone();
    frame.headers = reference::trimmed(frame.command, &frame.headers, version);
    match frame.body.len() {
        1.. if !frame.headers.contains("content-length") => {
            let length = frame.body.len().to_string();
            frame.with_header("content-length", &length)
        }
        _ => frame,
    }
}

/// Checks that encoding `frame` in parts results in the same bytes as encoding it as a whole.
fn check_parts(frame: &Frame, version: Version, whole: &[u8]) {
    if frame.command.is_unescaped() || frame.headers.contains("content-length") {
        return;
    }
    let (encoder, mut out) = (Encoder::new(version), BytesMut::new());
    encoder.command(frame.command, &mut out);
    for (name, value) in frame.headers.iter() {
        assert_eq!(encoder.header(name, value, &mut out), Ok(()));
    }
    encoder.body(&frame.body, &mut out);
    assert_eq!(out, whole);
}
