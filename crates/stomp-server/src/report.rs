//! Reports refused connections to the operator: in the log, and as a metric.

use std::{fmt, net::SocketAddr};
use stomp_socket::LogThrottles;
use tracing::field;

/// The throttles for refused connections.
static REFUSED: LogThrottles = LogThrottles::new();

/// Reports that a connection or a request of this peer was refused. At most one line is logged in 10 s for each reason,
/// with the number of refusals since the last one.
///
/// `problem` is a sentence about the refusal. It must not contain anything that may be a secret.
pub(crate) fn refused(reason: &'static str, peer: Option<SocketAddr>, problem: impl fmt::Display) {
    #[cfg(feature = "metrics")]
    crate::metrics::count_refusal(reason);
    let peer = peer.map(field::display);
    match REFUSED.record(reason) {
        Some(count) => tracing::warn!(reason, peer, count, "connection refused: {problem}"),
        None => tracing::debug!(reason, peer, "connection refused: {problem}"),
    }
}
