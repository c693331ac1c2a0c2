//! The other end of a socket.

use bytes::Bytes;
use std::{fmt, net::SocketAddr};
use stomp_frame::Version;

/// Facts about a peer that are known before its first STOMP frame.
///
/// `Debug` omits the request's headers and query, which may hold secrets.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Peer {
    /// The peer's address. `None` if the transport has no addresses, or if the HTTP server did not provide it.
    pub address: Option<SocketAddr>,
    /// The STOMP version that the WebSocket handshake selected as a sub-protocol.
    pub subprotocol: Option<Version>,
    /// The results of the TLS handshake, if this server terminates TLS itself.
    pub tls: Option<Box<TlsIdentity>>,
    /// The head of the HTTP request that was upgraded to this WebSocket. Servers of stomp-server keep a compact copy of
    /// at most 16 KiB and 100 headers, without the extensions that an `Upgrade` was not told to keep, and without the
    /// headers that only negotiate the WebSocket: `Connection`, `Upgrade`, `Sec-WebSocket-Key`,
    /// `Sec-WebSocket-Version` and `Sec-WebSocket-Extensions`.
    pub request: Option<http::request::Parts>,
}

impl Peer {
    /// Maximum memory of a peer from a server of stomp-server, in bytes: 16 KiB of text in the head of its request,
    /// 24 KiB for the index of up to 100 headers, and 64 KiB for the certificates of a TLS client. Extensions that the
    /// application keeps are not included.
    pub const MAX_BYTES: usize = (16 + 24 + 64) << 10;

    /// Creates a peer with this address.
    #[must_use]
    pub fn from_address(address: SocketAddr) -> Peer {
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
        self.tls = identity.map(Box::new);
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

/// The results of a TLS handshake with a peer.
///
/// `Debug` shows the number of certificates, but not their contents.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// The client's certificate chain in DER, the client's own certificate first, as accepted by the server's verifier.
    /// Empty if the server requested no certificate or the client sent none.
    pub certificates: Vec<Bytes>,
    /// The host name that the client requested (SNI).
    pub server_name: Option<String>,
    /// The application protocol that both sides agreed on (ALPN), such as `http/1.1`.
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
