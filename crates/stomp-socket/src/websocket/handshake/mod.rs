//! The WebSocket handshake (RFC 6455, section 4), as functions over the heads of requests and responses.
//!
//! A server answers a request with [`accept`]. A client creates a request with [`request`] and checks the response with
//! [`verify`]. An HTTP library such as hyper must send and receive the heads.

mod client;
mod server;

pub use client::{HandshakeError, request, verify};
pub use server::{Accepted, Rejection, accept};

use http::{HeaderMap, header};
use stomp_frame::Version;

/// The name of a STOMP version as a WebSocket sub-protocol.
#[must_use]
pub const fn subprotocol_name(version: Version) -> &'static str {
    match version {
        Version::V1_0 => "v10.stomp",
        Version::V1_1 => "v11.stomp",
        Version::V1_2 => "v12.stomp",
    }
}

/// The STOMP version with this sub-protocol name; `None` if there is none.
fn version_of(name: &[u8]) -> Option<Version> {
    Version::ALL
        .into_iter()
        .find(|version| subprotocol_name(*version).as_bytes() == name)
}

/// The items of a header whose value is a comma-separated list. The header may have several lines, and empty items are
/// ignored.
///
/// RFC 9110, section 5.3: "a recipient MAY combine multiple field lines within a field section that have the same field
/// name into one field line, without changing the semantics of the message".
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// Returns true if the list header contains `word`, in any case.
fn list_contains(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    list(headers, name).any(|item| item.eq_ignore_ascii_case(word.as_bytes()))
}

/// The value of a header that may have only one line; `None` if the header is missing or repeated.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&[u8]> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then(|| line.as_bytes().trim_ascii())
}
