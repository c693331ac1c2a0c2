//! Detects clients that use the wrong protocol for a port. Without a log message, such a mistake is hard to diagnose.

use crate::report;
use bytes::Bytes;
use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A protocol that a client may use on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tls,
    Http,
    Stomp,
}

impl Protocol {
    /// Detects the protocol from a client's first bytes; `None` if they do not determine it.
    fn detect(first: &[u8]) -> Option<Protocol> {
        const METHODS: [&[u8]; 6] = [
            b"GET ",
            b"HEAD ",
            b"POST ",
            b"PUT ",
            b"OPTIONS ",
            b"DELETE ",
        ];
        const COMMANDS: [&[u8]; 4] = [b"CONNECT\n", b"CONNECT\r", b"STOMP\n", b"STOMP\r"];
        let begins = |words: &[&[u8]]| words.iter().any(|word| first.starts_with(word));
        match first {
            // A handshake record of any version since SSL 3: RFC 8446, section 5.1.
            [0x16, 0x03, ..] => Some(Protocol::Tls),
            _ if begins(&METHODS) => Some(Protocol::Http),
            _ if begins(&COMMANDS) => Some(Protocol::Stomp),
            _ => None,
        }
    }
}

/// A stream that inspects the first bytes of the client, and logs a warning if they belong to another protocol than
/// expected.
///
/// An HTTP client on a port for STOMP also gets an HTTP response, because it would not understand an `ERROR` frame. Its
/// request is hidden from the server, which sees an ended stream.
pub(crate) struct Sniff<S> {
    io: S,
    expected: Protocol,
    peer: Option<SocketAddr>,
    is_done: bool,
    /// The client's first bytes, while they are to be read again.
    unread: Bytes,
    /// The part of the HTTP response that is not yet written.
    response: &'static [u8],
}

/// Maximum bytes of [`Sniff::peek`]. The head of a request is rarely longer.
const PEEK_BYTES: usize = 4 << 10;

/// The response to an HTTP client on a port for STOMP.
const NO_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 54\r\n\
    connection: close\r\n\r\nThis port accepts STOMP over TCP, not HTTP requests.\r\n";

impl<S> Sniff<S> {
    pub(crate) fn new(io: S, expected: Protocol, peer: Option<SocketAddr>) -> Sniff<S> {
        Sniff {
            io,
            expected,
            peer,
            is_done: false,
            unread: Bytes::new(),
            response: b"",
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn get_ref(&self) -> &S {
        &self.io
    }

    pub(crate) fn into_inner(self) -> S {
        self.io
    }

    /// Inspects the client's first bytes. Returns true if they must be hidden from the server.
    fn inspect(&mut self, first: &[u8]) -> bool {
        self.is_done = true;
        let detected = Protocol::detect(first);
        let Some(detected) = detected.filter(|detected| *detected != self.expected) else {
            return false;
        };
        let (reason, mistake) = match (detected, self.expected) {
            (Protocol::Tls, _) => (
                "unexpected-tls",
                "a client uses TLS on a port without TLS: its URL should begin with `ws://`",
            ),
            (_, Protocol::Tls) => (
                "missing-tls",
                "a client does not use TLS on a port with TLS: its URL should begin with `wss://`",
            ),
            (Protocol::Stomp, _) => (
                "unexpected-stomp",
                "a client uses STOMP over TCP on a port for WebSockets",
            ),
            (Protocol::Http, _) => (
                "unexpected-http",
                "a client uses HTTP on a port for STOMP over TCP",
            ),
        };
        report::refused(reason, self.peer, mistake);
        let is_answered = (detected, self.expected) == (Protocol::Http, Protocol::Stomp);
        if is_answered {
            self.response = NO_HTTP;
        }
        is_answered
    }
}

impl<S: AsyncRead + Unpin> Sniff<S> {
    /// Waits for the client's first bytes, or for the end of the stream. Reads return these bytes again.
    pub(crate) async fn peek(&mut self) -> io::Result<Bytes> {
        poll_fn(|cx| {
            // Not on the heap, so that the bytes keep no more memory than they need.
            let mut space = [const { MaybeUninit::uninit() }; PEEK_BYTES];
            let mut first = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut first))?;
            self.unread = Bytes::copy_from_slice(first.filled());
            Poll::Ready(Ok(self.unread.clone()))
        })
        .await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sniff<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if !self.is_done && self.inspect(buffer.filled().get(before..).unwrap_or_default()) {
            // A read without bytes is the end of the stream.
            buffer.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sniff<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.response.is_empty() {
            let written = ready!(Pin::new(&mut this.io).poll_write(cx, this.response))?;
            this.response = this.response.get(written.max(1)..).unwrap_or_default();
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_determine_the_protocol() {
        for (first, protocol) in [
            (&b"\x16\x03\x01\x02\x00"[..], Some(Protocol::Tls)),
            (b"GET /stomp HTTP/1.1\r\n", Some(Protocol::Http)),
            (b"OPTIONS * HTTP/1.1\r\n", Some(Protocol::Http)),
            (b"CONNECT\naccept-version:1.2\n", Some(Protocol::Stomp)),
            (b"STOMP\r\n", Some(Protocol::Stomp)),
            (b"\n", None),
            (b"C", None),
            (b"", None),
        ] {
            assert_eq!(
                Protocol::detect(first),
                protocol,
                "{}",
                first.escape_ascii()
            );
        }
    }
}
