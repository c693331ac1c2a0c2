//! Answers a WebSocket handshake that is the first request of a connection and arrives in one piece, as it usually does.
//!
//! hyper answers all other requests, among them each handshake that is refused for what it contains. Its state for a
//! connection would cost a handshake more than the request itself.

use crate::{
    Config, connections::Place, request_head::MAX_HEADERS, sniff::Sniff, websocket_handshake,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use httparse::Status;
use std::{io, mem::MaybeUninit};
use stomp_socket::Peer;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

/// The result of [`answer`].
pub(crate) enum FirstRequest {
    /// An accepted handshake.
    Handshake {
        peer: Peer,
        /// The bytes that arrived together with the request.
        early: Bytes,
    },
    /// A handshake that was refused because a limit is reached. The connection is closed.
    Refused,
    /// Anything else. Reads return its bytes again.
    Other,
}

/// Waits for the first bytes of a client, and answers them if they are a handshake that is accepted.
pub(crate) async fn answer<Io>(
    io: &mut Sniff<Io>,
    peer: &Peer,
    place: &Place,
    config: &Config,
    deadline: Instant,
) -> io::Result<FirstRequest>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let first = tokio::select! {
        biased;
        first = timeout_at(deadline, io.peek()) => first.map_err(|_| io::ErrorKind::TimedOut)??,
        () = config.shutdown.started() => return Ok(FirstRequest::Other),
    };
    let Some((request, length)) = parse(&first) else {
        return Ok(FirstRequest::Other);
    };
    let is_path = |path: &String| path == request.uri().path();
    if config.shutdown.has_started() || !config.websocket_path.as_ref().is_none_or(is_path) {
        return Ok(FirstRequest::Other);
    }
    let client = config
        .trusted_proxies
        .client(peer.address, request.headers());
    let Ok((response, accepted)) = websocket_handshake::check(request, peer.address, config) else {
        return Ok(FirstRequest::Other);
    };
    let admitted = place.begin_session(client);
    let response = match &admitted {
        Ok(()) => encode(&response),
        Err(refusal) => {
            refusal.report(client);
            refusal.to_http1().into_bytes()
        }
    };
    let sent = async {
        io.write_all(&response).await?;
        match &admitted {
            Ok(()) => io.flush().await,
            Err(_) => io.shutdown().await,
        }
    };
    timeout(config.http.stall_timeout, sent).await??;
    if admitted.is_err() {
        return Ok(FirstRequest::Refused);
    }
    Ok(FirstRequest::Handshake {
        peer: accepted
            .with_address(client)
            .with_tls(peer.tls.as_deref().cloned()),
        early: first.slice(length..),
    })
}

/// Parses the head of a `GET` of HTTP/1.1, like hyper. Returns it with its length. Returns `None` for all other bytes.
fn parse(bytes: &Bytes) -> Option<(Request<()>, usize)> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut []);
    let Ok(Status::Complete(length)) = head.parse_with_uninit_headers(bytes, &mut lines) else {
        return None;
    };
    if (head.method, head.version) != (Some("GET"), Some(1)) {
        return None;
    }
    // These are the method and the version of a new request.
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice_ref(head.path?.as_bytes())).ok()?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for line in head.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).ok()?;
        headers.append(name, value);
    }
    Some((request, length))
}

fn encode(response: &Response<()>) -> Vec<u8> {
    const STATUS: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n";
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(STATUS);
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend(part);
        }
    }
    bytes.extend(b"\r\n");
    bytes
}
