//! The requests that the session makes itself, until the service can be called with them.

use crate::destination::Destination;
use bytestring::ByteString;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use stomp_frame::{Command, Frame, header};

/// Requests that the session makes itself, and that wait for the service.
#[derive(Debug, Default)]
pub(crate) struct OwnRequests {
    /// True from `CONNECTED` until the service is called with it.
    pub(crate) is_connected_due: bool,
    /// The accepted subscriptions that ended without `UNSUBSCRIBE`, in the order of their ends. They are not more than
    /// the subscriptions that a session may have: while some of them wait, no `SUBSCRIBE` is handled. Only after the end
    /// of the peer there is one more for each `SUBSCRIBE` that was read before.
    unsubscribes: VecDeque<LostSubscription>,
    /// The end of the time for `unsubscribes`, while the service is called with them.
    deadline: Option<Instant>,
    /// The peer's `DISCONNECT`, which comes after `unsubscribes`.
    pub(crate) disconnect: Option<Box<Frame>>,
    /// True if the service must not be called with `DISCONNECT` any more, because it was called already.
    pub(crate) is_disconnect_called: bool,
    /// True if the service was dropped.
    is_service_dropped: bool,
}

/// A subscription that has ended without `UNSUBSCRIBE`.
#[derive(Debug)]
pub(crate) struct LostSubscription {
    pub(crate) id: Option<ByteString>,
    pub(crate) destination: Destination,
}

/// Minimum time until the service is ready for a request, also if this process was stalled and the deadline has passed.
/// Otherwise the service would be dropped, although it is ready.
const MIN_WAIT: Duration = Duration::from_secs(1);

impl OwnRequests {
    pub(crate) fn push_unsubscribe(&mut self, subscription: LostSubscription) {
        self.unsubscribes.push_back(subscription);
    }

    /// Takes the next subscription for which to call the service, and the time until which the service must be ready.
    /// All of them together have the time `timeout`.
    #[inline]
    pub(crate) fn pop_unsubscribe(
        &mut self,
        now: Instant,
        timeout: Duration,
    ) -> Option<(LostSubscription, Option<Instant>)> {
        let Some(subscription) = self.unsubscribes.pop_front() else {
            self.deadline = None;
            return None;
        };
        self.deadline = self.deadline.or_else(|| now.checked_add(timeout));
        let ready_until = self.deadline.map(|deadline| deadline.max(now + MIN_WAIT));
        Some((subscription, ready_until))
    }

    /// The share of the current call in the time that is left: a call that hangs leaves the same time to each of the
    /// calls behind it. If none is left, the call is polled once. `None` if the time is not limited.
    #[inline]
    pub(crate) fn share(&self, now: Instant) -> Option<Duration> {
        let left = self.deadline?.saturating_duration_since(now);
        let calls = u32::try_from(self.unsubscribes.len() + 1).unwrap_or(u32::MAX);
        Some(left / calls)
    }

    /// Notes that the service was dropped: no request reaches it any more.
    pub(crate) fn service_dropped(&mut self) {
        *self = OwnRequests {
            is_disconnect_called: true,
            is_service_dropped: true,
            ..OwnRequests::default()
        };
    }

    pub(crate) fn is_service_dropped(&self) -> bool {
        self.is_service_dropped
    }
}

impl LostSubscription {
    /// The frame with which the peer would have ended the subscription.
    pub(crate) fn frame(&self) -> Frame {
        let mut frame = Frame::new(Command::Unsubscribe)
            .with_header(header::DESTINATION, self.destination.as_str());
        if let Some(id) = &self.id {
            frame.headers.append(header::ID, id);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_the_end_share_the_time_so_that_one_that_hangs_does_not_take_all_of_it() {
        let mut own = OwnRequests::default();
        for _ in 0..3 {
            own.push_unsubscribe(LostSubscription {
                id: None,
                destination: Destination::default(),
            });
        }
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut now = start;
        for share in [20, 20, 20] {
            let (_, ready_until) = own.pop_unsubscribe(now, seconds(60)).unwrap();
            assert_eq!(ready_until, Some(start + seconds(60)));
            assert_eq!(own.share(now), Some(seconds(share)));
            now += seconds(share);
        }
        assert!(own.pop_unsubscribe(now, seconds(60)).is_none());
        assert_eq!(own.share(now), None);
    }
}
