//! `ERROR` and `DISCONNECT`: how a conversation ends, or does not.

use super::{Fault, Output, Phase, Protocol, Timer};
use crate::{
    config::AppErrors, disconnect_reason::DisconnectReason as Reason, error::ClientError,
    id::SubscriptionKey,
};
use std::time::Instant;
use stomp_frame::Frame;
use stomp_socket::{CloseCode, End, Outbound};

impl Protocol {
    /// STOMP 1.2, "DISCONNECT": "Clients MUST NOT send any more frames after the `DISCONNECT` frame is sent."
    pub(super) fn disconnect(&mut self, frame: Frame, now: Instant) {
        self.unsubscribe_all();
        self.abort_all();
        self.reason = Some(Reason::Requested);
        self.call(frame, None, now);
    }

    /// A stream of a subscription has failed.
    pub(crate) fn handle_stream_error(
        &mut self,
        key: SubscriptionKey,
        error: ClientError,
        now: Instant,
    ) {
        let fault = Fault {
            subscription: self.retire(key),
            ..Fault::from(error)
        };
        self.refuse(fault, now);
    }

    /// The application sends an error of its own accord.
    pub(crate) fn handle_error(&mut self, error: ClientError, now: Instant) {
        match self.phase {
            Phase::Opening | Phase::Connecting => self.fail(Fault::from(error), Reason::Error, now),
            Phase::Open => self.refuse(Fault::from(error), now),
            Phase::Closing => {}
        }
    }

    /// The peer does not keep up.
    pub(crate) fn handle_overflow(&mut self, now: Instant) {
        let fault = Fault::new("slow-consumer", "Messages come faster than they are taken.");
        self.fail(
            Fault {
                code_of_close: CloseCode::Policy,
                ..fault
            },
            Reason::Timeout,
            now,
        );
    }

    /// The application says when what the peer has shown of itself expires.
    pub(crate) fn handle_expiry(&mut self, at: Instant) {
        if self.is_reading() {
            self.timers.set_at(Timer::Expiry, at);
        }
    }

    /// Nobody takes requests any more.
    pub(crate) fn handle_abandoned(&mut self, now: Instant) {
        if self.call.is_none() {
            self.end(Reason::Server, CloseCode::Away, now);
        }
    }

    /// The application closes.
    pub(crate) fn handle_close(&mut self, code: CloseCode, now: Instant) {
        self.end(Reason::Server, code, now);
    }

    /// Nothing more comes from the peer.
    pub(crate) fn handle_end(&mut self, end: &End, now: Instant) {
        match end {
            End::Malformed(error) => self.fail(Fault::malformed(error), Reason::Fault, now),
            End::Violation { code, reason } => {
                let name = if *code == CloseCode::TooBig {
                    "too-large"
                } else {
                    "malformed-message"
                };
                self.fail(
                    Fault {
                        code_of_close: *code,
                        ..Fault::new(name, reason.clone())
                    },
                    Reason::Fault,
                    now,
                );
            }
            // A client that ends its side of a byte stream after DISCONNECT still gets its receipt.
            End::Closed(_) | End::HalfClosed if self.reason == Some(Reason::Requested) => {}
            End::Closed(_) | End::HalfClosed => self.end(Reason::Closed, CloseCode::Normal, now),
            _ => {
                self.end(Reason::Lost, CloseCode::Normal, now);
                self.output.push_back(Output::Cut);
            }
        }
    }

    /// Answers an error of the application, which the session survives unless the configuration says otherwise.
    pub(super) fn refuse(&mut self, fault: Fault, now: Instant) {
        if self.config.app_errors == AppErrors::Close {
            return self.fail(fault, Reason::Error, now);
        }
        self.output
            .push_back(Output::Write(Outbound::Frame(fault.into_frame())));
    }

    /// STOMP 1.2, "ERROR": the server "MUST then close the connection just after sending the `ERROR` frame".
    pub(super) fn fail(&mut self, fault: Fault, reason: Reason, now: Instant) {
        if self.is_reading() {
            let code = fault.code_of_close;
            self.output
                .push_back(Output::Write(Outbound::Frame(fault.into_frame())));
            self.end(reason, code, now);
        }
    }

    pub(super) fn end(&mut self, reason: Reason, code: CloseCode, now: Instant) {
        if self.is_reading() {
            self.reason = Some(reason);
            self.unsubscribe_all();
            self.abort_all();
            self.close(code);
            self.epilogue(now);
        }
    }

    pub(super) fn close(&mut self, code: CloseCode) {
        self.phase = Phase::Closing;
        self.timers.clear_all_but([Timer::Handler, Timer::Stall]);
        self.output.push_back(Output::Close(code));
    }
}
