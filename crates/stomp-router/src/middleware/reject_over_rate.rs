//! Middleware that limits the rate of frames of a session or of a principal.

use super::{
    forward_or_reject::{ForwardOrRejectFuture, is_rejectable},
    principal_buckets::PrincipalBuckets,
};
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

/// Rejects `SEND` and `SUBSCRIBE` frames above a rate, of each session or of each principal. Tower's `RateLimitLayer`
/// delays frames instead.
///
/// Rejected frames get the error `rate-limited`. Frames with other commands pass and do not count.
///
/// Each session is counted separately, unless [`per_principal`](RejectOverRateLayer::per_principal) is called. Clones of
/// a layer share the count. Around a router, the limit therefore applies to the total of a session's frames to all
/// routes.
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
#[derive(Debug, Clone)]
pub struct RejectOverRateLayer {
    /// Identifies the layer. A session keeps one bucket for each layer.
    id: u64,
    rate: Rate,
    /// The buckets of principals; `None` if each session is counted separately.
    principals: Option<Arc<PrincipalBuckets>>,
    clock: fn() -> Instant,
}

/// A number of frames in a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    frames: u32,
    pub(super) per: Duration,
    /// The average time between two frames at the limit: `per / frames`.
    interval: Duration,
}

impl RejectOverRateLayer {
    /// Creates a layer that allows `frames` frames in each period `per` on average, and bursts of as many frames.
    ///
    /// If `frames` is 0, one frame is allowed.
    #[must_use]
    pub fn new(frames: u32, per: Duration) -> RejectOverRateLayer {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        RejectOverRateLayer {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            rate: Rate::new(frames, per),
            principals: None,
            clock: Instant::now,
        }
    }

    /// Counts the sessions of one [`Principal`](stomp_session::Principal) together, so that more sessions do not allow
    /// more frames, and reconnecting does not reset the count. Sessions without a principal are still counted separately.
    ///
    /// The layer keeps the counts of at least 65,536, and at most 131,072, principals that have sent most recently. If
    /// more of them send within the period, it forgets the counts of those that have been silent for the longest time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stomp_router::middleware::RejectOverRateLayer;
    ///
    /// let limit = RejectOverRateLayer::new(100, Duration::from_secs(60)).per_principal();
    /// ```
    #[must_use]
    pub fn per_principal(mut self) -> RejectOverRateLayer {
        self.principals = Some(Arc::default());
        self
    }

    /// Counts a frame of the session and returns true, or returns false if the frame exceeds the limit.
    fn admits(&self, session: &Session) -> bool {
        if let (Some(buckets), Some(principal)) = (&self.principals, session.principal()) {
            return buckets.admits(principal, self.rate, (self.clock)());
        }
        let buckets = session.get::<Buckets>().unwrap_or_else(|| {
            let buckets = Buckets::default();
            session.insert(buckets.clone());
            buckets
        });
        let mut buckets = buckets.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let index = buckets
            .iter()
            .position(|(layer_id, _)| *layer_id == self.id)
            .unwrap_or_else(|| {
                buckets.push((self.id, Bucket::new(now)));
                buckets.len() - 1
            });
        buckets
            .get_mut(index)
            .is_some_and(|(_, bucket)| bucket.admits(self.rate, now))
    }

    fn rejection(&self, session: &Session) -> ClientError {
        let Rate { frames, per, .. } = self.rate;
        let text = match (&self.principals, session.principal()) {
            (Some(_), Some(_)) => format!(
                "All sessions of a user together send too many frames: the limit is {frames} per {per:?}."
            ),
            _ => format!("The session sends too many frames: the limit is {frames} per {per:?}."),
        };
        ClientError::new("rate-limited", text)
    }
}

impl Rate {
    pub(super) fn new(frames: u32, per: Duration) -> Rate {
        let frames = frames.max(1);
        Rate {
            frames,
            per,
            interval: per / frames,
        }
    }
}

/// The buckets of one session, stored in the session, each with the id of its layer.
#[derive(Debug, Clone, Default)]
struct Buckets(Arc<Mutex<Vec<(u64, Bucket)>>>);

/// A leaky bucket: each frame adds `interval` to the debt, and the debt decreases with time. It is never more than `per`.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The debt at the time `updated`.
    debt: Duration,
    updated: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Bucket {
        Bucket {
            debt: Duration::ZERO,
            updated: now,
        }
    }

    pub(super) fn admits(&mut self, rate: Rate, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.updated);
        self.debt = self.debt.saturating_sub(elapsed);
        self.updated = now;
        if self.debt > rate.per.saturating_sub(rate.interval) {
            return false;
        }
        self.debt = self.debt.saturating_add(rate.interval);
        true
    }
}

impl<S> Layer<S> for RejectOverRateLayer {
    type Service = RejectOverRate<S>;

    fn layer(&self, inner: S) -> RejectOverRate<S> {
        RejectOverRate {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`RejectOverRateLayer`].
#[derive(Debug, Clone)]
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
            return ForwardOrRejectFuture::reject(self.layer.rejection(request.session()));
        }
        ForwardOrRejectFuture::forward(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use stomp_frame::{Command, Frame};
    use stomp_session::Principal;

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
        let clone = layer.clone();
        assert!(layer.admits(&session));
        assert!(!clone.admits(&session));
        assert!(other.admits(&session));
    }

    #[test]
    fn the_rejection_names_the_limit_and_its_subject() {
        let layer = RejectOverRateLayer::new(5, Duration::from_secs(1));
        let request = Request::new(Frame::new(Command::Send));
        let ann = request.with_principal(Principal::new("ann"));
        let of_session = layer.rejection(ann.session()).text().to_owned();
        assert!(of_session.contains("The session sends"), "{of_session}");
        assert!(of_session.contains("5 per 1s"), "{of_session}");
        let of_user = layer.per_principal().rejection(ann.session());
        assert!(of_user.text().contains("sessions of a user together"));
    }

    #[test]
    fn sessions_of_one_principal_are_counted_together_if_the_layer_says_so() {
        let layer = RejectOverRateLayer {
            clock,
            ..RejectOverRateLayer::new(2, Duration::from_secs(10)).per_principal()
        };
        let session_of = |name: &str| {
            let request = Request::new(Frame::new(Command::Send));
            let principal = Principal::new(name).with_value(0_u8);
            request.with_principal(principal).session().clone()
        };
        ELAPSED.set(Duration::ZERO);
        assert!(layer.admits(&session_of("ann")));
        assert!(layer.clone().admits(&session_of("ann")));
        assert!(!layer.admits(&session_of("ann")));
        assert!(layer.admits(&session_of("bob")));
        assert!(layer.admits(&session()) && layer.admits(&session()));
        ELAPSED.set(Duration::from_secs(5));
        assert!(layer.admits(&session_of("ann")));
        assert!(!layer.admits(&session_of("ann")));
    }
}
