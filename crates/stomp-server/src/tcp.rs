//! Options of TCP connections.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// Time between two probes to a peer that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Number of probes without an answer after which the connection is lost.
const PROBES: u32 = 6;

/// Sets the options of a connection on its listener, from which a new connection inherits them on Linux. So the server
/// reads one option of each connection, and need not set six.
pub(crate) fn prepare(listener: &TcpListener, idle: Option<Duration>) {
    if let Some(idle) = idle.filter(|_| cfg!(target_os = "linux")) {
        let socket = SockRef::from(listener);
        log_failure("TCP_NODELAY", socket.set_tcp_nodelay(true));
        keep_alive(&socket, idle);
    }
}

/// Sets the options of an accepted connection, unless it has inherited them: those that connected before [`prepare`] have
/// not.
pub(crate) fn set_options(stream: &TcpStream, idle: Option<Duration>) {
    // The option that `prepare` sets last.
    #[cfg(target_os = "linux")]
    if let Some(idle) = idle {
        let timeout = SockRef::from(stream).tcp_user_timeout();
        if timeout.is_ok_and(|timeout| timeout == Some(user_timeout(idle))) {
            return;
        }
    }
    set_nodelay(stream);
    set_keepalive(stream, idle);
}

/// Sends each write at once. Nagle's algorithm would only add latency, because sockets already write frames in batches.
pub(crate) fn set_nodelay(stream: &TcpStream) {
    log_failure("TCP_NODELAY", stream.set_nodelay(true));
}

/// Detects a peer whose network has vanished, with probes after `idle` without traffic. `None` leaves the operating
/// system's defaults, which usually send no probes.
pub(crate) fn set_keepalive(stream: &TcpStream, idle: Option<Duration>) {
    if let Some(idle) = idle {
        keep_alive(&SockRef::from(stream), idle);
    }
}

fn keep_alive(socket: &SockRef<'_>, idle: Duration) {
    let keepalive = with_probes(TcpKeepalive::new().with_time(idle));
    log_failure("SO_KEEPALIVE", socket.set_tcp_keepalive(&keepalive));
    #[cfg(any(target_os = "android", target_os = "linux"))]
    log_failure(
        "TCP_USER_TIMEOUT",
        socket.set_tcp_user_timeout(Some(user_timeout(idle))),
    );
}

/// The time after which a connection is lost whose peer does not acknowledge what it was sent. Meanwhile TCP repeats the
/// bytes instead of probing: without this option, usually for a quarter of an hour.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn user_timeout(idle: Duration) -> Duration {
    idle.saturating_add(PROBE_INTERVAL * PROBES)
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
