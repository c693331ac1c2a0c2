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
fn version_of(name: &str) -> Option<Version> {
    Version::ALL
        .into_iter()
        .find(|version| subprotocol_name(*version) == name)
}

/// The items of a comma-separated header, which may have several lines.
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}
