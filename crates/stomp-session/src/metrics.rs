//! Metrics of sessions, through the crate `metrics`.

use crate::{
    disconnect_reason::DisconnectReason,
    monitor::{HandledRequest, Monitor, Outcome, OutgoingFrame, SessionEnd, Transfer},
    session::Session,
};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};
use stomp_frame::{Command, Frame};

/// Counts sessions, requests, frames and bytes, through the recorder of the crate `metrics`.
///
/// The [guide of `webstomp`](https://docs.rs/webstomp/latest/webstomp/#operation) lists the metrics. No label has a value
/// that a client chooses: `route` is the pattern of a route, empty without one; `reason` is the
/// [name](DisconnectReason::as_str) of a [`DisconnectReason`], and `outcome` that of an [`Outcome`].
///
/// Handles are registered once, by [`SessionMetrics::new`], and for each route with its first request. So install the
/// recorder before. A `webstomp::App` with the feature `metrics` adds these metrics itself.
pub struct SessionMetrics {
    sessions: Gauge,
    ended: Counters<DisconnectReason>,
    logins_refused: Counter,
    slow_consumers: Counter,
    /// By command and by the pattern of the route. Patterns are part of the program, so their number is bounded.
    requests: RwLock<RequestsByRoute>,
    frames_received: Counters<Command>,
    frames_sent: Counters<Command>,
    messages_redelivered: Counter,
    received_bytes: Counter,
    sent_bytes: Counter,
    unsent_bytes: Gauge,
    messages_dropped: Counter,
}

/// The handles for requests, by the pattern of their route and by command.
type RequestsByRoute = HashMap<Box<str>, Vec<(Command, Arc<RequestMetrics>)>>;

/// Handles for the requests with one command to one route.
struct RequestMetrics {
    outcomes: Counters<Outcome>,
    seconds: Histogram,
}

/// One counter for each value of a label.
struct Counters<K>(Vec<(K, Counter)>);

impl SessionMetrics {
    /// Registers the metrics with the current recorder.
    #[must_use]
    pub fn new() -> SessionMetrics {
        describe();
        let frames_received = |command: Command| counter!("webstomp_frames_received_total", "command" => command.as_str());
        let frames_sent = |command: Command| counter!("webstomp_frames_sent_total", "command" => command.as_str());
        let ended = |reason: DisconnectReason| counter!("webstomp_sessions_ended_total", "reason" => reason.as_str());
        SessionMetrics {
            sessions: gauge!("webstomp_sessions"),
            ended: Counters::new(DisconnectReason::ALL, ended),
            logins_refused: counter!("webstomp_logins_refused_total"),
            slow_consumers: counter!("webstomp_slow_consumers_total"),
            requests: RwLock::default(),
            frames_received: Counters::new(Command::ALL, frames_received),
            frames_sent: Counters::new(Command::ALL, frames_sent),
            messages_redelivered: counter!("webstomp_messages_redelivered_total"),
            received_bytes: counter!("webstomp_received_bytes_total"),
            sent_bytes: counter!("webstomp_sent_bytes_total"),
            unsent_bytes: gauge!("webstomp_unsent_bytes"),
            messages_dropped: counter!("webstomp_messages_dropped_total"),
        }
    }

    /// The handles for requests with this command to this route. Registers them when they are first used, without the
    /// lock, because the recorder is foreign code.
    fn requests(&self, command: Command, route: &str) -> Arc<RequestMetrics> {
        let known = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let of_route = known.get(route).map_or(&[][..], |it| it);
        if let Some((_, metrics)) = of_route.iter().find(|(known, _)| *known == command) {
            return Arc::clone(metrics);
        }
        drop(known);
        let metrics = Arc::new(RequestMetrics::new(command, route));
        let mut known = self
            .requests
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let of_route = known.entry(route.into()).or_default();
        of_route.push((command, Arc::clone(&metrics)));
        metrics
    }
}

impl Default for SessionMetrics {
    fn default() -> Self {
        SessionMetrics::new()
    }
}

impl Monitor for SessionMetrics {
    fn opened(&self, _: &Session) {
        self.sessions.increment(1.0);
    }

    fn received(&self, _: &Session, frame: &Frame) {
        self.frames_received.increment(frame.command);
    }

    fn handled(&self, _: &Session, request: &HandledRequest<'_>) {
        let route = request.route.map_or("", |route| route.text());
        let metrics = self.requests(request.command, route);
        metrics.outcomes.increment(request.outcome);
        metrics.seconds.record(request.elapsed);
    }

    fn sent(&self, _: &Session, frame: OutgoingFrame<'_>) {
        self.frames_sent.increment(frame.command());
        if let OutgoingFrame::Message {
            is_redelivered: true,
            ..
        } = frame
        {
            self.messages_redelivered.increment(1);
        }
    }

    fn dropped(&self, _: &Session, messages: u64) {
        self.messages_dropped.increment(messages);
    }

    fn transferred(&self, _: &Session, transfer: &Transfer) {
        self.received_bytes.increment(transfer.received_bytes);
        self.sent_bytes.increment(transfer.sent_bytes);
        if transfer.unsent_bytes != 0 {
            self.unsent_bytes.increment(transfer.unsent_bytes as f64);
        }
    }

    fn ended(&self, _: &Session, end: &SessionEnd) {
        if end.was_connected {
            self.sessions.decrement(1.0);
        } else if end.reason == DisconnectReason::Error {
            self.logins_refused.increment(1);
        }
        if let Some("slow-consumer" | "write-timeout") = end.error_code.as_deref() {
            self.slow_consumers.increment(1);
        }
        self.ended.increment(end.reason);
    }
}

impl fmt::Debug for SessionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMetrics").finish_non_exhaustive()
    }
}

impl RequestMetrics {
    fn new(command: Command, route: &str) -> RequestMetrics {
        let (command, route) = (command.as_str(), Arc::<str>::from(route));
        let outcome = |outcome: Outcome| {
            counter!("webstomp_requests_total", "command" => command, "route" => Arc::clone(&route),
                "outcome" => outcome.as_str())
        };
        RequestMetrics {
            outcomes: Counters::new(Outcome::ALL, outcome),
            seconds: histogram!("webstomp_request_seconds", "command" => command, "route" => Arc::clone(&route)),
        }
    }
}

impl<K: Copy + PartialEq> Counters<K> {
    fn new(labels: impl IntoIterator<Item = K>, register: impl Fn(K) -> Counter) -> Counters<K> {
        Counters(labels.into_iter().map(|it| (it, register(it))).collect())
    }

    fn increment(&self, label: K) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == label) {
            counter.increment(1);
        }
    }
}

/// Describes the metrics to the recorder.
fn describe() {
    describe_gauge!("webstomp_sessions", Unit::Count, "Connected sessions.");
    describe_counter!(
        "webstomp_sessions_ended_total",
        Unit::Count,
        "Ended connections, by reason."
    );
    describe_counter!(
        "webstomp_logins_refused_total",
        Unit::Count,
        "Refused CONNECTs."
    );
    describe_counter!(
        "webstomp_slow_consumers_total",
        Unit::Count,
        "Sessions closed because the peer read too slowly."
    );
    describe_counter!("webstomp_requests_total", Unit::Count, "Handled requests.");
    describe_histogram!(
        "webstomp_request_seconds",
        Unit::Seconds,
        "Time from the call of the service to its answer."
    );
    describe_counter!(
        "webstomp_frames_received_total",
        Unit::Count,
        "Frames received."
    );
    describe_counter!("webstomp_frames_sent_total", Unit::Count, "Frames sent.");
    describe_counter!(
        "webstomp_messages_redelivered_total",
        Unit::Count,
        "Redelivered messages."
    );
    describe_counter!(
        "webstomp_received_bytes_total",
        Unit::Bytes,
        "Bytes received."
    );
    describe_counter!(
        "webstomp_sent_bytes_total",
        Unit::Bytes,
        "Bytes written to the network."
    );
    describe_gauge!(
        "webstomp_unsent_bytes",
        Unit::Bytes,
        "Bytes that wait to be written."
    );
    describe_counter!(
        "webstomp_messages_dropped_total",
        Unit::Count,
        "Dropped messages."
    );
}
