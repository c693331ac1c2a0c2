//! Counts how often a socket calls `write` for a batch of frames. Its stream only counts: there is no network and no
//! second process.

use futures_util::{FutureExt, SinkExt};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use webstomp::{
    frame::{Command, Frame, Limits, Version},
    socket::{Config, Outbound, Peer, Socket},
};

const FRAMES: usize = 1_000;
const BYTES: usize = 40;

/// Prints the number of write calls for [`FRAMES`] frames that are fed and then flushed.
pub(crate) fn print() -> io::Result<()> {
    // Nothing waits: the stream accepts all bytes.
    let calls = count()
        .now_or_never()
        .ok_or_else(|| io::Error::other("the socket waits"))??;
    println!("\n{calls} write calls for {FRAMES} frames of {BYTES} bytes, fed and then flushed.");
    Ok(())
}

async fn count() -> io::Result<usize> {
    let calls = Arc::default();
    let mut socket = Socket::over_websocket(
        Sink(Arc::clone(&calls)),
        b"",
        Peer::default(),
        &Config::default(),
    );
    socket.resume(Version::V1_2, Limits::default());
    let frame = Frame::new(Command::Receipt).with_header("receipt-id", "012345678901234567");
    let length = frame
        .to_bytes(Version::V1_2)
        .map_err(io::Error::other)?
        .len();
    if length != BYTES {
        return Err(io::Error::other(format!(
            "the frame has {length} bytes instead of {BYTES}"
        )));
    }
    for _ in 0..FRAMES {
        socket
            .feed(Outbound::Frame(frame.clone()))
            .await
            .map_err(io::Error::other)?;
    }
    socket.flush().await.map_err(io::Error::other)?;
    Ok(calls.load(Ordering::Relaxed))
}

/// A stream that accepts all bytes and counts the write calls.
struct Sink(Arc<AtomicUsize>);

impl AsyncRead for Sink {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
