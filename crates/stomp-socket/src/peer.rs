//! Who is at the other end.

use bytes::Bytes;
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
    /// What TLS tells of the peer, where this server ends TLS itself.
    pub tls: Option<TlsIdentity>,
    /// The head of the HTTP request that became this WebSocket, with its extensions.
    pub request: Option<http::request::Parts>,
}

impl Peer {
    /// A peer with this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Peer {
        Peer {
            address: Some(address),
            ..Peer::default()
        }
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

    /// Sets [`Peer::tls`].
    #[must_use]
    pub fn with_tls(mut self, identity: Option<TlsIdentity>) -> Peer {
        self.tls = identity;
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
            .field("tls", &self.tls)
            .field("path", &self.request.as_ref().map(|head| head.uri.path()))
            .finish()
    }
}

/// What a TLS handshake tells of a peer.
///
/// `Debug` counts the certificates, and leaves out what is in them.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// The client's certificates in DER, its own first, as the server's verifier has accepted them. Empty where none
    /// was asked for, or none was sent.
    pub certificates: Vec<Bytes>,
    /// The name that the client wants to speak to (SNI).
    pub server_name: Option<String>,
    /// The protocol that was agreed on (ALPN), such as `http/1.1`.
    pub alpn: Option<Bytes>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificates", &self.certificates.len())
            .field("server_name", &self.server_name)
            .field("alpn", &self.alpn)
            .finish()
    }
}
