//! The requests that the service is called with, one at a time, and its answers.

use super::{Fault, Output, Phase, Protocol, Timer};
use crate::{
    disconnect_reason::DisconnectReason as Reason, error::ClientError, id::SubscriptionKey,
    response::Connected, staging::Staging,
};
use bytestring::ByteString;
use std::time::Instant;
use stomp_frame::{Command, Frame, HeartBeat, header};
use stomp_socket::{CloseCode, Outbound};

/// A request that is being handled, and what its answer needs.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) command: Command,
    pub(super) receipt: Option<ByteString>,
    pub(super) subscription: Option<SubscriptionKey>,
    pub(super) heart_beat: Option<HeartBeat>,
    /// The service was ready and has been called.
    pub(super) is_called: bool,
}

impl Protocol {
    pub(super) fn call(
        &mut self,
        frame: Frame,
        subscription: Option<SubscriptionKey>,
        now: Instant,
    ) {
        self.call = Some(InFlight {
            command: frame.command,
            receipt: frame.headers.share(header::RECEIPT),
            subscription,
            heart_beat: None,
            is_called: false,
        });
        self.timers
            .set(Timer::Handler, now, self.config.handler_timeout);
        self.disconnect_called |= frame.command == Command::Disconnect;
        self.request = Some(frame);
        self.output.push_back(Output::Call);
    }

    /// The service was ready, and has been called: its time begins.
    pub(crate) fn handle_called(&mut self, now: Instant) {
        if let Some(call) = &mut self.call {
            call.is_called = true;
            self.timers
                .set(Timer::Handler, now, self.config.handler_timeout);
        }
    }

    /// The frame that the service is to be called with, for `DISCONNECT` why the session ends, and for a `SEND` of a
    /// transaction where to stage what it would do.
    pub(crate) fn take_request(&mut self) -> Option<(Frame, Option<Reason>, Option<Staging>)> {
        let frame = self.request.take()?;
        let reason = self.reason.filter(|_| frame.command == Command::Disconnect);
        Some((
            frame,
            reason,
            self.commit.as_ref().map(|commit| commit.staging().clone()),
        ))
    }

    /// Takes the service's answer.
    ///
    /// STOMP 1.2, "RECEIPT": "A `RECEIPT` frame is an acknowledgment that the corresponding client frame has been
    /// _processed_ by the server."
    pub(crate) fn handle_answer(
        &mut self,
        answer: Result<Option<Connected>, ClientError>,
        now: Instant,
    ) {
        let Some(call) = self.call.take() else { return };
        self.timers.clear(Timer::Handler);
        match (call.command, answer) {
            _ if self.phase == Phase::Closing => self.epilogue(now),
            // The session's handle has let the peer in already.
            (Command::Connect | Command::Stomp, _) if self.phase == Phase::Open => {}
            (Command::Connect | Command::Stomp, Ok(connected)) => {
                self.accept(connected.unwrap_or_default(), call.heart_beat, now);
            }
            (Command::Connect | Command::Stomp, Err(error)) => {
                self.fail(Fault::from(error), Reason::Error, now)
            }
            (Command::Disconnect, Ok(_)) => {
                self.receipt(call.receipt);
                self.close(CloseCode::Normal);
            }
            (Command::Disconnect, Err(error)) => {
                self.fail(
                    Fault {
                        receipt: call.receipt,
                        ..Fault::from(error)
                    },
                    Reason::Requested,
                    now,
                );
            }
            (_, answer) if self.commit.is_some() => {
                self.handle_answer_in_commit(answer.map(drop), now)
            }
            (_, Ok(_)) => self.receipt(call.receipt),
            (_, Err(error)) => {
                let fault = Fault {
                    receipt: call.receipt,
                    ..Fault::from(error)
                };
                let fault = Fault {
                    subscription: call.subscription.and_then(|key| self.retire(key)),
                    ..fault
                };
                self.refuse(fault, now);
            }
        }
    }

    /// Calls `DISCONNECT` for a session that was connected and ends without that frame, after the request that is
    /// being handled.
    pub(super) fn epilogue(&mut self, now: Instant) {
        if self.heart_beats.is_agreed() && self.call.is_none() && !self.disconnect_called {
            self.call(Frame::new(Command::Disconnect), None, now);
        }
    }

    pub(crate) fn receipt(&mut self, receipt: Option<ByteString>) {
        if let Some(id) = receipt {
            self.output.push_back(Output::Write(Outbound::Receipt(id)));
        }
    }
}
