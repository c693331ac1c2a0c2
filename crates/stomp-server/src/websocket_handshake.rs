//! Checks WebSocket handshakes that are received over HTTP.

use crate::{
    Config,
    origin::Denial,
    refusal::{Refusal, quoted},
    request_head,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use std::net::SocketAddr;
use stomp_socket::{Peer, handshake};

/// An accepted handshake, whose response has status 101.
pub(crate) struct Handshake {
    pub(crate) upgrade: OnUpgrade,
    /// The peer, with the facts that the request contains.
    pub(crate) peer: Peer,
}

impl Handshake {
    /// Checks a request from a peer with this address. Returns the 101 response and the handshake.
    ///
    /// # Errors
    ///
    /// Returns a refusal with status 400, 403, 405, 426 or 431.
    pub(crate) fn accept<B>(
        mut request: Request<B>,
        address: Option<SocketAddr>,
        config: &Config,
    ) -> Result<(Response<Full<Bytes>>, Handshake), Refusal> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let (response, peer) = check(request, address, config)?;
        let Some(upgrade) = upgrade else {
            tracing::error!(
                "the HTTP server does not allow upgrades: serve its connections `with_upgrades()`"
            );
            return Err(Refusal::NoUpgrade);
        };
        let response = response.map(|()| Full::default());
        Ok((response, Handshake { upgrade, peer }))
    }
}

/// Checks a handshake, like [`Handshake::accept`]. Returns the 101 response, and the peer with the facts that the
/// request contains.
///
/// # Errors
///
/// Returns a refusal with status 400, 403, 405, 426 or 431.
pub(crate) fn check<B>(
    mut request: Request<B>,
    address: Option<SocketAddr>,
    config: &Config,
) -> Result<(Response<()>, Peer), Refusal> {
    if !request_head::is_bounded(&request) {
        return Err(Refusal::HeadTooLong);
    }
    let accepted = handshake::accept(&request).map_err(Refusal::NoHandshake)?;
    check_headers(request.headers())?;
    use_host_of_target(&mut request);
    let is_local = address.is_some_and(|address| address.ip().to_canonical().is_loopback());
    config
        .origins
        .check(request.headers(), &config.hosts, is_local)
        .map_err(|denial| refuse_origin(denial, request.headers()))?;
    let (head, _) = request.into_parts();
    let peer = Peer::default()
        .with_subprotocol(accepted.subprotocol)
        .with_request(request_head::compact(head));
    Ok((accepted.response, peer))
}

/// Rejects requests that have a body, have no `Host`, or repeat a header that may occur only once.
///
/// The server would read a body as WebSocket frames. If a header is repeated, a proxy may use another of its values
/// than this server.
fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    const SINGLE: [header::HeaderName; 4] = [
        header::HOST,
        header::ORIGIN,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_VERSION,
    ];
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .any(|length| length != "0");
    if has_body {
        return Err(Refusal::HasBody);
    }
    if !headers.contains_key(header::HOST) {
        return Err(Refusal::NoHost);
    }
    let is_repeated = |name: &header::HeaderName| headers.get_all(name).iter().nth(1).is_some();
    match SINGLE.into_iter().find(is_repeated) {
        Some(name) => Err(Refusal::RepeatedHeader(name)),
        None => Ok(()),
    }
}

/// Replaces the `Host` if the request target is absolute.
///
/// RFC 9112, section 3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin
/// server MUST ignore the received Host header field (if any) and instead use the host information of the
/// request-target."
fn use_host_of_target<B>(request: &mut Request<B>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Creates the refusal of a request whose origin is not allowed.
fn refuse_origin(denial: Denial, headers: &HeaderMap) -> Refusal {
    let quote = |name| headers.get(name).map(quoted).unwrap_or_default();
    let (origin, host) = (quote(header::ORIGIN), quote(header::HOST));
    match denial {
        Denial::CookieWithoutOrigin => Refusal::CookieWithoutOrigin,
        Denial::Origin => Refusal::OriginNotAllowed { origin, host },
        Denial::Host => Refusal::HostNotKnown { origin, host },
    }
}
