//! Whether a request becomes a WebSocket.

use crate::{Origins, log_throttle::LogThrottle, refusal::Refusal};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use stomp_socket::{Peer, handshake};

/// A handshake that is answered with 101, and what is left of it then.
pub(crate) struct Handshake {
    pub(crate) upgrade: OnUpgrade,
    /// As far as the request tells.
    pub(crate) peer: Peer,
}

/// All foreign pages share one line of the log.
static FOREIGN: LogThrottle = LogThrottle::new();

impl Handshake {
    /// Looks at a request: the answer 101 and the handshake, if it is one that is welcome.
    ///
    /// # Errors
    ///
    /// 400, 403, 405 or 426.
    pub(crate) fn of<B>(
        mut request: Request<B>,
        origins: &Origins,
    ) -> Result<(Response<Full<Bytes>>, Handshake), Refusal> {
        let accepted = handshake::accept(&request)
            .map_err(|refused| Refusal::new(refused.status, refused.reason))?;
        check(request.headers())?;
        if !origins.allow(request.headers()) {
            if let Some(count) = FOREIGN.note() {
                let origin = request.headers().get(header::ORIGIN);
                tracing::warn!(
                    count,
                    ?origin,
                    "handshakes of foreign pages are refused: `Config::origins` says which are allowed"
                );
            }
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Pages of this origin may not connect.",
            ));
        }
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            tracing::error!("the HTTP server does not allow upgrades on this connection");
            return Err(Refusal::new(
                StatusCode::UPGRADE_REQUIRED,
                "This connection cannot be upgraded.",
            ));
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

/// What a handshake must not have, beyond what makes it none: a proxy may read what is said twice otherwise than we do,
/// and a body would be taken for WebSocket frames.
fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    const SINGLE: [header::HeaderName; 4] = [
        header::HOST,
        header::ORIGIN,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_VERSION,
    ];
    let bad = |reason| Err(Refusal::new(StatusCode::BAD_REQUEST, reason));
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .any(|length| length != "0");
    if has_body {
        return bad("A WebSocket handshake has no body.");
    }
    if !headers.contains_key(header::HOST) {
        return bad("A WebSocket handshake needs a Host.");
    }
    if SINGLE
        .iter()
        .any(|name| headers.get_all(name).iter().nth(1).is_some())
    {
        return bad("A header of a WebSocket handshake is repeated.");
    }
    Ok(())
}
