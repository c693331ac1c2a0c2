//! Clients at the wrong port, who otherwise would make a riddle of it.

use crate::log_throttle::LogThrottle;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tls,
    Http,
    Stomp,
}

/// A stream whose first bytes are looked at. If they are of another language than is spoken here, the log says so.
///
/// HTTP where STOMP is spoken is also answered, and the stream ends for us: an `ERROR` frame says nothing to `curl`.
pub(crate) struct Sniff<S> {
    io: S,
    spoken: Protocol,
    is_over: bool,
    /// What of the answer is still to be written.
    answer: &'static [u8],
}

const NO_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 48\r\n\
    connection: close\r\n\r\nThis port speaks STOMP over TCP, without HTTP.\r\n";

/// All that make the same mistake share one line of the log.
static TLS: LogThrottle = LogThrottle::new();
static NO_TLS: LogThrottle = LogThrottle::new();
static STOMP: LogThrottle = LogThrottle::new();
static HTTP: LogThrottle = LogThrottle::new();

impl<S> Sniff<S> {
    pub(crate) fn new(io: S, spoken: Protocol) -> Sniff<S> {
        Sniff {
            io,
            spoken,
            is_over: false,
            answer: b"",
        }
    }

    pub(crate) fn into_inner(self) -> S {
        self.io
    }

    /// Looks at what came first, and says whether the stream is to end here.
    fn look(&mut self, first: &[u8]) -> bool {
        self.is_over = true;
        let Some(heard) = language_of(first).filter(|heard| *heard != self.spoken) else {
            return false;
        };
        let (burst, what) = match (heard, self.spoken) {
            (Protocol::Tls, _) => (
                &TLS,
                "a client speaks TLS on a port without it: is its URL `ws://`?",
            ),
            (_, Protocol::Tls) => (
                &NO_TLS,
                "a client speaks no TLS on a port that needs it: is its URL `wss://`?",
            ),
            (Protocol::Stomp, _) => (
                &STOMP,
                "a client speaks STOMP over TCP on a port for WebSockets",
            ),
            (Protocol::Http, _) => (&HTTP, "a client speaks HTTP on a port for STOMP over TCP"),
        };
        if let Some(count) = burst.note() {
            tracing::warn!(count, "{what}");
        }
        let is_answered = (heard, self.spoken) == (Protocol::Http, Protocol::Stomp);
        if is_answered {
            self.answer = NO_HTTP;
        }
        is_answered
    }
}

/// The language of a client's first bytes, as far as they tell.
fn language_of(first: &[u8]) -> Option<Protocol> {
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

impl<S: AsyncRead + Unpin> AsyncRead for Sniff<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if !self.is_over && self.look(buffer.filled().get(before..).unwrap_or_default()) {
            // The end of the stream.
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
        while !this.answer.is_empty() {
            let written = ready!(Pin::new(&mut this.io).poll_write(cx, this.answer))?;
            this.answer = this.answer.get(written.max(1)..).unwrap_or_default();
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_language() {
        for (first, language) in [
            (&b"\x16\x03\x01\x02\x00"[..], Some(Protocol::Tls)),
            (b"GET /stomp HTTP/1.1\r\n", Some(Protocol::Http)),
            (b"OPTIONS * HTTP/1.1\r\n", Some(Protocol::Http)),
            (b"CONNECT\naccept-version:1.2\n", Some(Protocol::Stomp)),
            (b"STOMP\r\n", Some(Protocol::Stomp)),
            (b"\n", None),
            (b"C", None),
            (b"", None),
        ] {
            assert_eq!(language_of(first), language, "{}", first.escape_ascii());
        }
    }
}
