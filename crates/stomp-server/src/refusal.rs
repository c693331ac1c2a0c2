//! HTTP responses to requests and connections that are refused.

use crate::{
    report,
    request_head::{MAX_HEAD_BYTES, MAX_HEADERS},
};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{self, HeaderName},
};
use http_body_util::Full;
use std::{fmt, net::SocketAddr};
use stomp_socket::handshake::Rejection;

/// The reason why a request or a connection is refused. It determines the HTTP status, and `Display` writes a sentence
/// for the client.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request is not a valid WebSocket handshake.
    NoHandshake(Rejection),
    /// The request has a body.
    HasBody,
    /// The head of the request is too long.
    HeadTooLong,
    /// The request is for another path than `Config::websocket_path`, and there is no HTTP service.
    WrongPath(String),
    /// The request has no `Host`.
    NoHost,
    /// The request repeats a header that may occur only once.
    RepeatedHeader(HeaderName),
    /// `Config::origins` does not allow this `Origin` for this `Host`. The values of both headers are in quotes.
    OriginNotAllowed { origin: String, host: String },
    /// The `Origin` names this `Host`, which may not be a name of this server. The values of both headers are in quotes.
    HostNotKnown { origin: String, host: String },
    /// The request has a `Cookie` but no `Origin`, and `Config::origins` does not allow this.
    CookieWithoutOrigin,
    /// The HTTP server does not allow upgrades.
    NoUpgrade,
    /// A limit of `Config::connection_limits` is reached.
    TooManyConnections { setting: &'static str, max: usize },
    /// The server shuts down.
    ShuttingDown,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::NoHandshake(rejection) => rejection.status,
            Refusal::HasBody | Refusal::NoHost | Refusal::RepeatedHeader(_) => {
                StatusCode::BAD_REQUEST
            }
            Refusal::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::WrongPath(_) => StatusCode::NOT_FOUND,
            Refusal::OriginNotAllowed { .. }
            | Refusal::HostNotKnown { .. }
            | Refusal::CookieWithoutOrigin => StatusCode::FORBIDDEN,
            Refusal::NoUpgrade => StatusCode::UPGRADE_REQUIRED,
            Refusal::TooManyConnections { .. } | Refusal::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// A short name of the reason, for the log and for metrics.
    fn reason(&self) -> &'static str {
        match self {
            Refusal::NoHandshake(_)
            | Refusal::HasBody
            | Refusal::NoHost
            | Refusal::RepeatedHeader(_) => "no-handshake",
            Refusal::HeadTooLong => "head-too-long",
            Refusal::WrongPath(_) => "path",
            Refusal::OriginNotAllowed { .. } => "origin",
            Refusal::HostNotKnown { .. } => "host",
            Refusal::CookieWithoutOrigin => "cookie-without-origin",
            Refusal::NoUpgrade => "no-upgrade",
            Refusal::TooManyConnections { setting, .. } => setting,
            Refusal::ShuttingDown => "shutting-down",
        }
    }

    /// Reports the refusal to the operator.
    pub(crate) fn report(&self, peer: Option<SocketAddr>) {
        report::refused(self.reason(), peer, self);
    }

    pub(crate) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        match self.status() {
            StatusCode::UPGRADE_REQUIRED => {
                // RFC 9110, section 15.5.22, and RFC 6455, section 4.2.2.
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(
                    header::SEC_WEBSOCKET_VERSION,
                    HeaderValue::from_static("13"),
                );
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }

    /// The response as HTTP/1.1 bytes, for a connection that is refused before its request is read.
    pub(crate) fn to_http1(&self) -> String {
        let reason = self.to_string();
        format!(
            "HTTP/1.1 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nretry-after: 1\r\n\
             connection: close\r\n\r\n{reason}\n",
            self.status(),
            reason.len() + 1,
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoHandshake(rejection) => f.write_str(rejection.reason),
            Refusal::HasBody => f.write_str(
                "A WebSocket handshake must not have a body: remove Content-Length and Transfer-Encoding.",
            ),
            Refusal::HeadTooLong => write!(
                f,
                "The head of the request is longer than {MAX_HEAD_BYTES} bytes or has more than {MAX_HEADERS} headers."
            ),
            Refusal::WrongPath(path) => write!(f, "WebSocket handshakes are accepted at the path {path:?}."),
            Refusal::NoHost => f.write_str("A WebSocket handshake needs a Host header."),
            Refusal::RepeatedHeader(name) => write!(
                f,
                "The header {name} must not be repeated in a WebSocket handshake."
            ),
            Refusal::OriginNotAllowed { origin, host } => write!(
                f,
                "The Origin {origin} is not allowed for the Host {host}. Config::origins of the server lists the \
                 allowed origins."
            ),
            Refusal::HostNotKnown { origin, host } => write!(
                f,
                "The Origin {origin} names the Host {host}, which is not known as a name of this server. Config::hosts \
                 of the server lists its names; a proxy must add Forwarded, X-Forwarded-For or Via."
            ),
            Refusal::CookieWithoutOrigin => f.write_str(
                "The request has a Cookie but no Origin, and the Cookie is the reason for this refusal. Send no Cookie, \
                 or the Origin ws://HOST of this server. If the server never uses cookies, its Config::origins may be Any.",
            ),
            Refusal::NoUpgrade => {
                f.write_str("The HTTP server does not allow upgrades on this connection.")
            }
            Refusal::TooManyConnections { setting, max } => write!(
                f,
                "The server has too many connections ({setting} is {max}). Try again later."
            ),
            Refusal::ShuttingDown => f.write_str("The server is shutting down."),
        }
    }
}

/// Maximum bytes of a header value that a response or the log quotes.
const MAX_QUOTED: usize = 200;

/// Returns a header value in quotes, escaped, and cut after [`MAX_QUOTED`] bytes, for a response or the log.
pub(crate) fn quoted(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match bytes.get(..MAX_QUOTED) {
        Some(start) if start.len() < bytes.len() => format!("\"{}...\"", start.escape_ascii()),
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_without_an_origin_is_named_as_the_reason_and_no_page_is_blamed() {
        let text = Refusal::CookieWithoutOrigin.to_string();
        assert!(text.contains("a Cookie but no Origin"), "{text}");
        assert!(!text.contains("page"), "{text}");
    }

    #[test]
    fn quoted_header_values_are_escaped_and_have_a_bounded_length() {
        let quote = |bytes: &[u8]| quoted(&HeaderValue::from_bytes(bytes).unwrap());
        assert_eq!(quote(b"http://a.example"), "\"http://a.example\"");
        assert_eq!(quote(b"a\"\xe9"), "\"a\\\"\\xe9\"");
        assert_eq!(quote(&[b'a'; MAX_QUOTED]).len(), MAX_QUOTED + 2);
        assert_eq!(
            quote(&[b'a'; 5_000]),
            format!("\"{}...\"", "a".repeat(MAX_QUOTED))
        );
    }
}
