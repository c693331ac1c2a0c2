//! The size of an HTTP request's head, and the compact form in which a peer keeps it.

use bytes::BytesMut;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Uri, header, request::Parts};
use std::fmt::Write;

/// Maximum length of an HTTP head, in bytes. Cookies can make it long.
pub(crate) const MAX_HEAD_BYTES: usize = 16 << 10;

/// Maximum number of header lines. This is also hyper's maximum.
pub(crate) const MAX_HEADERS: usize = 100;

/// Returns true if the head of a request is at most [`MAX_HEAD_BYTES`] long and has at most [`MAX_HEADERS`] lines.
pub(crate) fn is_bounded<B>(request: &Request<B>) -> bool {
    /// The bytes of a request line or of a header line beside its parts: spaces or a colon, the line's end, and for the
    /// request line the version.
    const REQUEST_LINE: usize = " ".len() + " HTTP/1.1\r\n".len();
    const HEADER_LINE: usize = ": \r\n".len();
    let line = request.method().as_str().len() + uri_bytes(request.uri()) + REQUEST_LINE;
    let headers = request.headers();
    let bytes = headers.iter().fold(line, |bytes, (name, value)| {
        bytes + name.as_str().len() + value.len() + HEADER_LINE
    });
    bytes + "\r\n".len() <= MAX_HEAD_BYTES && headers.len() <= MAX_HEADERS
}

fn uri_bytes(uri: &Uri) -> usize {
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + 3);
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    scheme + authority + path
}

/// The headers that only negotiate the WebSocket. They say nothing about the client, and an idle session would keep them.
const OF_HANDSHAKE: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// Copies the URI and the values of the headers into one allocation. Drops the headers [`OF_HANDSHAKE`] and the
/// extensions.
///
/// The values that hyper returns are slices of its read buffer, so one short value would keep the whole buffer, and the
/// buffer may be larger than the head. An extension may be such a slice too: axum's router adds the URI.
pub(crate) fn compact(mut head: Parts) -> Parts {
    let is_kept = |name: &HeaderName| !OF_HANDSHAKE.contains(name);
    let kept = head.headers.iter().filter(|(name, _)| is_kept(name));
    let (count, length) = kept.fold((0, 0), |(count, length), (_, value)| {
        (count + 1, length + value.len())
    });
    let mut text = BytesMut::with_capacity(uri_bytes(&head.uri) + length);
    // Writing to a buffer cannot fail.
    let _ = write!(text, "{}", head.uri);
    head.uri = Uri::from_maybe_shared(text.split().freeze()).unwrap_or(head.uri);
    head.extensions = Extensions::new();
    let headers = HeaderMap::with_capacity(count);
    let mut name = None;
    for (new_name, value) in std::mem::replace(&mut head.headers, headers) {
        name = new_name.or(name);
        let Some(name) = name.as_ref().filter(|name| is_kept(name)) else {
            continue;
        };
        text.extend_from_slice(value.as_bytes());
        let copy = HeaderValue::from_maybe_shared(text.split().freeze());
        let mut copy = copy.unwrap_or_else(|_| value.clone());
        copy.set_sensitive(value.is_sensitive());
        head.headers.append(name, copy);
    }
    head
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing helper fails the test")]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().uri(uri);
        let add = |builder: http::request::Builder, (name, value): &(&str, &str)| {
            builder.header(*name, *value)
        };
        headers.iter().fold(builder, add).body(()).unwrap()
    }

    #[test]
    fn a_compact_head_equals_the_original() {
        for uri in ["/", "/stomp?room=1", "http://example.com/a", "*"] {
            let headers = [
                ("host", "localhost"),
                ("cookie", "a=1"),
                ("x-empty", ""),
                ("cookie", "b=2"),
                ("cookie", "c=3"),
                ("x-custom", "4"),
            ];
            let (mut head, ()) = request(uri, &headers).into_parts();
            head.extensions.insert(1_u8);
            head.headers
                .get_mut("x-custom")
                .unwrap()
                .set_sensitive(true);
            let copy = compact(head.clone());
            assert_eq!((&copy.uri, &copy.headers), (&head.uri, &head.headers));
            assert!(copy.headers["x-custom"].is_sensitive());
            assert!(copy.extensions.is_empty());
        }
    }

    #[test]
    fn a_compact_head_lacks_the_headers_of_the_handshake() {
        let headers = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "v12.stomp"),
            ("origin", "http://localhost"),
        ];
        let (head, ()) = request("/", &headers).into_parts();
        let copy = compact(head);
        let left: Vec<&str> = copy.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["sec-websocket-protocol", "origin"]);
    }

    #[test]
    fn a_head_is_bounded_in_bytes_and_lines() {
        // "GET / HTTP/1.1\r\n", "x: ", "\r\n" and the last "\r\n" are 23 bytes.
        let long = |bytes: usize| request("/", &[("x", &"v".repeat(bytes - 23))]);
        assert!(is_bounded(&long(MAX_HEAD_BYTES)));
        assert!(!is_bounded(&long(MAX_HEAD_BYTES + 1)));
        assert!(is_bounded(&request("/", &[("x", "v"); MAX_HEADERS])));
        assert!(!is_bounded(&request("/", &[("x", "v"); MAX_HEADERS + 1])));
        let path = format!("/{}", "p".repeat(MAX_HEAD_BYTES));
        assert!(!is_bounded(&request(&path, &[])));
    }
}
