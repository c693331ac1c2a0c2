//! Signs of life, both ways, and what happens when a deadline passes.

use super::{Fault, Output, Phase, Protocol, Timer};
use crate::{disconnect_reason::DisconnectReason as Reason, error::ClientError};
use std::time::{Duration, Instant};
use stomp_frame::HeartBeat;
use stomp_socket::{CloseCode, Outbound};

/// What was agreed, and when something last went each way.
#[derive(Debug)]
pub(super) struct HeartBeats {
    has_pings: bool,
    agreed: Option<Agreed>,
    /// A ping was sent and nothing has come since.
    pinged: bool,
}

#[derive(Debug, Clone, Copy)]
struct Agreed {
    /// At the latest after this long, something is sent.
    send: Option<Duration>,
    /// After this long without anything, the peer is dead.
    receive: Option<Duration>,
}

/// On top of two missed beats: STOMP 1.2, "Heart-beating": "because of timing inaccuracies, the receiver SHOULD be
/// tolerant and take into account an error margin".
const MARGIN: Duration = Duration::from_secs(1);

impl HeartBeats {
    pub(super) fn new(has_pings: bool) -> HeartBeats {
        HeartBeats {
            has_pings,
            agreed: None,
            pinged: false,
        }
    }

    pub(super) fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }
}

impl Protocol {
    pub(super) fn agree_on_heart_beats(
        &mut self,
        ours: HeartBeat,
        theirs: HeartBeat,
        now: Instant,
    ) {
        self.heart_beats.agreed = Some(Agreed {
            // Half the interval, so that a beat that is late is not yet missed.
            send: ours.send_interval(theirs).map(|interval| interval / 2),
            receive: theirs
                .send_interval(ours)
                .map(|interval| interval * 2 + MARGIN),
        });
        self.handle_sent(now);
        self.handle_received(now);
    }

    /// Something was written.
    pub(crate) fn handle_sent(&mut self, now: Instant) {
        if let (
            true,
            Some(Agreed {
                send: Some(interval),
                ..
            }),
        ) = (self.is_reading(), self.heart_beats.agreed)
        {
            self.timers.set(Timer::BeatOut, now, interval);
        }
    }

    /// Something came, of any kind: "any new data received over the network connection is an indication that the
    /// remote end is alive". Also to be called when reading goes on after it had stopped: a peer is not silent while
    /// nobody listens.
    pub(crate) fn handle_received(&mut self, now: Instant) {
        self.heart_beats.pinged = false;
        let Some(agreed) = self.heart_beats.agreed.filter(|_| self.is_reading()) else {
            return;
        };
        // A peer that promised nothing is asked now and then, if it can be.
        let asked = self
            .heart_beats
            .has_pings
            .then_some(self.config.ping_interval);
        if let Some(patience) = agreed.receive.or(asked) {
            self.timers.set(Timer::BeatIn, now, patience);
        }
    }

    /// Nobody reads for a while, so nobody judges.
    pub(crate) fn handle_reading_paused(&mut self) {
        self.timers.clear(Timer::BeatIn);
    }

    /// What waits to be written does not get less, or (`false`) it has.
    pub(crate) fn handle_stalled(&mut self, is_stalled: bool, now: Instant) {
        if !is_stalled {
            self.timers.clear(Timer::Stall);
        } else if !self.timers.is_set(Timer::Stall) {
            self.timers
                .set(Timer::Stall, now, self.config.write_timeout);
        }
    }

    /// Acts on all deadlines that have passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::Connect => self.connect_timed_out(now),
                Timer::Handler => self.handler_timed_out(now),
                Timer::BeatOut => {
                    self.output.push_back(Output::Write(Outbound::HeartBeat));
                    self.handle_sent(now);
                }
                Timer::BeatIn => self.silence(now),
                Timer::Stall => {
                    self.end(Reason::Timeout, CloseCode::Policy, now);
                    // What it does not take cannot be told to it.
                    self.output.push_back(Output::Cut);
                }
                Timer::Linger => self.output.push_back(Output::Cut),
                Timer::Frame => {
                    let fault =
                        Fault::new("frame-timeout", "The rest of a frame did not come in time.");
                    self.fail(
                        Fault {
                            code_of_close: CloseCode::Policy,
                            ..fault
                        },
                        Reason::Timeout,
                        now,
                    );
                }
                Timer::Expiry => {
                    let fault = Fault::new("credentials-expired", "Log in again.");
                    self.fail(
                        Fault {
                            code_of_close: CloseCode::Policy,
                            ..fault
                        },
                        Reason::Expired,
                        now,
                    );
                }
            }
        }
    }

    /// The beginning of another frame has come and its end has not, or (`false`) whole frames.
    pub(crate) fn handle_part(&mut self, is_part: bool, now: Instant) {
        self.timers.clear(Timer::Frame);
        if is_part && self.phase == Phase::Open {
            self.timers
                .set(Timer::Frame, now, self.config.frame_timeout);
        }
    }

    fn handler_timed_out(&mut self, now: Instant) {
        if self.call.as_ref().is_some_and(|call| call.is_called) {
            self.output.push_back(Output::Cancel);
            let error =
                ClientError::new("timeout", "The server took too long to handle this frame.");
            return self.handle_answer(Err(error), now);
        }
        self.output.push_back(Output::Abandon);
        let receipt = self
            .call
            .take()
            .and_then(|call| call.receipt)
            .or_else(|| self.commit.take()?.into_receipt());
        // Without a service nobody can be told of the end.
        self.disconnect_called = true;
        let fault = Fault::new("overloaded", "The server is too busy to handle this frame.");
        self.fail(
            Fault {
                receipt,
                code_of_close: CloseCode::Internal,
                ..fault
            },
            Reason::Error,
            now,
        );
    }

    /// Everything is on its way to a peer that is being left: it is given some time to take it.
    pub(crate) fn handle_flushed(&mut self, now: Instant) {
        if !self.is_reading() && !self.timers.is_set(Timer::Linger) {
            self.timers
                .set(Timer::Linger, now, self.config.linger_timeout);
        }
    }

    fn silence(&mut self, now: Instant) {
        let promised = self
            .heart_beats
            .agreed
            .is_some_and(|agreed| agreed.receive.is_some());
        if promised || self.heart_beats.pinged {
            let fault = Fault::new("heart-beat-timeout", "Nothing came for too long.");
            return self.fail(
                Fault {
                    code_of_close: CloseCode::Policy,
                    ..fault
                },
                Reason::Timeout,
                now,
            );
        }
        self.heart_beats.pinged = true;
        self.output.push_back(Output::Write(Outbound::Ping));
        self.timers
            .set(Timer::BeatIn, now, self.config.ping_timeout);
    }
}
