//! The spans of a session, and its counts for the log and the monitors.

use crate::{
    error::{BoxError, ClientError, HandlerPanicked},
    monitor::Outcome,
    params::Pattern,
    session::Session,
};
use std::{sync::Arc, time::Instant};
use stomp_frame::Command;
use stomp_socket::{CloseCode, Socket};
use tracing::{Span, field};

/// The spans of a session, and its counts for the log.
pub(super) struct Telemetry {
    span: Span,
    pub(super) opened_at: Instant,
    /// The call of the service that runs.
    pub(super) call: Option<Call>,
    /// The route of the last request that was reported.
    pub(super) last_route: Option<Arc<Pattern>>,
    /// True while frames are handled one after the other.
    pub(super) is_reading: bool,
    /// The time at which the request of the last frame ended, while the next one is read. To read the clock again would
    /// cost more than to read a frame.
    pub(super) last_ended_at: Option<Instant>,
    pub(super) sent_frames: u64,
    /// Bytes written to the network.
    pub(super) sent_bytes: u64,
    pub(super) dropped_messages: u64,
    pub(super) close_code: Option<CloseCode>,
    /// The bytes that the monitors know.
    pub(super) reported: Bytes,
}

/// A call of the service, or the futures of a transaction.
pub(super) struct Call {
    pub(super) command: Command,
    pub(super) started_at: Instant,
    pub(super) span: Span,
}

/// Total bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bytes {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) unsent: usize,
}

impl Telemetry {
    pub(super) fn new(session: &Session, socket: &Socket, now: Instant) -> Telemetry {
        // At the level ERROR, so that the events of every level name their session.
        let span = tracing::error_span!(
            "session",
            id = %session.id(),
            peer = session.peer().address.map(field::display),
            transport = if socket.supports_ping() { "websocket" } else { "stream" },
            principal = field::Empty,
        );
        Telemetry {
            span,
            opened_at: now,
            call: None,
            last_route: None,
            is_reading: false,
            last_ended_at: None,
            sent_frames: 0,
            sent_bytes: 0,
            dropped_messages: 0,
            close_code: None,
            reported: Bytes::default(),
        }
    }

    /// The span of the session.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Calls code of the application in the span of the call that runs.
    pub(super) fn in_call<T>(&self, call: impl FnOnce() -> T) -> T {
        match &self.call {
            Some(running) if !running.span.is_disabled() => running.span.in_scope(call),
            _ => call(),
        }
    }

    /// The span of the call that runs. `None` if there is none, or if spans of requests are disabled.
    pub(super) fn call_span(&self) -> Option<Span> {
        let span = &self.call.as_ref()?.span;
        (!span.is_disabled()).then(|| span.clone())
    }

    /// The command of the call that runs.
    pub(super) fn called_command(&self) -> Option<Command> {
        Some(self.call.as_ref()?.command)
    }
}

/// The outcome of a request that got an error, of which the client sees `shown`.
pub(super) fn outcome_of(is_panic: bool, shown: &ClientError) -> Outcome {
    match shown.code() {
        _ if is_panic => Outcome::Panicked,
        "timeout" => Outcome::TimedOut,
        "overloaded" => Outcome::Overloaded,
        code if code == ClientError::internal().code() => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

pub(super) fn is_panic(error: &BoxError) -> bool {
    error.is::<HandlerPanicked>()
}
