//! Options of TCP connections.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// Time between two probes to a peer that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Number of probes without an answer after which the connection is lost.
const PROBES: u32 = 6;

/// Sends each write at once. Nagle's algorithm would only add latency, because sockets already write frames in batches.
pub(crate) fn set_nodelay(stream: &TcpStream) {
    log_failure("TCP_NODELAY", stream.set_nodelay(true));
}

/// Detects a peer whose network has vanished, with probes after `idle` without traffic. `None` leaves the operating
/// system's defaults, which usually send no probes.
pub(crate) fn set_keepalive(stream: &TcpStream, idle: Option<Duration>) {
    let Some(idle) = idle else { return };
    let keepalive = with_probes(TcpKeepalive::new().with_time(idle));
    let socket = SockRef::from(stream);
    log_failure("SO_KEEPALIVE", socket.set_tcp_keepalive(&keepalive));
    // While sent bytes are not acknowledged, TCP repeats them instead of probing: usually for a quarter of an hour.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    log_failure(
        "TCP_USER_TIMEOUT",
        socket.set_tcp_user_timeout(Some(idle.saturating_add(PROBE_INTERVAL * PROBES))),
    );
}

#[cfg(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "ios",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
    target_os = "windows",
))]
fn with_probes(keepalive: TcpKeepalive) -> TcpKeepalive {
    keepalive.with_interval(PROBE_INTERVAL).with_retries(PROBES)
}

/// Other systems have no such options for one connection.
#[cfg(not(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "ios",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
    target_os = "windows",
)))]
fn with_probes(keepalive: TcpKeepalive) -> TcpKeepalive {
    keepalive
}

/// Logs the failure to set an option. The connection works without it.
fn log_failure(option: &'static str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, option, "an option of a TCP connection cannot be set");
    }
}
