//! So many frames of a session in a time.

use super::{GuardFuture, go, may_be_refused, refuse};
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

/// Refuses a session's `SEND` and `SUBSCRIBE` frames with `rate-limited` when there are too many of them. Other frames
/// pass, and are not counted.
///
/// Each session is counted for itself, and clones of a layer count together: around a router, a session may send so
/// many frames to all of its routes.
///
/// Tower's `RejectOverRateLayer` in `layer_per_session` does not refuse but holds back: the session is not read from until
/// there is room. Prefer that where it does not matter which frames are meant.
///
/// ```
/// use std::time::Duration;
/// use stomp_router::{Handler, Router, middleware::RejectOverRateLayer};
///
/// async fn search(_query: String) {}
///
/// let router: Router = Router::new().send("/search", search.layer(RejectOverRateLayer::new(5, Duration::from_secs(1))));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RejectOverRateLayer {
    /// Which one: sessions keep the time for each.
    id: u64,
    /// How long one frame counts.
    interval: Duration,
    /// How far ahead of its time a session may be.
    ahead: Duration,
    clock: fn() -> Instant,
}

impl RejectOverRateLayer {
    /// Lets `frames` pass at once, and the next whenever a part of `per` has gone by in which one more fits. At least one
    /// frame passes.
    #[must_use]
    pub fn new(frames: u32, per: Duration) -> RejectOverRateLayer {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let interval = per / frames.max(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        RejectOverRateLayer {
            id,
            interval,
            ahead: per.saturating_sub(interval),
            clock: Instant::now,
        }
    }

    /// Counts a frame, if there is room for it.
    fn admits(&self, session: &Session) -> bool {
        let counts = session.get::<Counts>().unwrap_or_else(|| {
            let counts = Counts::default();
            session.insert(counts.clone());
            counts
        });
        let mut counts = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let at = counts
            .iter()
            .position(|count| count.id == self.id)
            .unwrap_or_else(|| {
                counts.push(Count {
                    id: self.id,
                    ahead: Duration::ZERO,
                    since: now,
                });
                counts.len() - 1
            });
        counts
            .get_mut(at)
            .is_some_and(|count| count.admits(self, now))
    }
}

/// In a session: what the layers have counted.
#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<Vec<Count>>>);

#[derive(Debug)]
struct Count {
    id: u64,
    /// How far ahead of their time the frames are that have passed, as of `since`.
    ahead: Duration,
    since: Instant,
}

impl Count {
    fn admits(&mut self, layer: &RejectOverRateLayer, now: Instant) -> bool {
        self.ahead = self
            .ahead
            .saturating_sub(now.saturating_duration_since(self.since));
        self.since = now;
        if self.ahead > layer.ahead {
            return false;
        }
        self.ahead = self.ahead.saturating_add(layer.interval);
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
    type Future = GuardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if may_be_refused(&request) && !self.layer.admits(request.session()) {
            return refuse(ClientError::new(
                "rate-limited",
                "These frames come too fast.",
            ));
        }
        go(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use stomp_frame::{Command, Frame};

    thread_local! {
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static START: Instant = Instant::now();
    }

    fn clock() -> Instant {
        START.with(|start| *start) + PASSED.get()
    }

    fn session() -> Session {
        Request::new(Frame::new(Command::Send)).session().clone()
    }

    #[test]
    fn room_comes_back_with_time() {
        let layer = RejectOverRateLayer {
            clock,
            ..RejectOverRateLayer::new(2, Duration::from_secs(10))
        };
        let (session, other) = (session(), session());
        let admitted = |at| {
            PASSED.set(Duration::from_secs(at));
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
    fn clones_count_together_and_layers_apart() {
        let [one, other] = [1, 1].map(|frames| RejectOverRateLayer {
            clock,
            ..RejectOverRateLayer::new(frames, Duration::MAX)
        });
        let session = session();
        PASSED.set(Duration::ZERO);
        let clone = one;
        assert!(one.admits(&session));
        assert!(!clone.admits(&session));
        assert!(other.admits(&session));
    }
}
