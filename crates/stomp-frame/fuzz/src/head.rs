//! Checks that a head is decoded according to the grammar, and that a decoded frame can be encoded again.
//!
//! The input consists of a version, and the head without its last two EOLs. The bytes may also contain a body.

use stomp_frame::Frame;

use super::{choices::Choices, encoding, reference};

/// Checks a head.
pub fn check(input: &[u8]) {
    let mut choices = Choices::new(input);
    let version = choices.version();
    let bytes = [choices.rest(), b"\n\n\0"].concat();
    let decoded = Frame::parse(bytes.clone(), version);
    assert_eq!(
        decoded.as_ref().ok(),
        reference::frame(&bytes, version).as_ref(),
        "{decoded:?}"
    );
    let (lines, rest) = reference::head(&bytes);
    match decoded {
        Ok(mut frame) => {
            assert_eq!(frame.headers.len() + 1, lines.len(), "{frame:?}");
            encoding::check_decoded(&frame, version);
            // Decoded headers share the bytes of the frame; changed headers do not.
            frame.headers.append("a", ":");
            encoding::check(&frame, version);
            let name = frame.headers.iter().map(|(name, _)| name.to_owned()).next();
            name.iter()
                .for_each(|name| assert!(frame.headers.remove(name)));
            encoding::check(&frame, version);
        }
        // An error contains the correct receipt, or none.
        Err(error) if error.receipt().is_some() && rest == b"\0" => {
            assert_eq!(
                error.receipt(),
                reference::receipt(&lines, version).as_deref(),
                "{error:?}"
            );
        }
        Err(_) => {}
    }
}
