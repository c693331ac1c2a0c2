//! Deadlines: the events that set them, and the reactions when they pass.

use super::{
    Phase, Protocol,
    error_reply::ErrorReply,
    output::{CallOutput, IoOutput},
    state::timers::Timer,
};
use crate::{disconnect_reason::DisconnectReason, error::ClientError};
use bytestring::ByteString;
use std::{
    fmt,
    time::{Duration, Instant},
};
use stomp_frame::{Command, IncompleteFrame, Limits};
use stomp_socket::CloseCode;

impl Protocol {
    /// Handles all deadlines that have passed. `incomplete` returns the frame whose end has not arrived yet, if any.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        incomplete: impl Fn() -> Option<IncompleteFrame>,
    ) {
        while let Some(timer) = self.timers.take_expired(now) {
            match timer {
                Timer::Connect => self.connect_timed_out(incomplete(), now),
                Timer::Handler => self.handler_timed_out(now),
                Timer::HeartBeat => self.send_heart_beat(now),
                Timer::Silence => self.handle_silence(now),
                Timer::Write => {
                    // An ERROR would not arrive, because the peer reads nothing.
                    if self.is_reading() {
                        self.error_code = Some(Box::new(ByteString::from_static("write-timeout")));
                    }
                    self.end(DisconnectReason::Timeout, CloseCode::Policy, now);
                    self.push_io(IoOutput::Abort);
                }
                Timer::Frame => self.frame_timed_out(incomplete(), now),
                Timer::Expiry => self.credentials_expired(now),
                Timer::Linger => self.push_io(IoOutput::Abort),
                Timer::Close => self.close_timed_out(),
            }
        }
    }

    /// Starts the write timeout, unless it runs already: the network did not accept all of the output.
    pub(crate) fn handle_write_blocked(&mut self, now: Instant) {
        // The close timeout is enough for a peer that is gone.
        if !self.is_peer_gone() && !self.timers.is_set(Timer::Write) {
            self.timers
                .set(Timer::Write, now, self.config.write_timeout);
        }
    }

    /// Stops the write timeout: the network accepted some or all of the output.
    pub(crate) fn handle_write_progress(&mut self) {
        self.timers.clear(Timer::Write);
    }

    /// Sets the deadline of an incomplete frame: its first byte arrived at `since`, and `received` bytes since then.
    pub(crate) fn handle_partial_frame(&mut self, since: Instant, received: u64) {
        if self.phase != Phase::Open {
            return;
        }
        // Pings and other frames may be among the bytes, but no more than a frame can have.
        let Limits {
            max_head_bytes,
            max_frame_bytes,
            ..
        } = self.config.limits;
        let counted = received.min(max_head_bytes.saturating_add(max_frame_bytes) as u64);
        let rate = u64::from(self.config.min_frame_bytes_per_second.max(1));
        let granted = Duration::from_millis(counted.saturating_mul(1_000) / rate);
        let after = self.config.frame_timeout.saturating_add(granted);
        self.timers.set(Timer::Frame, since, after);
    }

    /// Stops the frame timeout: the frame is complete, or reading has paused.
    pub(crate) fn handle_no_partial_frame(&mut self) {
        self.timers.clear(Timer::Frame);
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
        if !self.timers.is_set(Timer::Linger) {
            self.timers
                .set(Timer::Linger, now, self.config.linger_timeout);
        }
    }

    fn connect_timed_out(&mut self, incomplete: Option<IncompleteFrame>, now: Instant) {
        let timeout = self.config.connect_timeout;
        let text = match &incomplete {
            Some(frame) => format!("{} within {timeout:?} (connect_timeout).", Missing(frame)),
            None => {
                format!("No complete CONNECT frame arrived within {timeout:?} (connect_timeout).")
            }
        };
        self.fail_for_timeout("connect-timeout", text, incomplete, now);
    }

    fn frame_timed_out(&mut self, incomplete: Option<IncompleteFrame>, now: Instant) {
        let (timeout, rate) = (
            self.config.frame_timeout,
            self.config.min_frame_bytes_per_second,
        );
        let missing = match &incomplete {
            Some(frame) => Missing(frame).to_string(),
            None => "The rest of a WebSocket message did not arrive".to_owned(),
        };
        let text = format!(
            "{missing} within {timeout:?} (frame_timeout) and one second for each {rate} bytes \
             (min_frame_bytes_per_second)."
        );
        self.fail_for_timeout("frame-timeout", text, incomplete, now);
    }

    fn fail_for_timeout(
        &mut self,
        code: &'static str,
        text: String,
        incomplete: Option<IncompleteFrame>,
        now: Instant,
    ) {
        let receipt = incomplete.and_then(|frame| frame.receipt);
        let reply = ErrorReply::new(code, text)
            .with_receipt(receipt.map(|receipt| ByteString::from(receipt.into_string())))
            .with_close_code(CloseCode::Policy);
        self.fail(reply, DisconnectReason::Timeout, now);
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
            .or_else(|| self.commit.as_mut()?.receipt.take());
        self.own.service_dropped();
        let reply = ErrorReply::new("overloaded", "The server is too busy to handle this frame.")
            .with_receipt(receipt)
            .with_close_code(CloseCode::Internal);
        self.fail(reply, DisconnectReason::Error, now);
    }
}

/// Displays the part of a frame that has not arrived.
pub(super) struct Missing<'a>(pub(super) &'a IncompleteFrame);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IncompleteFrame {
            bytes,
            command,
            length,
            ..
        } = self.0;
        write!(f, "The server received {bytes} bytes ")?;
        if let Some(length) = length {
            write!(f, "out of {length} that the content-length announces ")?;
        }
        match command {
            Some(command) => write!(f, "of a {command} frame, ")?,
            None => write!(f, "of a frame, ")?,
        }
        write!(f, "but not the NUL at its end")
    }
}
