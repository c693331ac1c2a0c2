//! Checks that a header is encoded as exactly one header, or not at all.
//!
//! The input consists of a version, a command, the name and the value.

use stomp_frame::Frame;

use super::{choices::Choices, encoding};

/// Checks a frame with one header, first without a body and then with one.
pub fn check(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (version, command) = (choices.version(), choices.command());
    let frame = Frame::new(command).with_header(&choices.text(), &choices.text());
    encoding::check(&frame, version);
    encoding::check(&frame.with_body("body"), version);
}
