//! Middleware that limits the rate of a session's frames.

use super::forward_or_reject::{ForwardOrRejectFuture, is_rejectable};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use stomp_session::{BoxError, ClientError, Request, Response, Session};
use tower::{Layer, Service};

/// Rejects a session's `SEND` and `SUBSCRIBE` frames above a rate. Tower's `RateLimitLayer` delays frames instead.
///
/// Rejected frames get the error `rate-limited`. Frames with other commands pass and do not count.
///
/// Each session is counted separately. Clones of a layer share the count. Around a router, the limit therefore applies
/// to the total of a session's frames to all routes.
///
/// To pause reading from a client that is too fast, use tower's `RateLimitLayer` as a layer of the session: see
/// [`SessionRoutes`](crate::SessionRoutes). Prefer this if the limit need not distinguish between destinations.
///
/// ```
/// use std::time::Duration;
/// use stomp_router::{Handler, Router, middleware::RejectOverRateLayer};
///
/// async fn search(_query: String) {}
///
/// let limit = RejectOverRateLayer::new(5, Duration::from_secs(1));
/// let router: Router = Router::new().send("/search", search.layer(limit));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RejectOverRateLayer {
    /// Identifies the layer. A session keeps one bucket for each layer.
    id: u64,
    frames: u32,
    per: Duration,
    /// The average time between two frames at the limit: `per / frames`.
    interval: Duration,
    clock: fn() -> Instant,
}

impl RejectOverRateLayer {
    /// Creates a layer that allows `frames` frames in each period `per` on average, and bursts of as many frames.
    ///
    /// If `frames` is 0, one frame is allowed.
    #[must_use]
    pub fn new(frames: u32, per: Duration) -> RejectOverRateLayer {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let frames = frames.max(1);
        RejectOverRateLayer {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            frames,
            per,
            interval: per / frames,
            clock: Instant::now,
        }
    }

    /// Counts a frame of the session and returns true, or returns false if the frame exceeds the limit.
    fn admits(&self, session: &Session) -> bool {
        let buckets = session.get::<Buckets>().unwrap_or_else(|| {
            let buckets = Buckets::default();
            session.insert(buckets.clone());
            buckets
        });
        let mut buckets = buckets.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let index = buckets
            .iter()
            .position(|bucket| bucket.layer_id == self.id)
            .unwrap_or_else(|| {
                buckets.push(Bucket {
                    layer_id: self.id,
                    debt: Duration::ZERO,
                    updated: now,
                });
                buckets.len() - 1
            });
        buckets
            .get_mut(index)
            .is_some_and(|bucket| bucket.admits(self, now))
    }

    fn rejection(&self) -> ClientError {
        let RejectOverRateLayer { frames, per, .. } = self;
        ClientError::new(
            "rate-limited",
            format!("The session sends too many frames: the limit is {frames} per {per:?}."),
        )
    }
}

/// The buckets of one session, stored in the session.
#[derive(Debug, Clone, Default)]
struct Buckets(Arc<Mutex<Vec<Bucket>>>);

/// A leaky bucket: each frame adds `interval` to the debt, and the debt decreases with time.
#[derive(Debug)]
struct Bucket {
    layer_id: u64,
    /// The debt at the time `updated`.
    debt: Duration,
    updated: Instant,
}

impl Bucket {
    fn admits(&mut self, layer: &RejectOverRateLayer, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.updated);
        self.debt = self.debt.saturating_sub(elapsed);
        self.updated = now;
        if self.debt > layer.per.saturating_sub(layer.interval) {
            return false;
        }
        self.debt = self.debt.saturating_add(layer.interval);
        true
    }
}

impl<S> Layer<S> for RejectOverRateLayer {
    type Service = RejectOverRate<S>;

    fn layer(&self, inner: S) -> RejectOverRate<S> {
        RejectOverRate {
            inner,
            layer: *self,
        }
    }
}

/// The service of [`RejectOverRateLayer`].
#[derive(Debug, Clone, Copy)]
pub struct RejectOverRate<S> {
    inner: S,
    layer: RejectOverRateLayer,
}

impl<S> Service<Request> for RejectOverRate<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = ForwardOrRejectFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_rejectable(&request) && !self.layer.admits(request.session()) {
            return ForwardOrRejectFuture::reject(self.layer.rejection());
        }
        ForwardOrRejectFuture::forward(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use stomp_frame::{Command, Frame};

    thread_local! {
        static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static START: Instant = Instant::now();
    }

    fn clock() -> Instant {
        START.with(|start| *start) + ELAPSED.get()
    }

    fn session() -> Session {
        Request::new(Frame::new(Command::Send)).session().clone()
    }

    #[test]
    fn frames_are_admitted_again_as_time_passes() {
        let layer = RejectOverRateLayer {
            clock,
            ..RejectOverRateLayer::new(2, Duration::from_secs(10))
        };
        let (session, other) = (session(), session());
        let admitted = |seconds| {
            ELAPSED.set(Duration::from_secs(seconds));
            layer.admits(&session)
        };
        assert_eq!(
            [0, 0, 0, 4, 5, 5].map(admitted),
            [true, true, false, false, true, false]
        );
        assert!(layer.admits(&other), "another session has its own count");
        assert_eq!(
            [9, 10, 100, 100, 100].map(admitted),
            [false, true, true, true, false]
        );
    }

    #[test]
    fn clones_of_a_layer_share_a_count_and_other_layers_do_not() {
        let [layer, other] = [1, 1].map(|frames| RejectOverRateLayer {
            clock,
            ..RejectOverRateLayer::new(frames, Duration::MAX)
        });
        let session = session();
        ELAPSED.set(Duration::ZERO);
        let clone = layer;
        assert!(layer.admits(&session));
        assert!(!clone.admits(&session));
        assert!(other.admits(&session));
    }

    #[test]
    fn the_rejection_names_the_limit() {
        let layer = RejectOverRateLayer::new(5, Duration::from_secs(1));
        let text = layer.rejection().text().to_owned();
        assert!(text.contains("5 per 1s"), "{text}");
    }
}
