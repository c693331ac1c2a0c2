//! The server's side of the handshake.

use super::{list, list_contains, single, subprotocol_name, version_of};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use stomp_frame::Version;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

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

/// The sub-protocol without a version, which ActiveMQ and its clients use.
const UNVERSIONED: &str = "stomp";

/// Answers a WebSocket handshake (RFC 6455, section 4.2).
///
/// Selects the highest of the sub-protocols `v12.stomp`, `v11.stomp` and `v10.stomp` that the client offers, or else
/// `stomp`, which leaves the version open. If the client offers only unknown sub-protocols, the response selects none,
/// as RFC 6455 allows. The client then decides if it continues, and `CONNECT` negotiates the version.
///
/// # Errors
///
/// Returns a [`Rejection`] if the request is not a valid WebSocket handshake.
pub fn accept<B>(request: &Request<B>) -> Result<Accepted, Rejection> {
    let key = check(request)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(proof) = HeaderValue::try_from(derive_accept_key(key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, proof);
    }
    let offers = || list(request.headers(), header::SEC_WEBSOCKET_PROTOCOL);
    let subprotocol = offers().filter_map(version_of).max();
    let selected = subprotocol.map(subprotocol_name).or_else(|| {
        offers()
            .any(|offer| offer == UNVERSIONED.as_bytes())
            .then_some(UNVERSIONED)
    });
    if let Some(name) = selected {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(name),
        );
    }
    Ok(Accepted {
        response,
        subprotocol,
    })
}

/// Checks a request. Returns its key.
///
/// tungstenite would look at the first line of `Connection` only.
fn check<B>(request: &Request<B>) -> Result<&[u8], Rejection> {
    let headers = request.headers();
    let reject = |status, reason| Err(Rejection { status, reason });
    if request.method() != Method::GET {
        return reject(
            StatusCode::METHOD_NOT_ALLOWED,
            "A WebSocket handshake must be a GET request.",
        );
    }
    if request.version() < http::Version::HTTP_11 {
        return reject(
            StatusCode::BAD_REQUEST,
            "A WebSocket handshake requires HTTP/1.1.",
        );
    }
    if !list_contains(headers, header::CONNECTION, "upgrade")
        || !list_contains(headers, header::UPGRADE, "websocket")
    {
        return reject(
            StatusCode::UPGRADE_REQUIRED,
            "This address speaks STOMP over WebSocket.",
        );
    }
    let versions = headers.get_all(header::SEC_WEBSOCKET_VERSION);
    if !versions.iter().any(|version| version == "13") {
        return reject(
            StatusCode::UPGRADE_REQUIRED,
            "This server supports only Sec-WebSocket-Version 13.",
        );
    }
    match single(headers, header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key)) {
        Some(key) => Ok(key),
        None => reject(
            StatusCode::BAD_REQUEST,
            "The header Sec-WebSocket-Key is missing, repeated or malformed.",
        ),
    }
}

/// Returns true if `key` is "a randomly selected 16-byte value that has been base64-encoded" (RFC 6455, section 4.1).
fn is_key(key: &[u8]) -> bool {
    let [digits @ .., last, b'=', b'='] = key else {
        return false;
    };
    // 21 digits hold 126 bits. Of the last digit, only the first two bits are used.
    digits.len() == 21
        && digits
            .iter()
            .all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit))
        && b"AQgw".contains(last)
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
    fn stomp_without_a_version_is_selected_only_if_no_version_is_offered() {
        for (offer, selected, version) in [
            ("stomp", "stomp", None),
            ("mqtt, stomp", "stomp", None),
            ("stomp, v11.stomp", "v11.stomp", Some(Version::V1_1)),
        ] {
            let request = request(|request| {
                let offer = HeaderValue::from_static(offer);
                request
                    .headers_mut()
                    .insert("sec-websocket-protocol", offer);
            });
            let accepted = accept(&request).unwrap();
            assert_eq!(
                accepted.response.headers()["sec-websocket-protocol"],
                selected
            );
            assert_eq!(accepted.subprotocol, version);
        }
    }

    #[test]
    fn lists_of_a_request_may_have_several_lines() {
        for (name, values) in [
            ("connection", ["keep-alive", "Upgrade"]),
            ("connection", ["upgrade", "keep-alive"]),
            ("connection", ["\u{e9}, UPGRADE", ""]),
            ("upgrade", ["h2c", "WebSocket"]),
        ] {
            let request = request(|request| {
                request.headers_mut().remove(name);
                for value in values {
                    let value = HeaderValue::from_str(value).unwrap();
                    request.headers_mut().append(name, value);
                }
            });
            assert!(accept(&request).is_ok(), "{name}: {values:?}");
        }
    }

    #[test]
    fn only_16_bytes_in_base64_are_a_key() {
        for key in [
            "dGhlIHNhbXBsZSBub25jZQ==",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "//////////+++++++/++/w==",
        ] {
            assert!(is_key(key.as_bytes()), "{key}");
        }
        for key in [
            "",
            "==",
            "c2hvcnQ=",
            // The unused bits of the last digit are not 0.
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=a",
            "dGhlIHNhbXBsZSBub25j-Q==",
            "dGhlIHNhbXBsZSBub25jZQAA==",
        ] {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
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
