//! Who is at the other end.

use std::{fmt, net::SocketAddr};
use stomp_frame::Version;

/// What is known of a peer before it says anything in STOMP.
///
/// `Debug` leaves out the request's headers and query, which may hold secrets.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Peer {
    /// The peer's address, where the transport has one and the HTTP server passed it on.
    pub address: Option<SocketAddr>,
    /// The version that was chosen as a WebSocket sub-protocol.
    pub subprotocol: Option<Version>,
    /// The head of the HTTP request that became this WebSocket, with its extensions.
    pub request: Option<http::request::Parts>,
}

impl Peer {
    /// A peer with this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Peer {
        Peer { address: Some(address), ..Peer::default() }
    }

    /// Sets [`Peer::address`].
    #[must_use]
    pub fn with_address(mut self, address: Option<SocketAddr>) -> Peer {
        self.address = address;
        self
    }

    /// Sets [`Peer::subprotocol`].
    #[must_use]
    pub fn with_subprotocol(mut self, version: Option<Version>) -> Peer {
        self.subprotocol = version;
        self
    }

    /// Sets [`Peer::request`].
    #[must_use]
    pub fn with_request(mut self, head: http::request::Parts) -> Peer {
        self.request = Some(head);
        self
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address)
            .field("subprotocol", &self.subprotocol)
            .field("path", &self.request.as_ref().map(|head| head.uri.path()))
            .finish()
    }
}
