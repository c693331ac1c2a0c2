//! Checks WebSocket handshakes that are received over HTTP.

use crate::{
    Origins,
    log_throttle::LogThrottle,
    refusal::{Refusal, quoted},
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use stomp_socket::{Peer, handshake};

/// An accepted handshake, whose response has status 101.
pub(crate) struct Handshake {
    pub(crate) upgrade: OnUpgrade,
    /// The peer, with the facts that the request contains.
    pub(crate) peer: Peer,
}

/// The log throttle for refused origins.
static REFUSED_ORIGINS: LogThrottle = LogThrottle::new();

impl Handshake {
    /// Checks a request. Returns the 101 response and the handshake.
    ///
    /// # Errors
    ///
    /// Returns a refusal with status 400, 403, 405 or 426.
    pub(crate) fn accept<B>(
        mut request: Request<B>,
        origins: &Origins,
    ) -> Result<(Response<Full<Bytes>>, Handshake), Refusal> {
        let accepted = handshake::accept(&request).map_err(Refusal::NoHandshake)?;
        check_headers(request.headers())?;
        if !origins.allow(request.headers()) {
            return Err(refuse_origin(request.headers()));
        }
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            tracing::error!(
                "the HTTP server does not allow upgrades: serve its connections `with_upgrades()`"
            );
            return Err(Refusal::NoUpgrade);
        };
        let (head, _) = request.into_parts();
        let peer = Peer::default()
            .with_subprotocol(accepted.subprotocol)
            .with_request(head);
        Ok((
            accepted.response.map(|()| Full::default()),
            Handshake { upgrade, peer },
        ))
    }
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

/// Logs a request whose origin is not allowed, and creates the response.
fn refuse_origin(headers: &HeaderMap) -> Refusal {
    let host = headers.get(header::HOST).map(quoted).unwrap_or_default();
    let origin = headers.get(header::ORIGIN).map(quoted);
    if let Some(count) = REFUSED_ORIGINS.record() {
        tracing::warn!(
            count,
            origin = origin.as_deref().unwrap_or("none, but a Cookie"),
            host,
            "WebSocket handshakes are refused because `Config::origins` does not allow their Origin"
        );
    }
    match origin {
        Some(origin) => Refusal::OriginNotAllowed { origin, host },
        None => Refusal::CookieWithoutOrigin,
    }
}
