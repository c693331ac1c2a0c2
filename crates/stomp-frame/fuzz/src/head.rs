//! A head is read as the grammar says, and what was read can be written again.
//!
//! The input is a version, then the head without its last two EOLs. It may hold a body of its own.

use stomp_frame::Frame;

use super::{choices::Choices, encoding, reference};

/// Checks a head.
pub fn check(input: &[u8]) {
    let mut choices = Choices::new(input);
    let version = choices.version();
    let bytes = [choices.rest(), b"\n\n\0"].concat();
    let read = Frame::parse(bytes.clone(), version);
    assert_eq!(
        read.as_ref().ok(),
        reference::frame(&bytes, version).as_ref(),
        "{read:?}"
    );
    let (lines, rest) = reference::head(&bytes);
    match read {
        Ok(mut frame) => {
            assert_eq!(frame.headers.len() + 1, lines.len(), "{frame:?}");
            encoding::check_read(&frame, version);
            // What was read is shared; what was changed is not.
            frame.headers.append("a", ":");
            encoding::check(&frame, version);
            let name = frame.headers.iter().map(|(name, _)| name.to_owned()).next();
            name.iter()
                .for_each(|name| assert!(frame.headers.remove(name)));
            encoding::check(&frame, version);
        }
        // A receipt is told rightly or not at all.
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
