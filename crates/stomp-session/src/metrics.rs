//! Metrics of sessions, through the crate `metrics`.

use crate::{
    disconnect_reason::DisconnectReason,
    monitor::{HandledRequest, Monitor, Outcome, OutgoingFrame, SessionEnd, Transfer},
    params::Pattern,
    session::Session,
};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::{
    array, fmt,
    sync::{Arc, OnceLock},
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
    ended: Counters,
    logins_refused: Counter,
    slow_consumers: Counter,
    requests: RequestsByRoute,
    frames_received: Counters,
    frames_sent: Counters,
    messages_redelivered: Counter,
    received_bytes: Counter,
    sent_bytes: Counter,
    unsent_bytes: Gauge,
    messages_dropped: Counter,
}

/// The handles for requests by command and route. Routes are part of the program, so their number is bounded.
///
/// Each request is looked up, so there are neither locks nor hashes: the handles are in lists that only grow, and the index
/// of a route chooses the list.
struct RequestsByRoute([OnceLock<Box<RouteMetrics>>; RequestsByRoute::LISTS]);

/// Handles for the requests with one command to one route.
struct RouteMetrics {
    command: Command,
    /// The text of the route's pattern. `None` without a route.
    route: Option<Arc<str>>,
    outcomes: Counters,
    seconds: Histogram,
    /// The rest of the list.
    next: OnceLock<Box<RouteMetrics>>,
}

/// One counter for each value of a label, at the place of the value's number.
struct Counters(Vec<Counter>);

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
            ended: Counters::new(DisconnectReason::ALL, |reason| reason as usize, ended),
            logins_refused: counter!("webstomp_logins_refused_total"),
            slow_consumers: counter!("webstomp_slow_consumers_total"),
            requests: RequestsByRoute(array::from_fn(|_| OnceLock::new())),
            frames_received: Counters::new(
                Command::ALL,
                |command| command as usize,
                frames_received,
            ),
            frames_sent: Counters::new(Command::ALL, |command| command as usize, frames_sent),
            messages_redelivered: counter!("webstomp_messages_redelivered_total"),
            received_bytes: counter!("webstomp_received_bytes_total"),
            sent_bytes: counter!("webstomp_sent_bytes_total"),
            unsent_bytes: gauge!("webstomp_unsent_bytes"),
            messages_dropped: counter!("webstomp_messages_dropped_total"),
        }
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
        self.frames_received.increment(frame.command as usize);
    }

    fn handled(&self, _: &Session, request: &HandledRequest<'_>) {
        let metrics = self.requests.get(request.command, request.route);
        metrics.outcomes.increment(request.outcome as usize);
        metrics.seconds.record(request.elapsed);
    }

    fn sent(&self, _: &Session, frame: OutgoingFrame<'_>) {
        self.frames_sent.increment(frame.command() as usize);
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
        self.ended.increment(end.reason as usize);
    }
}

impl fmt::Debug for SessionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMetrics").finish_non_exhaustive()
    }
}

impl RequestsByRoute {
    const LISTS: usize = 64;

    /// The handles for requests with this command to this route. Registers them when they are first used.
    fn get(&self, command: Command, route: Option<&Pattern>) -> &RouteMetrics {
        let text = route.map(Pattern::text);
        let number = route.map_or(0, Pattern::index) % RequestsByRoute::LISTS;
        let [first, ..] = &self.0;
        let mut place = self.0.get(number).unwrap_or(first);
        loop {
            match place.get() {
                Some(known) if known.command == command && known.route.as_ref() == text => {
                    return known;
                }
                Some(other) => place = &other.next,
                // Registered outside of the cell, because the recorder is foreign code. If another thread is faster, the
                // search goes on with what that thread has added.
                None => drop(place.set(Box::new(RouteMetrics::new(command, text.cloned())))),
            }
        }
    }
}

impl RouteMetrics {
    fn new(command: Command, route: Option<Arc<str>>) -> RouteMetrics {
        let name = command.as_str();
        let label = route.clone().unwrap_or_else(|| Arc::from(""));
        let outcome = |outcome: Outcome| {
            counter!("webstomp_requests_total", "command" => name, "route" => Arc::clone(&label),
                "outcome" => outcome.as_str())
        };
        RouteMetrics {
            command,
            outcomes: Counters::new(Outcome::ALL, |outcome| outcome as usize, outcome),
            seconds: histogram!("webstomp_request_seconds", "command" => name, "route" => Arc::clone(&label)),
            route,
            next: OnceLock::new(),
        }
    }
}

impl Counters {
    fn new<K: Copy>(
        labels: impl IntoIterator<Item = K>,
        number: impl Fn(K) -> usize,
        register: impl Fn(K) -> Counter,
    ) -> Counters {
        let mut counters = Vec::new();
        for label in labels {
            let number = number(label);
            let len = counters.len().max(number + 1);
            counters.resize(len, Counter::noop());
            if let Some(counter) = counters.get_mut(number) {
                *counter = register(label);
            }
        }
        Counters(counters)
    }

    fn increment(&self, number: usize) {
        if let Some(counter) = self.0.get(number) {
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
