//! A minimum rate for the bytes that a peer sends or takes.

use crate::activity::Activity;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Measures the time for which this side waits for a peer. The peer has an allowance, which decreases while this side
/// waits, and increases with each byte that is transferred, up to its initial value.
///
/// So a peer that takes or sends `bytes_per_second` on average may pause for as long as the initial allowance. The time
/// in which this side has nothing to transfer does not count.
pub(crate) struct Pace {
    bytes_per_second: u32,
    max_allowance: Duration,
    allowance: Duration,
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    pub(crate) fn new(allowance: Duration, bytes_per_second: u32) -> Pace {
        Pace {
            bytes_per_second,
            max_allowance: allowance,
            allowance,
            waiting: None,
        }
    }

    /// Call this while the peer delays the transfer. Returns `Ready` when its allowance is used up.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let allowance = self.allowance;
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            since: Instant::now(),
            timer: Box::pin(sleep(allowance)),
        });
        waiting.timer.as_mut().poll(cx)
    }

    /// Call this when bytes were transferred.
    pub(crate) fn advance(&mut self, bytes: usize) {
        let waited = self.waiting.take().map(|waiting| waiting.since.elapsed());
        if waited.is_none() && self.allowance == self.max_allowance {
            return;
        }
        let earned = bytes as f64 / f64::from(self.bytes_per_second);
        self.allowance = self
            .allowance
            .saturating_sub(waited.unwrap_or_default())
            .saturating_add(Duration::try_from_secs_f64(earned).unwrap_or(Duration::MAX))
            .min(self.max_allowance);
    }
}

/// A stream that fails if the peer takes the bytes written to it too slowly.
pub(crate) struct PacedWrites<S> {
    io: S,
    pace: Pace,
    activity: Arc<Activity>,
}

impl<S> PacedWrites<S> {
    pub(crate) fn new(io: S, pace: Pace, activity: Arc<Activity>) -> PacedWrites<S> {
        PacedWrites { io, pace, activity }
    }

    pub(crate) fn into_inner(self) -> S {
        self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> PacedWrites<S> {
    /// Fails a write that the peer has delayed for too long.
    fn judge<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        written: impl FnOnce(&T) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(result) => {
                self.pace.advance(result.as_ref().map_or(0, written));
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(self.pace.poll_wait(cx));
                let text = "the peer takes a response too slowly";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedWrites<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(result, |written| *written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        if result.is_ready() {
            self.activity.record_flush();
        }
        self.judge(result, |()| 0, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(result, |()| 0, cx)
    }
}
