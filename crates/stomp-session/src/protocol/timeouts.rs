//! Deadlines: the events that set them, and the reactions when they pass.

use super::{
    Phase, Protocol,
    error_reply::ErrorReply,
    output::{CallOutput, IoOutput},
    state::timers::Timer,
};
use crate::{disconnect_reason::DisconnectReason, error::ClientError};
use std::time::Instant;
use stomp_frame::Command;
use stomp_socket::CloseCode;

impl Protocol {
    /// Handles all deadlines that have passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_expired(now) {
            match timer {
                Timer::Connect => self.connect_timed_out(now),
                Timer::Handler => self.handler_timed_out(now),
                Timer::HeartBeat => self.send_heart_beat(now),
                Timer::Silence => self.handle_silence(now),
                Timer::Write => {
                    // An ERROR would not arrive, because the peer reads nothing.
                    self.end(DisconnectReason::Timeout, CloseCode::Policy, now);
                    self.push_io(IoOutput::Abort);
                }
                Timer::Frame => self.frame_timed_out(now),
                Timer::Expiry => self.credentials_expired(now),
                Timer::Linger => self.push_io(IoOutput::Abort),
            }
        }
    }

    /// Starts the write timeout, unless it runs already: the network did not accept all of the output.
    pub(crate) fn handle_write_blocked(&mut self, now: Instant) {
        if !self.timers.is_set(Timer::Write) {
            self.timers
                .set(Timer::Write, now, self.config.write_timeout);
        }
    }

    /// Stops the write timeout: the network accepted some or all of the output.
    pub(crate) fn handle_write_progress(&mut self) {
        self.timers.clear(Timer::Write);
    }

    /// Restarts the frame timeout if the beginning of another frame has arrived, and stops it otherwise.
    pub(crate) fn handle_partial_frame(&mut self, is_partial: bool, now: Instant) {
        self.timers.clear(Timer::Frame);
        if is_partial && self.phase == Phase::Open {
            self.timers
                .set(Timer::Frame, now, self.config.frame_timeout);
        }
    }

    /// Sets the time at which the credentials of the peer expire.
    pub(crate) fn handle_expires_at(&mut self, at: Instant) {
        if self.is_reading() {
            self.timers.set_at(Timer::Expiry, at);
        }
    }

    /// Starts the linger timeout when a closing session has sent all its output: the peer now has a limited time to
    /// read the last frame and to close.
    pub(crate) fn handle_flushed(&mut self, now: Instant) {
        if !self.is_reading() && !self.timers.is_set(Timer::Linger) {
            self.timers
                .set(Timer::Linger, now, self.config.linger_timeout);
        }
    }

    fn connect_timed_out(&mut self, now: Instant) {
        let text = format!(
            "No complete CONNECT frame arrived within {:?} (connect_timeout).",
            self.config.connect_timeout
        );
        self.fail_for_timeout("connect-timeout", text, now);
    }

    fn frame_timed_out(&mut self, now: Instant) {
        let text = format!(
            "The rest of a frame did not arrive within {:?} (frame_timeout).",
            self.config.frame_timeout
        );
        self.fail_for_timeout("frame-timeout", text, now);
    }

    fn fail_for_timeout(&mut self, code: &'static str, text: String, now: Instant) {
        self.fail(
            ErrorReply::new(code, text).with_close_code(CloseCode::Policy),
            DisconnectReason::Timeout,
            now,
        );
    }

    fn credentials_expired(&mut self, now: Instant) {
        let reply = ErrorReply::new(
            "credentials-expired",
            "The credentials of this session have expired. Log in again.",
        );
        self.fail(
            reply.with_close_code(CloseCode::Policy),
            DisconnectReason::Expired,
            now,
        );
    }

    /// Cancels a call that takes too long. If the service was not even ready in time, ends the session: the server is
    /// overloaded.
    fn handler_timed_out(&mut self, now: Instant) {
        if self.call.as_ref().is_some_and(|call| call.is_started) {
            self.push_call(CallOutput::Cancel);
            let error =
                ClientError::new("timeout", "The server took too long to handle this frame.");
            if self.current_command() == Some(Command::Commit) {
                return self.handle_committed(Err(error), now);
            }
            return self.handle_answer(Err(error), now);
        }
        self.push_call(CallOutput::DropService);
        let receipt = self
            .call
            .take()
            .and_then(|call| call.receipt)
            .or_else(|| self.commit.take()?.receipt.take());
        // The service is dropped, so it cannot be called with DISCONNECT.
        self.is_disconnect_called = true;
        let reply = ErrorReply::new("overloaded", "The server is too busy to handle this frame.")
            .with_receipt(receipt)
            .with_close_code(CloseCode::Internal);
        self.fail(reply, DisconnectReason::Error, now);
    }
}
