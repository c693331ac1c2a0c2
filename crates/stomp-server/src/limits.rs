//! Limits on the number of connections.

use crate::{Shutdown, log_throttle::LogThrottle, refusal::Refusal, shutdown::Watcher};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use stomp_socket::{InvalidConfig, Permit};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Limits on the connections of a [`Server`](crate::Server) or an [`Upgrade`](crate::Upgrade).
///
/// A connection above a limit is refused with status 503. Listeners with TLS or without HTTP close such a connection
/// without a response. The log names the limit, at most once every 10 s.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Maximum number of open connections. Default: 16,384.
    pub max_connections: usize,
    /// Maximum number of open connections that have not logged in: a connection counts from the moment it is accepted
    /// until its `CONNECT` is answered with `CONNECTED`. Default: 1,024.
    pub max_unauthenticated: usize,
    /// Maximum number of open connections per IPv4 address or IPv6 /64 network. Connections without a known address do
    /// not count. Default: no limit, because many clients behind a proxy or NAT share one address.
    pub max_per_address: Option<usize>,
    /// Maximum number of new connections per second, on average. The same number may arrive in one burst. Default: no
    /// limit.
    pub max_per_second: Option<u32>,
    /// Maximum number of closing connections of one listener, or of one [`Upgrade`](crate::Upgrade), from which the
    /// server drops more than 64 KiB so that their peers get the last frame: see
    /// [`stomp_socket::Config::max_linger_bytes`]. Further ones are closed after 64 KiB. May be 0. Default: 64.
    pub max_lingering: usize,
}

impl ConnectionLimits {
    /// Sets [`ConnectionLimits::max_connections`].
    #[must_use]
    pub fn max_connections(mut self, max_connections: usize) -> ConnectionLimits {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`ConnectionLimits::max_unauthenticated`].
    #[must_use]
    pub fn max_unauthenticated(mut self, max_unauthenticated: usize) -> ConnectionLimits {
        self.max_unauthenticated = max_unauthenticated;
        self
    }

    /// Sets [`ConnectionLimits::max_per_address`].
    #[must_use]
    pub fn max_per_address(
        mut self,
        max_per_address: impl Into<Option<usize>>,
    ) -> ConnectionLimits {
        self.max_per_address = max_per_address.into();
        self
    }

    /// Sets [`ConnectionLimits::max_per_second`].
    #[must_use]
    pub fn max_per_second(mut self, max_per_second: impl Into<Option<u32>>) -> ConnectionLimits {
        self.max_per_second = max_per_second.into();
        self
    }

    /// Sets [`ConnectionLimits::max_lingering`].
    #[must_use]
    pub fn max_lingering(mut self, max_lingering: usize) -> ConnectionLimits {
        self.max_lingering = max_lingering;
        self
    }

    /// Checks that these limits admit at least one connection.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first limit that is 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::reject_zero("max_connections", self.max_connections)?;
        InvalidConfig::reject_zero("max_unauthenticated", self.max_unauthenticated)?;
        InvalidConfig::reject_zero("max_per_address", self.max_per_address.unwrap_or(1))?;
        InvalidConfig::reject_zero(
            "max_per_second",
            self.max_per_second.map_or(1, |max| max as usize),
        )
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            max_connections: 16_384,
            max_unauthenticated: 1_024,
            max_per_address: None,
            max_per_second: None,
            max_lingering: 64,
        }
    }
}

/// The numbers of connections of a server, see [`Server::connections`](crate::Server::connections).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// The number of open connections.
    pub open: usize,
    /// The number of open connections that have not logged in yet.
    pub unauthenticated: usize,
    /// The number of connections that were refused because of [`ConnectionLimits`], since the server was created.
    pub refused: u64,
}

/// Counts the connections of one server and enforces its limits.
pub(crate) struct Connections {
    limits: ConnectionLimits,
    shutdown: Shutdown,
    state: Mutex<State>,
}

struct State {
    counts: ConnectionCounts,
    by_address: HashMap<IpAddr, usize>,
    /// The token bucket for [`ConnectionLimits::max_per_second`].
    rate: TokenBucket,
}

/// The log throttle for refused connections.
static REFUSED: LogThrottle = LogThrottle::new();

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits, shutdown: Shutdown) -> Arc<Connections> {
        let state = State {
            counts: ConnectionCounts::default(),
            by_address: HashMap::new(),
            rate: TokenBucket::new(limits.max_per_second.unwrap_or(0)),
        };
        Arc::new(Connections {
            limits,
            shutdown,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        self.state().counts
    }

    /// Admits a connection and counts it until the permit is dropped.
    ///
    /// # Errors
    ///
    /// Returns a refusal if a limit is reached, or if the server shuts down.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        lingering: &Lingering,
    ) -> Result<ConnectionPermit, Refusal> {
        let watcher = Watcher::unless_started(&self.shutdown).ok_or(Refusal::ShuttingDown)?;
        let address = address
            .filter(|_| self.limits.max_per_address.is_some())
            .map(network_of);
        let mut state = self.state();
        if let Some((setting, max)) = state.reached_limit(&self.limits, address) {
            state.counts.refused += 1;
            drop(state);
            if let Some(count) = REFUSED.record() {
                tracing::warn!(
                    count,
                    setting,
                    max,
                    "connections are refused because a limit of `Config::connection_limits` is reached"
                );
            }
            return Err(Refusal::TooManyConnections { setting, max });
        }
        state.counts.open += 1;
        state.counts.unauthenticated += 1;
        state.rate.take();
        if let Some(address) = address {
            *state.by_address.entry(address).or_default() += 1;
        }
        drop(state);
        Ok(ConnectionPermit {
            connections: Arc::clone(self),
            watcher,
            address,
            is_connected: false,
            lingering: lingering.clone(),
            lingers: None,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The name and the value of the first limit that is reached; `None` if another connection may be admitted.
    fn reached_limit(
        &mut self,
        limits: &ConnectionLimits,
        address: Option<IpAddr>,
    ) -> Option<(&'static str, usize)> {
        let of_address = address
            .and_then(|address| self.by_address.get(&address))
            .copied()
            .unwrap_or(0);
        let ConnectionLimits {
            max_connections,
            max_unauthenticated,
            ..
        } = *limits;
        if self.counts.open >= max_connections {
            return Some(("max_connections", max_connections));
        }
        if self.counts.unauthenticated >= max_unauthenticated {
            return Some(("max_unauthenticated", max_unauthenticated));
        }
        if let Some(max) = limits.max_per_address.filter(|max| of_address >= *max) {
            return Some(("max_per_address", max));
        }
        let max = limits.max_per_second?;
        (!self.rate.has_token(max)).then_some(("max_per_second", max as usize))
    }
}

/// A token bucket: each new connection takes a token, and time refills the bucket. It holds at most the tokens of one
/// second.
struct TokenBucket {
    tokens: f64,
    refilled_at: Instant,
}

impl TokenBucket {
    /// Creates a full bucket.
    fn new(per_second: u32) -> TokenBucket {
        TokenBucket {
            tokens: f64::from(per_second),
            refilled_at: Instant::now(),
        }
    }

    /// Refills the bucket and returns true if it has a token.
    fn has_token(&mut self, per_second: u32) -> bool {
        let (now, rate) = (Instant::now(), f64::from(per_second));
        let elapsed = now.duration_since(self.refilled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min(rate);
        self.refilled_at = now;
        self.tokens >= 1.0
    }

    fn take(&mut self) {
        self.tokens -= 1.0;
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
    connections: Arc<Connections>,
    watcher: Watcher,
    address: Option<IpAddr>,
    is_connected: bool,
    lingering: Lingering,
    /// This connection's place among the lingering ones, once it has one.
    lingers: Option<OwnedSemaphorePermit>,
}

impl Permit for ConnectionPermit {
    fn connected(&mut self) {
        if !self.is_connected {
            self.is_connected = true;
            self.connections.state().counts.unauthenticated -= 1;
        }
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
        let mut state = self.connections.state();
        state.counts.open -= 1;
        state.counts.unauthenticated -= usize::from(!self.is_connected);
        let Some(address) = self.address else { return };
        if let Some(count) = state.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                state.by_address.remove(&address);
            }
        }
    }
}

/// The address under which a connection is counted. For IPv6, this is the /64 network, because one host usually owns
/// all of its addresses.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}
