//! The client's side of a handshake.

use super::{list, subprotocol_name, version_of};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use stomp_frame::Version;
use thiserror::Error;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

/// An answer that does not open a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The server answers something else, such as a redirection or a refusal.
    #[error("the answer is {0}, not 101 Switching Protocols")]
    Status(StatusCode),
    /// `Upgrade` or `Connection` does not say that this is a WebSocket now.
    #[error("the answer does not upgrade to WebSocket")]
    NoUpgrade,
    /// `Sec-WebSocket-Accept` does not prove that the request was understood.
    #[error("the answer's Sec-WebSocket-Accept is missing or wrong")]
    WrongKey,
    /// The server chose a sub-protocol that was not offered.
    #[error("the answer's sub-protocol was not offered")]
    Subprotocol,
    /// The server uses an extension; none was offered.
    #[error("the answer has an extension that was not offered")]
    Extension,
}

/// The head of a handshake request for `uri`, with a new random key, which offers `versions` as sub-protocols.
///
/// The uri's authority becomes `Host`. Headers may be added, such as `Origin` or `Authorization`.
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
    // Where `Host` is of use, it is the authority without a user.
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

/// Checks the answer to a `request` (RFC 6455, section 4.1), and gives the version that was chosen as a sub-protocol.
/// Without one, the version is left to `accept-version`.
///
/// # Errors
///
/// If the answer does not open a WebSocket. The connection is then of no use.
pub fn verify<A, B>(
    request: &Request<A>,
    response: &Response<B>,
) -> Result<Option<Version>, HandshakeError> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(HandshakeError::Status(response.status()));
    }
    let headers = response.headers();
    let names = |name, word: &str| list(headers, name).any(|item| item.eq_ignore_ascii_case(word));
    if !names(header::UPGRADE, "websocket") || !names(header::CONNECTION, "upgrade") {
        return Err(HandshakeError::NoUpgrade);
    }
    let key = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let proof = headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .map(HeaderValue::as_bytes);
    if proof.map(<[u8]>::trim_ascii) != Some(derive_accept_key(key).as_bytes()) {
        return Err(HandshakeError::WrongKey);
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err(HandshakeError::Extension);
    }
    let Some(chosen) = headers.get(header::SEC_WEBSOCKET_PROTOCOL) else {
        return Ok(None);
    };
    let chosen = chosen.to_str().unwrap_or_default();
    match list(request.headers(), header::SEC_WEBSOCKET_PROTOCOL).any(|offer| offer == chosen) {
        true => Ok(version_of(chosen)),
        false => Err(HandshakeError::Subprotocol),
    }
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
    fn a_request_is_one_that_servers_accept() {
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

    /// What the answer to an offer of all versions comes to, after `change`.
    fn confirmed(
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
    fn the_servers_choice_is_the_version() {
        assert_eq!(confirmed(|_| ()), Ok(Some(Version::V1_2)));
        assert_eq!(
            confirmed(|r| set(r, "sec-websocket-protocol", "v10.stomp")),
            Ok(Some(Version::V1_0))
        );
        assert_eq!(
            confirmed(|r| drop(r.headers_mut().remove("sec-websocket-protocol"))),
            Ok(None)
        );
        assert_eq!(
            confirmed(|r| set(r, "connection", "keep-alive, upgrade")),
            Ok(Some(Version::V1_2))
        );
    }

    #[test]
    fn other_answers_open_nothing() {
        let status = StatusCode::FORBIDDEN;
        assert_eq!(
            confirmed(|r| *r.status_mut() = status),
            Err(HandshakeError::Status(status))
        );
        assert_eq!(
            confirmed(|r| set(r, "upgrade", "h2c")),
            Err(HandshakeError::NoUpgrade)
        );
        assert_eq!(
            confirmed(|r| drop(r.headers_mut().remove("connection"))),
            Err(HandshakeError::NoUpgrade)
        );
        assert_eq!(
            confirmed(|r| drop(r.headers_mut().remove("sec-websocket-accept"))),
            Err(HandshakeError::WrongKey)
        );
        let other = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(
            confirmed(|r| set(r, "sec-websocket-accept", other)),
            Err(HandshakeError::WrongKey)
        );
        assert_eq!(
            confirmed(|r| set(r, "sec-websocket-protocol", "mqtt")),
            Err(HandshakeError::Subprotocol)
        );
        assert_eq!(
            confirmed(|r| set(r, "sec-websocket-extensions", "x")),
            Err(HandshakeError::Extension)
        );
    }
}
