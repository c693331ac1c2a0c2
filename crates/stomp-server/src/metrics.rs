//! Metrics of connections, through the crate `metrics`.

use crate::ConnectionCounts;
use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

/// The gauges of the connections of one server. All servers of a process share them.
pub(crate) struct ConnectionMetrics {
    open: Gauge,
    unauthenticated: Gauge,
    http: Gauge,
}

impl ConnectionMetrics {
    pub(crate) fn new() -> ConnectionMetrics {
        describe_gauge!("webstomp_connections", Unit::Count, "Open connections.");
        describe_gauge!(
            "webstomp_unauthenticated_connections",
            Unit::Count,
            "Open connections that have not logged in, without those for HTTP requests."
        );
        describe_gauge!(
            "webstomp_http_connections",
            Unit::Count,
            "Open connections that are used for HTTP requests."
        );
        describe_counter!(
            "webstomp_refusals_total",
            Unit::Count,
            "Refused and displaced connections and refused requests, by reason."
        );
        ConnectionMetrics {
            open: gauge!("webstomp_connections"),
            unauthenticated: gauge!("webstomp_unauthenticated_connections"),
            http: gauge!("webstomp_http_connections"),
        }
    }

    /// Adds the difference between the numbers of connections before and after a change.
    pub(crate) fn change(&self, before: ConnectionCounts, after: ConnectionCounts) {
        add(&self.open, before.open, after.open);
        add(
            &self.unauthenticated,
            before.unauthenticated,
            after.unauthenticated,
        );
        add(&self.http, before.http, after.http);
    }
}

fn add(gauge: &Gauge, before: usize, after: usize) {
    if before != after {
        gauge.increment(after as f64 - before as f64);
    }
}

/// Counts a refusal with this reason.
pub(crate) fn count_refusal(reason: &'static str) {
    counter!("webstomp_refusals_total", "reason" => reason).increment(1);
}
