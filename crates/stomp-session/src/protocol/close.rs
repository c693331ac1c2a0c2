//! `ERROR`, `DISCONNECT`, and the end of a conversation.

use super::{Phase, Protocol, error_reply::ErrorReply, output::IoOutput, state::timers::Timer};
use crate::{
    config::AppErrors, destination::Destination, disconnect_reason::DisconnectReason,
    error::ClientError, id::SubscriptionKey,
};
use std::time::Instant;
use stomp_frame::Frame;
use stomp_socket::{CloseCode, End, Outbound};

impl Protocol {
    /// Handles `DISCONNECT`: ends all subscriptions and transactions, and calls the service.
    ///
    /// STOMP 1.2, "DISCONNECT": "Clients MUST NOT send any more frames after the `DISCONNECT` frame is sent."
    pub(super) fn disconnect(&mut self, frame: Frame, now: Instant) {
        self.end_all_subscriptions();
        self.abort_all_transactions();
        self.reason = Some(DisconnectReason::Requested);
        self.start_call(frame, Destination::default(), None, now);
    }

    /// Handles an error of a stream: ends its subscription and reports the error.
    pub(crate) fn handle_stream_error(
        &mut self,
        subscription: SubscriptionKey,
        error: ClientError,
        now: Instant,
    ) {
        let id = self.end_subscription(subscription);
        self.report_app_error(ErrorReply::from(error).with_subscription(id), now);
    }

    /// Handles an error that the application reports through a handle of the session.
    pub(crate) fn handle_error(&mut self, error: ClientError, now: Instant) {
        let reply = ErrorReply::from(error);
        match self.phase {
            Phase::Opening | Phase::Connecting => self.fail(reply, DisconnectReason::Error, now),
            Phase::Open => self.report_app_error(reply, now),
            Phase::Closing => {}
        }
    }

    /// Handles the overflow of a mailbox under [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    pub(crate) fn handle_slow_consumer(&mut self, now: Instant) {
        let reply = ErrorReply::from(ClientError::slow_consumer());
        self.fail(reply, DisconnectReason::Timeout, now);
    }

    /// Handles the drop of [`Requests`](crate::Requests): closes the session, unless a request is being handled. The
    /// driver calls this again after the answer.
    pub(crate) fn handle_requests_dropped(&mut self, now: Instant) {
        if self.call.is_none() {
            self.end(DisconnectReason::Server, CloseCode::Away, now);
        }
    }

    /// Closes the session from the server's side, with this close code.
    pub(crate) fn handle_close(&mut self, code: CloseCode, now: Instant) {
        self.end(DisconnectReason::Server, code, now);
    }

    /// Handles the end of the data from the peer: a close, an error in the data, or a broken connection.
    pub(crate) fn handle_end(&mut self, end: &End, now: Instant) {
        match end {
            End::Malformed(error) => {
                self.fail(ErrorReply::malformed(error), DisconnectReason::Fault, now);
            }
            End::Violation { code, reason } => {
                let name = if *code == CloseCode::TooBig {
                    "too-large"
                } else {
                    "malformed-message"
                };
                let reply = ErrorReply::new(name, reason.clone()).with_close_code(*code);
                self.fail(reply, DisconnectReason::Fault, now);
            }
            // A client that ends its side of a byte stream after DISCONNECT still gets its receipt.
            End::Closed(_) | End::HalfClosed
                if self.reason == Some(DisconnectReason::Requested) => {}
            End::Closed(_) | End::HalfClosed => {
                self.end(DisconnectReason::Closed, CloseCode::Normal, now);
            }
            _ => {
                self.end(DisconnectReason::Lost, CloseCode::Normal, now);
                self.push_io(IoOutput::Abort);
            }
        }
    }

    /// Sends an error of the application. The session continues, unless [`AppErrors::Close`] is set or the error wants
    /// to close the connection. The specification requires a close after every `ERROR`, but clients work well with a session that continues.
    pub(super) fn report_app_error(&mut self, reply: ErrorReply, now: Instant) {
        if self.config.app_errors == AppErrors::Close || reply.closes() {
            return self.fail(reply, DisconnectReason::Error, now);
        }
        self.write(Outbound::Frame(reply.into_frame()));
    }

    /// Sends an `ERROR` and ends the session, unless it has ended already.
    ///
    /// STOMP 1.2, "ERROR": the server "MUST then close the connection just after sending the `ERROR` frame".
    pub(super) fn fail(&mut self, reply: ErrorReply, reason: DisconnectReason, now: Instant) {
        if self.is_reading() {
            let code = reply.close_code();
            self.write(Outbound::Frame(reply.into_frame()));
            self.end(reason, code, now);
        }
    }

    /// Ends the session, unless it has ended already.
    pub(super) fn end(&mut self, reason: DisconnectReason, code: CloseCode, now: Instant) {
        if self.is_reading() {
            self.reason = Some(reason);
            self.end_all_subscriptions();
            self.abort_all_transactions();
            self.close(code);
            self.call_disconnect(now);
        }
    }

    /// Closes the connection as soon as the queued output is sent.
    pub(super) fn close(&mut self, code: CloseCode) {
        self.phase = Phase::Closing;
        self.timers.clear_all_but([Timer::Handler, Timer::Write]);
        self.push_io(IoOutput::Close(code));
    }
}
