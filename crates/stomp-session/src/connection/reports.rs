//! Reports of what a session does: to its log and to its monitors.

use super::{
    driver::{Driver, now},
    telemetry::{Bytes, Call},
};
use crate::{
    disconnect_reason::DisconnectReason,
    monitor::{HandledRequest, Monitor, Outcome, OutgoingFrame, SessionEnd, Transfer},
    session::Session,
};
use std::time::Duration;
use stomp_frame::{Command, Frame};
use stomp_socket::{CloseCode, LogThrottles, Socket};
use tracing::field;

/// The throttles for sessions that end for a fault.
static FAULTS: LogThrottles = LogThrottles::new();

impl Driver {
    /// Calls the monitors.
    #[inline]
    fn notify(&self, call: impl Fn(&dyn Monitor, &Session)) {
        if !self.config.monitors.is_empty() {
            let session = &self.session;
            self.config
                .monitors
                .notify(|monitor| call(monitor, session));
        }
    }

    /// Notes that the peer is connected.
    pub(super) fn report_opened(&self) {
        // Not at INFO: the event at the end of the session has its duration.
        tracing::debug!(parent: self.telemetry.span(), "session opened");
        self.notify(|monitor, session| monitor.opened(session));
    }

    /// Adds the principal to the span of the session.
    pub(super) fn record_principal(&self) {
        if let Some(principal) = self.session.principal() {
            self.telemetry.span().record("principal", principal.name());
        }
    }

    /// Notes a frame of the peer.
    #[inline]
    pub(super) fn report_received(&self, frame: &Frame) {
        self.notify(|monitor, session| monitor.received(session, frame));
    }

    /// Notes a frame that is in the outbound buffer.
    #[inline]
    pub(super) fn report_sent(&mut self, frame: OutgoingFrame<'_>) {
        self.telemetry.sent_frames += 1;
        self.notify(|monitor, session| monitor.sent(session, frame));
    }

    /// Notes that the peer was told of dropped messages.
    pub(super) fn report_dropped(&mut self, messages: u64) {
        let total = &mut self.telemetry.dropped_messages;
        *total = total.saturating_add(messages);
        self.notify(|monitor, session| monitor.dropped(session, messages));
    }

    /// Notes the bytes of the last turn.
    pub(super) fn report_transfer(&mut self, is_ended: bool) {
        if self.config.monitors.is_empty() {
            return;
        }
        let socket = self.socket.as_ref();
        let now = Bytes {
            received: self.received_total(),
            sent: self.telemetry.sent_bytes,
            unsent: socket.filter(|_| !is_ended).map_or(0, Socket::unsent_bytes),
        };
        let before = std::mem::replace(&mut self.telemetry.reported, now);
        if now != before {
            let transfer = Transfer {
                received_bytes: now.received - before.received,
                sent_bytes: now.sent - before.sent,
                unsent_bytes: now.unsent as i64 - before.unsent as i64,
            };
            self.notify(|monitor, session| monitor.transferred(session, &transfer));
        }
    }

    /// Bytes received since the start of the connection.
    fn received_total(&self) -> u64 {
        let socket = self.socket.as_ref();
        socket.map_or(self.received_bytes, Socket::received_bytes)
    }

    /// Opens the span of a call. Must precede the call.
    #[inline]
    pub(super) fn report_called(&mut self, command: Command) {
        let last_ended_at = self.telemetry.last_ended_at.take();
        // Nobody asks for the time if there are no monitors.
        let is_timed = !self.config.monitors.is_empty();
        self.telemetry.call = Some(Call {
            command,
            started_at: match last_ended_at {
                Some(at) => at,
                None if is_timed => now(),
                None => self.now,
            },
            span: tracing::debug_span!(
                parent: self.telemetry.span(),
                "request",
                command = command.as_str(),
                route = field::Empty,
            ),
        });
    }

    /// Adds the route, which is known when the service has been called, to the span of the call.
    pub(super) fn record_route(&self) {
        let Some(call) = self.telemetry.call.as_ref() else {
            return;
        };
        if !call.span.is_disabled() {
            if let Some(route) = self.session.shared().route() {
                call.span.record("route", &**route.text());
            }
        }
    }

    /// Notes that the service has answered, or that the session has given the call up.
    #[inline]
    pub(super) fn report_handled(&mut self, command: Option<Command>, outcome: Outcome) {
        let call = self.telemetry.call.take();
        let Some(command) = call.as_ref().map(|call| call.command).or(command) else {
            return;
        };
        if self.config.monitors.is_empty() {
            return;
        }
        let mut last_route = self.telemetry.last_route.take();
        let request = HandledRequest {
            command,
            route: self.session.shared().route_in(&mut last_route),
            outcome,
            elapsed: call.map_or(Duration::ZERO, |call| {
                let ended_at = now();
                self.telemetry.last_ended_at = self.telemetry.is_reading.then_some(ended_at);
                ended_at.saturating_duration_since(call.started_at)
            }),
        };
        self.notify(|monitor, session| monitor.handled(session, &request));
        self.telemetry.last_route = last_route;
    }

    /// Notes the end of the connection.
    pub(super) fn report_ended(&mut self) {
        let span = self.telemetry.span().clone();
        let _entered = span.enter();
        self.report_handled(None, Outcome::Cancelled);
        self.report_transfer(true);
        let end = SessionEnd {
            reason: self.protocol.reason().unwrap_or(DisconnectReason::Server),
            error_code: self.protocol.error_code().map(str::to_owned),
            close_code: self.telemetry.close_code,
            was_connected: self.protocol.was_connected(),
            duration: now().saturating_duration_since(self.telemetry.opened_at),
            received_frames: self.received_frames,
            sent_frames: self.telemetry.sent_frames,
            received_bytes: self.received_total(),
            sent_bytes: self.telemetry.sent_bytes,
            dropped_messages: self.telemetry.dropped_messages,
        };
        log_end(&end);
        self.notify(|monitor, session| monitor.ended(session, &end));
    }
}

/// Writes the line about the end of a session: at `WARN` if the server closed it for a fault, otherwise at `INFO`.
///
/// Anybody can cause faults in great numbers, so `WARN` is throttled for each kind of fault. Beyond that, the ends of
/// connected sessions are logged at `INFO`, and those of other connections at `DEBUG`, as are connections that ended
/// before `CONNECT` without a fault.
fn log_end(end: &SessionEnd) {
    macro_rules! line {
        ($level:ident $(, $count:ident)?) => {
            tracing::$level!(
                $($count,)?
                reason = end.reason.as_str(),
                error = end.error_code.as_deref(),
                close_code = end.close_code.map(CloseCode::as_u16),
                duration = ?end.duration,
                received_frames = end.received_frames,
                sent_frames = end.sent_frames,
                received_bytes = end.received_bytes,
                sent_bytes = end.sent_bytes,
                dropped_messages = end.dropped_messages,
                "session ended"
            )
        };
    }
    use DisconnectReason::{Error, Fault, Timeout};
    let is_fault = matches!(end.reason, Fault | Timeout | Error);
    let kind = end.error_code.as_deref().unwrap_or(end.reason.as_str());
    match is_fault.then(|| FAULTS.record(kind)).flatten() {
        Some(count) => line!(warn, count),
        None if end.was_connected => line!(info),
        None => line!(debug),
    }
}
