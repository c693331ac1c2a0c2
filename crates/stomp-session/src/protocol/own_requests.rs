//! The requests that the session makes itself: `CONNECTED`, `UNSUBSCRIBE` for a subscription that ended without one, and
//! `DISCONNECT` at the end.
//!
//! So the service sees the beginning and the end of each session and of each accepted subscription exactly once. The peer
//! gets no answer to these requests.

use super::{
    Phase, Protocol,
    output::IoOutput,
    state::{
        in_flight::InFlight, own_requests::LostSubscription, subscriptions::Subscription,
        timers::Timer,
    },
};
use crate::{destination::Destination, id::SubscriptionKey};
use std::{mem, time::Instant};
use stomp_frame::{Command, Frame};

impl Protocol {
    /// Calls the service with the next request that the session makes itself, if there is one and the service is idle.
    pub(super) fn call_next(&mut self, now: Instant) {
        if self.call.is_some() || self.own.is_service_dropped() {
            return;
        }
        if mem::take(&mut self.own.is_connected_due) {
            // The registry knows the session before the service does. The answer to `CONNECT` has set the principal.
            if !self.has_left {
                self.push_io(IoOutput::Join);
            }
            let frame = Frame::new(Command::Connected);
            return self.start_own_call(frame, Destination::default());
        }
        // After the end of the peer, the frames that it has sent before come first.
        if self.reason.is_some() || self.is_peer_present() {
            let timeout = self.config.handler_timeout;
            if let Some((lost, ready_until)) = self.own.pop_unsubscribe(now, timeout) {
                let frame = lost.frame();
                self.start_own_call(frame, lost.destination);
                if let Some(ready_until) = ready_until {
                    self.timers.set_at(Timer::Handler, ready_until);
                }
                return;
            }
        }
        if let Some(frame) = self.own.disconnect.take() {
            self.start_call(*frame, Destination::default(), None);
        } else if self.phase == Phase::Closing
            && self.was_connected
            && !self.own.is_disconnect_called
        {
            let frame = Frame::new(Command::Disconnect);
            self.start_own_call(frame, Destination::default());
        }
    }

    fn start_own_call(&mut self, frame: Frame, destination: Destination) {
        self.start_call(frame, destination, None);
        if let Some(call) = &mut self.call {
            call.is_from_peer = false;
        }
    }

    /// Notes that the service has accepted the subscription of a `SUBSCRIBE`. If it has ended meanwhile, the service is
    /// to be called with `UNSUBSCRIBE`.
    pub(super) fn handle_accepted(&mut self, call: &mut InFlight) {
        if let Some(key) = call.subscription {
            self.subscriptions.set_accepted(key);
        }
        if let Some(lost) = call.lost.take() {
            self.own.push_unsubscribe(*lost);
        }
    }

    /// Notes that a subscription has ended without `UNSUBSCRIBE`. If the service has accepted it, or still may, the
    /// service learns of the end.
    pub(super) fn lose_subscription(&mut self, key: SubscriptionKey, subscription: Subscription) {
        let is_accepted = subscription.is_accepted;
        let lost = LostSubscription {
            id: subscription.id,
            destination: subscription.destination,
        };
        if is_accepted {
            self.own.push_unsubscribe(lost);
        } else if let Some(call) = self.call.as_mut().filter(|it| it.subscription == Some(key)) {
            call.lost = Some(Box::new(lost));
        }
    }
}
