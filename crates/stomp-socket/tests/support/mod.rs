//! Helpers for the tests of sockets, and a stream with scripted reads.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses some of it; a failing helper fails the test"
)]

use futures_util::StreamExt;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use stomp_frame::{Frame, Limits, Version};
use stomp_socket::{Config, End, Inbound, Peer, Socket};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A server's socket over a WebSocket, before login.
pub(crate) fn server<S>(io: S) -> Socket
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Socket::over_websocket(io, b"", Peer::default(), &Config::default())
}

/// Resumes a socket in version 1.2, as a server does after CONNECT.
pub(crate) fn connected(mut socket: Socket) -> Socket {
    socket.resume(Version::V1_2, Limits::default());
    socket
}

/// The two ends of a pipe with a buffer of `bytes`.
pub(crate) fn pipe(bytes: usize) -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(bytes)
}

/// Reads to the end. Returns all frames and the end.
pub(crate) async fn read_all(socket: &mut Socket) -> (Vec<Frame>, Option<End>) {
    let mut frames = Vec::new();
    loop {
        match socket.next().await {
            Some(Inbound::Frame(frame)) => frames.push(frame),
            Some(Inbound::End(end)) => return (frames, Some(end)),
            Some(_) => {}
            None => return (frames, None),
        }
    }
}

/// A stream that returns scripted reads, and is pending after the last one. It records each write.
pub(crate) struct Script {
    reads: VecDeque<io::Result<Vec<u8>>>,
    calls: Arc<Mutex<Calls>>,
}

/// The calls that a [`Script`] has received.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) reads: usize,
    pub(crate) writes: Vec<Vec<u8>>,
}

impl Script {
    pub(crate) fn new(
        reads: impl IntoIterator<Item = io::Result<Vec<u8>>>,
    ) -> (Script, Arc<Mutex<Calls>>) {
        let calls = Arc::default();
        (
            Script {
                reads: reads.into_iter().collect(),
                calls: Arc::clone(&calls),
            },
            calls,
        )
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.calls.lock().unwrap().reads += 1;
        match self.reads.pop_front() {
            None => Poll::Pending,
            Some(Err(error)) => Poll::Ready(Err(error)),
            Some(Ok(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(space.remaining()));
                space.put_slice(&bytes);
                // All reads after the end of the stream return the end again.
                if !rest.is_empty() || bytes.is_empty() {
                    self.reads.push_front(Ok(rest));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.calls.lock().unwrap().writes.push(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
