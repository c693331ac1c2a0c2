//! Admits the connections of a server, and gives each a permit.

use crate::{
    ConnectionCounts, ConnectionLimits, Shutdown,
    admission::{Displaced, Key, Reached, Stage, State},
    refusal::Refusal,
    report,
    shutdown::Watcher,
};
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use stomp_socket::Permit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Counts the connections of one server and enforces its limits.
pub(crate) struct Connections {
    limits_addresses: bool,
    shutdown: Shutdown,
    state: Mutex<State>,
    /// True after the log has warned that `max_per_address` has no effect.
    has_warned: AtomicBool,
    #[cfg(feature = "metrics")]
    metrics: crate::metrics::ConnectionMetrics,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits, shutdown: Shutdown) -> Arc<Connections> {
        Arc::new(Connections {
            limits_addresses: limits.max_per_address.is_some(),
            state: Mutex::new(State::new(limits)),
            shutdown,
            has_warned: AtomicBool::new(false),
            #[cfg(feature = "metrics")]
            metrics: crate::metrics::ConnectionMetrics::new(),
        })
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        self.state().counts()
    }

    /// Admits a connection and counts it until the permit is dropped. If `is_proxy` is true, the address is that of a
    /// proxy, and does not count against `max_per_address`.
    ///
    /// # Errors
    ///
    /// Returns a refusal if a limit is reached, or if the server shuts down.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: Option<SocketAddr>,
        is_proxy: bool,
        lingering: &Lingering,
    ) -> Result<ConnectionPermit, Refusal> {
        let watcher = Watcher::unless_started(&self.shutdown).ok_or(Refusal::ShuttingDown)?;
        if address.is_none() && !is_proxy {
            self.warn_about_missing_address();
        }
        let (revoke, revoked) = oneshot::channel();
        let admitted = self.change(|state| state.admit(address, is_proxy, revoke));
        let (key, displaced) = admitted.map_err(refuse)?;
        displaced.into_iter().for_each(displace);
        Ok(ConnectionPermit {
            place: Place {
                connections: Arc::clone(self),
                key,
            },
            watcher,
            revocation: Revocation::Possible(revoked),
            lingering: lingering.clone(),
            lingers: None,
        })
    }

    /// Warns once if `max_per_address` is set, but the address of a connection is unknown.
    fn warn_about_missing_address(&self) {
        if self.limits_addresses && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "`ConnectionLimits::max_per_address` does not apply to connections without a known address; an HTTP \
                 server on which an `Upgrade` is mounted must provide it: see `Upgrade::peer_addr`"
            );
        }
    }

    /// Changes the numbers of connections.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        #[cfg(feature = "metrics")]
        let before = state.counts();
        let changed = change(&mut state);
        #[cfg(feature = "metrics")]
        let after = state.counts();
        drop(state);
        // A recorder is foreign code, so it does not run under the lock.
        #[cfg(feature = "metrics")]
        self.metrics.change(before, after);
        changed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates the refusal of a connection above a limit.
fn refuse((setting, max): Reached) -> Refusal {
    Refusal::TooManyConnections { setting, max }
}

/// Revokes the permit of a displaced connection. This wakes a task, so it must not happen under the lock.
fn displace(displaced: Displaced) {
    let Displaced {
        address, was_idle, ..
    } = displaced;
    drop(displaced);
    if !was_idle {
        report::refused(
            "displaced",
            address,
            "a limit of `Config::connection_limits` is reached, so it is closed to make room for another address",
        );
    }
}

/// A handle to the place of a connection. It does not keep the place.
#[derive(Clone)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    key: Key,
}

impl Place {
    /// Counts the connection as one that is used for HTTP requests, and that is not idle now.
    ///
    /// # Errors
    ///
    /// Returns a refusal if `max_http` is reached.
    pub(crate) fn begin_http(&self, address: Option<SocketAddr>) -> Result<(), Refusal> {
        self.relocate(Stage::Http, address)
    }

    /// Counts the connection as one that has not logged in, under the address that its handshake shows.
    ///
    /// # Errors
    ///
    /// Returns a refusal if `max_unauthenticated` or `max_per_address` is reached.
    pub(crate) fn begin_session(&self, address: Option<SocketAddr>) -> Result<(), Refusal> {
        self.relocate(Stage::Unauthenticated, address)
    }

    /// Records that the request of a connection that is used for HTTP has been answered.
    pub(crate) fn end_request(&self) {
        self.connections.state().end_request(self.key);
    }

    fn relocate(&self, stage: Stage, address: Option<SocketAddr>) -> Result<(), Refusal> {
        let relocated = self
            .connections
            .change(|state| state.relocate(self.key, stage, address));
        let displaced = relocated.map_err(refuse)?;
        displaced.into_iter().for_each(displace);
        Ok(())
    }
}

/// The places for lingering connections of one listener: see [`ConnectionLimits::max_lingering`].
#[derive(Clone)]
pub(crate) struct Lingering(Arc<Semaphore>);

impl Lingering {
    pub(crate) fn new(limits: &ConnectionLimits) -> Lingering {
        let places = limits.max_lingering.min(Semaphore::MAX_PERMITS);
        Lingering(Arc::new(Semaphore::new(places)))
    }
}

/// The permit of an admitted connection. Dropping it removes the connection from the counts.
pub(crate) struct ConnectionPermit {
    place: Place,
    watcher: Watcher,
    revocation: Revocation,
    lingering: Lingering,
    /// This connection's place among the lingering ones, once it has one.
    lingers: Option<OwnedSemaphorePermit>,
}

enum Revocation {
    /// Completes when the connection is displaced.
    Possible(oneshot::Receiver<()>),
    Revoked,
    /// The peer has logged in.
    Impossible,
}

impl ConnectionPermit {
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Waits until the connection is displaced, and returns the error with which it ends.
    pub(crate) async fn revoked(&mut self) -> io::Error {
        poll_fn(|cx| self.poll_revoked(cx)).await;
        io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the connection was displaced by one from another address",
        )
    }
}

impl Permit for ConnectionPermit {
    fn connected(&mut self) -> bool {
        if matches!(self.revocation, Revocation::Impossible) {
            return true;
        }
        let Place { connections, key } = &self.place;
        let revoke = connections.change(|state| {
            let address = state.connection(*key)?.address;
            // A place for connected sessions is always free.
            let _ = state.relocate(*key, Stage::Authenticated, address);
            state.connection(*key)?.revoke.take()
        });
        // Without its entry, the connection was displaced before its login.
        let Some(revoke) = revoke else { return false };
        self.revocation = Revocation::Impossible;
        drop(revoke);
        true
    }

    fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.revocation {
            Revocation::Possible(revoked) => ready!(Pin::new(revoked).poll(cx)).unwrap_or_default(),
            Revocation::Revoked => {}
            Revocation::Impossible => return Poll::Pending,
        }
        self.revocation = Revocation::Revoked;
        Poll::Ready(())
    }

    fn may_linger(&mut self) -> bool {
        if self.lingers.is_none() {
            self.lingers = Arc::clone(&self.lingering.0).try_acquire_owned().ok();
        }
        self.lingers.is_some()
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.watcher.poll_started(cx)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Place { connections, key } = &self.place;
        drop(connections.change(|state| state.remove(*key)));
    }
}
