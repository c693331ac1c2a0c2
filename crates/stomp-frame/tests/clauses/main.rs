//! Tests for each clause of the specifications that concerns one frame.
//!
//! The order is that of STOMP 1.2: frames, value encoding, body, content-length, repeated headers, size limits,
//! grammar, and the headers that each frame requires; then the differences of 1.1 and 1.0. Each test quotes its clause.
//! If the specifications leave a choice, the comment explains our choice.

mod body;
mod earlier_versions;
mod frames;
mod headers;
mod value_encoding;

use bytes::Bytes;
use stomp_frame::{Command, DecodeErrorKind, EncodeError, Frame, InvalidFrame, Version};

fn parse(version: Version, bytes: impl AsRef<[u8]>) -> Result<Frame, DecodeErrorKind> {
    Frame::parse(Bytes::copy_from_slice(bytes.as_ref()), version).map_err(|error| error.kind())
}

/// The character that `version` cannot express in `frame`; `None` if there is none.
fn inexpressible(version: Version, frame: &Frame) -> Option<char> {
    match frame.to_bytes(version) {
        Err(EncodeError::Inexpressible { character, .. }) => Some(character),
        _ => None,
    }
}

/// The header that `version` requires and `frame` lacks; `None` if there is none.
fn missing_header(version: Version, frame: &Frame) -> Option<&'static str> {
    match frame.validate(version) {
        Err(InvalidFrame::MissingHeader { name, .. }) => Some(name),
        _ => None,
    }
}

/// All pairs that consist of an item of `first` and an item of `second`.
fn pairs<A: Copy, B: Copy, const N: usize>(
    first: impl IntoIterator<Item = A>,
    second: [B; N],
) -> impl Iterator<Item = (A, B)> {
    first.into_iter().flat_map(move |a| second.map(|b| (a, b)))
}

fn send() -> Frame {
    Frame::new(Command::Send)
}

/// All commands whose frames have escapes.
fn escaped_commands() -> impl Iterator<Item = Command> {
    Command::ALL
        .into_iter()
        .filter(|command| !UNESCAPED.contains(command))
}

/// The commands that open a session, whose frames have no escapes.
const UNESCAPED: [Command; 3] = [Command::Connect, Command::Stomp, Command::Connected];

const WITH_BODY: [Command; 3] = [Command::Send, Command::Message, Command::Error];
