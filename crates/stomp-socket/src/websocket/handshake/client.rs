//! The client's side of the handshake.

use super::{list, list_contains, single, subprotocol_name, version_of};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use stomp_frame::Version;
use thiserror::Error;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

/// The error for a response that does not open a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The status is not 101, for example a redirect or an error.
    #[error("the server responded {0} instead of 101 Switching Protocols")]
    Status(StatusCode),
    /// `Upgrade` is not `websocket`, or `Connection` does not contain `upgrade`.
    #[error("the response lacks `Upgrade: websocket` or `Connection: Upgrade`")]
    NoUpgrade,
    /// `Sec-WebSocket-Accept` is missing, is repeated or does not match the request's key.
    #[error(
        "the response's Sec-WebSocket-Accept is missing, is repeated or does not match the request's key"
    )]
    WrongKey,
    /// The server selected a sub-protocol that was not offered, or more than one.
    #[error("the response's Sec-WebSocket-Protocol is not one that the request offered")]
    Subprotocol,
    /// The server selected an extension, but the request offered none.
    #[error("the response has Sec-WebSocket-Extensions, but the request offered none")]
    Extension,
}

/// Creates the head of a handshake request for `uri`. It contains a new random key, and offers `versions` as
/// sub-protocols, the last one first.
///
/// `Host` is the host and port of `uri`. Add further headers, such as `Origin` or `Authorization`, to the result.
///
/// ```
/// use stomp_frame::Version;
/// use stomp_socket::handshake;
///
/// let request = handshake::request(&"ws://example.org/stomp".parse()?, &Version::ALL);
/// let accepted = handshake::accept(&request).unwrap();
/// assert_eq!(accepted.subprotocol, Some(Version::V1_2));
/// assert_eq!(handshake::verify(&request, &accepted.response), Ok(Some(Version::V1_2)));
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[must_use]
pub fn request(uri: &Uri, versions: &[Version]) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    let names: Vec<&str> = versions
        .iter()
        .rev()
        .map(|version| subprotocol_name(*version))
        .collect();
    // RFC 9110, section 7.2: `Host` is the authority without userinfo.
    let host = uri
        .authority()
        .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    let values = [
        (header::HOST, host.map(str::to_owned)),
        (header::SEC_WEBSOCKET_KEY, Some(generate_key())),
        (
            header::SEC_WEBSOCKET_PROTOCOL,
            (!names.is_empty()).then(|| names.join(", ")),
        ),
    ];
    for (name, value) in values {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    request
}

/// Checks the response to `request` (RFC 6455, section 4.1). Returns the STOMP version that the server selected as a
/// sub-protocol.
///
/// If the server selected none, the result is `None`, and the `accept-version` header of `CONNECT` determines the
/// version.
///
/// # Errors
///
/// Returns an error if the response does not open a WebSocket. Then close the connection.
pub fn verify<A, B>(
    request: &Request<A>,
    response: &Response<B>,
) -> Result<Option<Version>, HandshakeError> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(HandshakeError::Status(response.status()));
    }
    let headers = response.headers();
    if !list_contains(headers, header::UPGRADE, "websocket")
        || !list_contains(headers, header::CONNECTION, "upgrade")
    {
        return Err(HandshakeError::NoUpgrade);
    }
    let key = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let proof = single(headers, header::SEC_WEBSOCKET_ACCEPT);
    if proof != Some(derive_accept_key(key).as_bytes()) {
        return Err(HandshakeError::WrongKey);
    }
    if list(headers, header::SEC_WEBSOCKET_EXTENSIONS)
        .next()
        .is_some()
    {
        return Err(HandshakeError::Extension);
    }
    if !headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    // RFC 6455, section 11.3.4: the header "MUST NOT appear more than once in an HTTP response".
    let chosen = single(headers, header::SEC_WEBSOCKET_PROTOCOL)
        .filter(|chosen| {
            list(request.headers(), header::SEC_WEBSOCKET_PROTOCOL).any(|offer| offer == *chosen)
        })
        .ok_or(HandshakeError::Subprotocol)?;
    Ok(version_of(chosen))
}

#[cfg(test)]
mod tests {
    use super::{super::accept, *};

    fn offer() -> Request<()> {
        request(
            &"ws://user:secret@example.org:8080/stomp?a=b"
                .parse()
                .unwrap(),
            &Version::ALL,
        )
    }

    #[test]
    fn a_client_request_is_accepted_by_a_server() {
        let request = offer();
        assert_eq!(request.headers()["host"], "example.org:8080");
        assert_eq!(
            request.headers()["sec-websocket-protocol"],
            "v12.stomp, v11.stomp, v10.stomp"
        );
        assert_eq!(accept(&request).unwrap().subprotocol, Some(Version::V1_2));
        assert_ne!(
            request.headers()["sec-websocket-key"],
            offer().headers()["sec-websocket-key"]
        );
        let plain = super::request(&"ws://example.org".parse().unwrap(), &[]);
        assert!(!plain.headers().contains_key("sec-websocket-protocol"));
        assert_eq!(accept(&plain).unwrap().subprotocol, None);
    }

    /// Offers all versions, applies `change` to the response, and verifies it.
    fn verify_changed(
        change: impl FnOnce(&mut Response<()>),
    ) -> Result<Option<Version>, HandshakeError> {
        let request = offer();
        let mut response = accept(&request).unwrap().response;
        change(&mut response);
        verify(&request, &response)
    }

    fn set(response: &mut Response<()>, name: &'static str, value: &'static str) {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }

    #[test]
    fn the_selected_subprotocol_determines_the_version() {
        assert_eq!(verify_changed(|_| ()), Ok(Some(Version::V1_2)));
        assert_eq!(
            verify_changed(|r| set(r, "sec-websocket-protocol", "v10.stomp")),
            Ok(Some(Version::V1_0))
        );
        assert_eq!(
            verify_changed(|r| drop(r.headers_mut().remove("sec-websocket-protocol"))),
            Ok(None)
        );
        assert_eq!(
            verify_changed(|r| set(r, "connection", "keep-alive, upgrade")),
            Ok(Some(Version::V1_2))
        );
    }

    #[test]
    fn lists_of_a_response_may_have_several_lines() {
        let lines = |name: &'static str, values: [&'static str; 2]| {
            verify_changed(|response| {
                set(response, name, values[0]);
                response
                    .headers_mut()
                    .append(name, HeaderValue::from_static(values[1]));
            })
        };
        let valid = Ok(Some(Version::V1_2));
        assert_eq!(lines("connection", ["keep-alive", "Upgrade"]), valid);
        assert_eq!(lines("upgrade", ["h2c", "WebSocket"]), valid);
        assert_eq!(lines("sec-websocket-extensions", ["", ","]), valid);
        // Headers that are no lists must not be repeated.
        assert_eq!(
            lines("sec-websocket-protocol", ["v12.stomp", "v11.stomp"]),
            Err(HandshakeError::Subprotocol)
        );
        let proof = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(
            lines("sec-websocket-accept", [proof, proof]),
            Err(HandshakeError::WrongKey)
        );
    }

    #[test]
    fn each_invalid_response_has_its_own_error() {
        let status = StatusCode::FORBIDDEN;
        assert_eq!(
            verify_changed(|r| *r.status_mut() = status),
            Err(HandshakeError::Status(status))
        );
        assert_eq!(
            verify_changed(|r| set(r, "upgrade", "h2c")),
            Err(HandshakeError::NoUpgrade)
        );
        assert_eq!(
            verify_changed(|r| drop(r.headers_mut().remove("connection"))),
            Err(HandshakeError::NoUpgrade)
        );
        assert_eq!(
            verify_changed(|r| drop(r.headers_mut().remove("sec-websocket-accept"))),
            Err(HandshakeError::WrongKey)
        );
        let other = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(
            verify_changed(|r| set(r, "sec-websocket-accept", other)),
            Err(HandshakeError::WrongKey)
        );
        assert_eq!(
            verify_changed(|r| set(r, "sec-websocket-protocol", "mqtt")),
            Err(HandshakeError::Subprotocol)
        );
        assert_eq!(
            verify_changed(|r| set(r, "sec-websocket-extensions", "x")),
            Err(HandshakeError::Extension)
        );
    }
}
