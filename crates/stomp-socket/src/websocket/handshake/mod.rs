//! A WebSocket handshake (RFC 6455, section 4), as functions of the heads of requests and responses.
//!
//! A server answers a request with [`accept`]; a client makes one with [`request`] and looks at the answer with
//! [`confirm`]. Who carries the heads, such as hyper, is not of interest here.

mod client;
mod server;

pub use client::{HandshakeError, request, verify};
pub use server::{Accepted, Rejection, accept};

use http::{HeaderMap, header};
use stomp_frame::Version;

/// The sub-protocol's name for a version.
#[must_use]
pub const fn subprotocol_name(version: Version) -> &'static str {
    match version {
        Version::V1_0 => "v10.stomp",
        Version::V1_1 => "v11.stomp",
        Version::V1_2 => "v12.stomp",
    }
}

/// The version that a sub-protocol's name stands for.
fn version_of(name: &str) -> Option<Version> {
    Version::ALL
        .into_iter()
        .find(|version| subprotocol_name(*version) == name)
}

/// The items of a header that is a list, however many lines it has.
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}
