//! Conversions between frames and text.

use crate::{DecodeError, Frame, Version, header};
use bytes::Bytes;
use std::{
    fmt::{self, Write},
    str::FromStr,
};

/// Writes the frame as STOMP 1.2 text, including the closing NUL. Fails only if the formatter fails.
///
/// The text equals the bytes of [`Frame::to_bytes`], including the `content-length` that encoding adds, with two
/// exceptions:
///
/// - In a body that is not UTF-8, U+FFFD replaces the invalid bytes. The `content-length` still counts the bytes of the
///   body.
/// - A frame that STOMP 1.2 cannot express is written nevertheless. A NUL in a header becomes `\0`. In `CONNECT`,
///   `STOMP` and `CONNECTED` frames, CR and LF in a header, and a colon in a header name, are escaped as in other
///   frames. An empty name, a wrong `content-length` and a forbidden body are written unchanged. Each header remains
///   one line, but the text does not parse back to the same frame.
///
/// The text contains all headers, secrets included. For logs use `Debug`, which hides them.
///
/// ```
/// use stomp_frame::{Command, Frame};
///
/// let frame = Frame::new(Command::Send).with_header("destination", "/a:b").with_body("hi");
/// let text = frame.to_string();
/// assert_eq!(text, "SEND\ndestination:/a\\cb\ncontent-length:2\n\nhi\0");
/// assert_eq!(text.parse(), Ok(frame.with_header("content-length", "2")));
/// ```
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.command)?;
        let has_escapes = !self.command.is_unescaped();
        for (name, value) in self.headers.iter() {
            write_escaped(f, name, has_escapes, true)?;
            f.write_char(':')?;
            write_escaped(f, value, has_escapes, false)?;
            f.write_char('\n')?;
        }
        if !self.body.is_empty() && !self.headers.contains(header::CONTENT_LENGTH) {
            writeln!(f, "{}:{}", header::CONTENT_LENGTH, self.body.len())?;
        }
        write!(f, "\n{}\0", String::from_utf8_lossy(&self.body))
    }
}

/// Writes a name or a value, escaped. If `has_escapes` is false, escapes only characters that would end the line or the
/// name.
fn write_escaped(
    f: &mut fmt::Formatter<'_>,
    text: &str,
    has_escapes: bool,
    is_name: bool,
) -> fmt::Result {
    for character in text.chars() {
        match character {
            '\0' => f.write_str("\\0")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            ':' if has_escapes || is_name => f.write_str("\\c")?,
            '\\' if has_escapes => f.write_str("\\\\")?,
            other => f.write_char(other)?,
        }
    }
    Ok(())
}

/// Parses STOMP 1.2 text, as [`Frame::parse`] does. The closing NUL is required, and EOLs may surround the frame.
///
/// ```
/// use stomp_frame::{Command, Frame};
///
/// let frame: Frame = "ACK\nid:12\n\n\0".parse()?;
/// assert_eq!(frame, Frame::new(Command::Ack).with_header("id", "12"));
///
/// let error = "ACKNOWLEDGE\n\n\0".parse::<Frame>().unwrap_err();
/// assert_eq!(error.to_string(), r#"unknown command: "ACKNOWLEDGE", at byte 0 of the frame"#);
/// # Ok::<(), stomp_frame::DecodeError>(())
/// ```
impl FromStr for Frame {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        Frame::parse(Bytes::copy_from_slice(text.as_bytes()), Version::V1_2)
    }
}
