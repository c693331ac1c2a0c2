//! The server's side of a handshake.

use super::{list, subprotocol_name, version_of};
use http::{HeaderValue, Request, Response, StatusCode, header};
use stomp_frame::Version;
use tokio_tungstenite::tungstenite::{
    Error, error::ProtocolError, handshake::server::create_response_with_body,
};

/// A handshake that can be answered with success.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The answer: 101, with the chosen sub-protocol.
    pub response: Response<()>,
    /// The STOMP version that the client offered as a sub-protocol, the highest if several. Without one, the version
    /// is left to `accept-version`.
    pub subprotocol: Option<Version>,
}

/// A handshake that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The answer's status: 400, 405 or 426.
    pub status: StatusCode,
    /// What is wrong, in a sentence.
    pub reason: &'static str,
}

/// Answers a WebSocket handshake (RFC 6455, section 4.2).
///
/// Of the sub-protocols offered, the highest of `v12.stomp`, `v11.stomp` and `v10.stomp` is chosen; an unknown one is
/// never echoed.
///
/// # Errors
///
/// If the request is not a WebSocket handshake.
pub fn accept<B>(request: &Request<B>) -> Result<Accepted, Rejection> {
    let mut response =
        create_response_with_body(request, || ()).map_err(|error| refusal(&error))?;
    let offers = list(request.headers(), header::SEC_WEBSOCKET_PROTOCOL);
    let subprotocol = offers.filter_map(version_of).max();
    if let Some(version) = subprotocol {
        let name = HeaderValue::from_static(subprotocol_name(version));
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(Accepted {
        response,
        subprotocol,
    })
}

fn refusal(error: &Error) -> Rejection {
    let refused = |status, reason| Rejection { status, reason };
    let Error::Protocol(error) = error else {
        return refused(
            StatusCode::BAD_REQUEST,
            "This is not a WebSocket handshake.",
        );
    };
    match error {
        ProtocolError::WrongHttpMethod => refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "A WebSocket handshake is a GET request.",
        ),
        ProtocolError::MissingConnectionUpgradeHeader
        | ProtocolError::MissingUpgradeWebSocketHeader => refused(
            StatusCode::UPGRADE_REQUIRED,
            "This address speaks STOMP over WebSocket.",
        ),
        ProtocolError::MissingSecWebSocketVersionHeader => refused(
            StatusCode::UPGRADE_REQUIRED,
            "This server speaks WebSocket version 13 only.",
        ),
        ProtocolError::WrongHttpVersion => refused(
            StatusCode::BAD_REQUEST,
            "A WebSocket handshake needs HTTP/1.1.",
        ),
        _ => refused(
            StatusCode::BAD_REQUEST,
            "Sec-WebSocket-Key is missing or malformed.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut Request<()>)) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        change(&mut request);
        request
    }

    #[test]
    fn the_highest_known_subprotocol_is_chosen() {
        let chosen = |offer: &'static str| {
            let request = request(|request| {
                request
                    .headers_mut()
                    .insert("sec-websocket-protocol", HeaderValue::from_static(offer));
            });
            let accepted = accept(&request).unwrap();
            let echoed = accepted
                .response
                .headers()
                .get("sec-websocket-protocol")
                .cloned();
            assert_eq!(
                echoed.as_ref().map(|value| value.to_str().unwrap()),
                accepted.subprotocol.map(subprotocol_name)
            );
            accepted.subprotocol
        };
        assert_eq!(
            chosen("v10.stomp, v12.stomp,v11.stomp"),
            Some(Version::V1_2)
        );
        assert_eq!(chosen("mqtt, v10.stomp"), Some(Version::V1_0));
        assert_eq!(chosen("mqtt"), None);
        assert_eq!(chosen("xv12.stomp"), None);
    }

    #[test]
    fn the_answer_proves_the_key() {
        let accepted = accept(&request(|_| ())).unwrap();
        assert_eq!(accepted.response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(
            accepted.response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn other_requests_are_refused_with_the_right_status() {
        let status = |change: fn(&mut Request<()>)| {
            accept(&request(change))
                .map(|_| ())
                .map_err(|r| r.status.as_u16())
        };
        assert_eq!(status(|r| *r.method_mut() = http::Method::POST), Err(405));
        assert_eq!(
            status(|r| *r.version_mut() = http::Version::HTTP_10),
            Err(400)
        );
        assert_eq!(
            status(|r| drop(r.headers_mut().remove("upgrade"))),
            Err(426)
        );
        assert_eq!(
            status(|r| drop(r.headers_mut().remove("connection"))),
            Err(426)
        );
        assert_eq!(
            status(|r| drop(r.headers_mut().remove("sec-websocket-version"))),
            Err(426)
        );
        assert_eq!(
            status(|r| drop(r.headers_mut().remove("sec-websocket-key"))),
            Err(400)
        );
    }
}
