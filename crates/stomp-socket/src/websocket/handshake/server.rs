//! The server's side of the handshake.

use super::{list, subprotocol_name, version_of};
use http::{HeaderValue, Request, Response, StatusCode, header};
use stomp_frame::Version;
use tokio_tungstenite::tungstenite::{
    Error, error::ProtocolError, handshake::server::create_response_with_body,
};

/// The result of accepting a handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The response, with status 101 and the selected sub-protocol.
    pub response: Response<()>,
    /// The highest STOMP version that the client offered as a sub-protocol. If it is `None`, the `accept-version`
    /// header of `CONNECT` determines the version.
    pub subprotocol: Option<Version>,
}

/// The reason why a request is not a valid handshake, and the status to respond with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The status of the response: 400, 405 or 426.
    pub status: StatusCode,
    /// The reason, as a sentence for the client.
    pub reason: &'static str,
}

/// Answers a WebSocket handshake (RFC 6455, section 4.2).
///
/// Selects the highest of the sub-protocols `v12.stomp`, `v11.stomp` and `v10.stomp` that the client offers. If the
/// client offers only unknown sub-protocols, the response selects none, as RFC 6455 allows. The client then decides if
/// it continues, and `CONNECT` negotiates the version.
///
/// # Errors
///
/// Returns a [`Rejection`] if the request is not a valid WebSocket handshake.
pub fn accept<B>(request: &Request<B>) -> Result<Accepted, Rejection> {
    let mut response =
        create_response_with_body(request, || ()).map_err(|error| rejection(&error))?;
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

fn rejection(error: &Error) -> Rejection {
    let reject = |status, reason| Rejection { status, reason };
    let Error::Protocol(error) = error else {
        return reject(
            StatusCode::BAD_REQUEST,
            "The request is not a WebSocket handshake.",
        );
    };
    match error {
        ProtocolError::WrongHttpMethod => reject(
            StatusCode::METHOD_NOT_ALLOWED,
            "A WebSocket handshake must be a GET request.",
        ),
        ProtocolError::MissingConnectionUpgradeHeader
        | ProtocolError::MissingUpgradeWebSocketHeader => reject(
            StatusCode::UPGRADE_REQUIRED,
            "This address speaks STOMP over WebSocket.",
        ),
        ProtocolError::MissingSecWebSocketVersionHeader => reject(
            StatusCode::UPGRADE_REQUIRED,
            "This server supports only Sec-WebSocket-Version 13.",
        ),
        ProtocolError::WrongHttpVersion => reject(
            StatusCode::BAD_REQUEST,
            "A WebSocket handshake requires HTTP/1.1.",
        ),
        _ => reject(
            StatusCode::BAD_REQUEST,
            "The header Sec-WebSocket-Key is missing or malformed.",
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
    fn the_highest_known_subprotocol_is_selected() {
        let selected = |offer: &'static str| {
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
            selected("v10.stomp, v12.stomp,v11.stomp"),
            Some(Version::V1_2)
        );
        assert_eq!(selected("mqtt, v10.stomp"), Some(Version::V1_0));
        assert_eq!(selected("mqtt"), None);
        assert_eq!(selected("xv12.stomp"), None);
    }

    #[test]
    fn the_response_contains_the_hash_of_the_key() {
        let accepted = accept(&request(|_| ())).unwrap();
        assert_eq!(accepted.response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(
            accepted.response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn each_invalid_request_is_rejected_with_its_status() {
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
