//! Excerpts of a peer's text for error messages.

use std::fmt;

/// Maximum bytes of a value that an error message quotes. Longer values are cut.
pub(crate) const MAX_EXCERPT: usize = 40;

/// The first `max` bytes as text. Invalid UTF-8 becomes U+FFFD, and an ellipsis replaces the rest.
///
/// The length is bounded because error messages are logged and sent back to the peer.
pub(crate) fn excerpt(bytes: &[u8], max: usize) -> Box<str> {
    match bytes.get(..max) {
        Some(start) if bytes.len() > max => format!("{}…", String::from_utf8_lossy(start)).into(),
        _ => String::from_utf8_lossy(bytes).into(),
    }
}

/// Displays text in quotes, escaped, and cut after [`MAX_EXCERPT`] bytes.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*excerpt(self.0.as_bytes(), MAX_EXCERPT), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_and_control_characters_escaped() {
        assert_eq!(Quoted("a\r\nb").to_string(), r#""a\r\nb""#);
        assert_eq!(
            Quoted(&"x".repeat(40)).to_string(),
            format!("{:?}", "x".repeat(40))
        );
        assert_eq!(
            Quoted(&"x".repeat(41)).to_string(),
            format!("\"{}…\"", "x".repeat(40))
        );
        assert_eq!(&*excerpt(b"\xff\xfe", 1), "\u{fffd}…");
    }
}
