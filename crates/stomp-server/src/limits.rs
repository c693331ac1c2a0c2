//! How many connections there may be.

use crate::{Shutdown, log_throttle::LogThrottle, refusal::Refusal, shutdown::Waiter};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use stomp_socket::{InvalidConfig, Permit};
use tokio::time::Instant;

/// How many connections a [`Server`](crate::Server) or an [`Upgrade`](crate::Upgrade) takes at a time.
///
/// A connection beyond a limit is answered with 503 where HTTP is spoken without TLS, and closed elsewhere. The log
/// tells of it, once for many.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// In all. Default: 16,384.
    pub max_connections: usize,
    /// Of these, not yet connected in STOMP: from being accepted until `CONNECT` was answered with `CONNECTED`.
    /// Default: 1,024.
    pub max_unauthenticated: usize,
    /// From one address; of IPv6, from one /64 network. Connections whose address is not known are not counted.
    /// Default: none, for behind a proxy or a NAT many share one.
    pub max_per_address: Option<usize>,
    /// New ones a second, in all. So many may also come at once. Default: none.
    pub max_per_second: Option<u32>,
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

    /// Checks that these limits admit a connection.
    ///
    /// # Errors
    ///
    /// If one of them is 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::reject_zero("max_connections", self.max_connections)?;
        InvalidConfig::reject_zero("max_unauthenticated", self.max_unauthenticated)?;
        InvalidConfig::reject_zero("max_per_address", self.max_per_address.unwrap_or(1))?;
        InvalidConfig::reject_zero(
            "max_per_second",
            self.max_per_second.map_or(1, |most| most as usize),
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
        }
    }
}

/// How many connections there are: see [`Server::connections`](crate::Server::connections).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// In all.
    pub open: usize,
    /// Of these, not yet connected in STOMP.
    pub unauthenticated: usize,
    /// Refused so far, because of the limits.
    pub refused: u64,
}

/// The connections of one server.
pub(crate) struct Connections {
    limits: ConnectionLimits,
    shutdown: Shutdown,
    state: Mutex<State>,
}

struct State {
    counts: ConnectionCounts,
    by_address: HashMap<IpAddr, usize>,
    /// How many more may come at once, as of when.
    admissible: (f64, Instant),
}

/// All refusals of the process share one line of the log.
static REFUSED: LogThrottle = LogThrottle::new();

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits, shutdown: Shutdown) -> Arc<Connections> {
        let admissible = (limits.max_per_second.map_or(0.0, f64::from), Instant::now());
        let state = State {
            counts: ConnectionCounts::default(),
            by_address: HashMap::new(),
            admissible,
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

    /// Takes a place for a connection.
    ///
    /// # Errors
    ///
    /// If there is none, or the server goes down.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: Option<IpAddr>,
    ) -> Result<ConnectionPermit, Refusal> {
        let waiter = Waiter::enter(&self.shutdown).ok_or(Refusal::AWAY)?;
        let address = address
            .filter(|_| self.limits.max_per_address.is_some())
            .map(network_of);
        let mut state = self.state();
        if let Some(limit) = state.exceeded(&self.limits, address) {
            state.counts.refused += 1;
            drop(state);
            if let Some(count) = REFUSED.note() {
                tracing::warn!(
                    count,
                    limit,
                    "connections are refused: `Config::connection_limits` limits them"
                );
            }
            return Err(Refusal::FULL);
        }
        state.counts.open += 1;
        state.counts.unauthenticated += 1;
        state.admissible.0 -= 1.0;
        if let Some(address) = address {
            *state.by_address.entry(address).or_default() += 1;
        }
        drop(state);
        Ok(ConnectionPermit {
            connections: Arc::clone(self),
            waiter,
            address,
            is_negotiated: false,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The name of the limit that one more connection exceeds.
    fn exceeded(
        &mut self,
        limits: &ConnectionLimits,
        address: Option<IpAddr>,
    ) -> Option<&'static str> {
        let of_address = address
            .and_then(|address| self.by_address.get(&address))
            .copied()
            .unwrap_or(0);
        if self.counts.open >= limits.max_connections {
            Some("total")
        } else if self.counts.unauthenticated >= limits.max_unauthenticated {
            Some("unauthenticated")
        } else if limits
            .max_per_address
            .is_some_and(|most| of_address >= most)
        {
            Some("max_per_address")
        } else if limits
            .max_per_second
            .is_some_and(|rate| self.refill(f64::from(rate)) < 1.0)
        {
            Some("max_per_second")
        } else {
            None
        }
    }

    fn refill(&mut self, rate: f64) -> f64 {
        let now = Instant::now();
        let (before, at) = self.admissible;
        let admissible = (before + now.duration_since(at).as_secs_f64() * rate).min(rate);
        self.admissible = (admissible, now);
        admissible
    }
}

/// A connection's place among those of its server.
pub(crate) struct ConnectionPermit {
    connections: Arc<Connections>,
    waiter: Waiter,
    address: Option<IpAddr>,
    is_negotiated: bool,
}

impl Permit for ConnectionPermit {
    fn connected(&mut self) {
        if !self.is_negotiated {
            self.is_negotiated = true;
            self.connections.state().counts.unauthenticated -= 1;
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.poll_begun(cx)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.counts.open -= 1;
        state.counts.unauthenticated -= usize::from(!self.is_negotiated);
        let Some(address) = self.address else { return };
        if let Some(count) = state.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                state.by_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: a host of IPv6 has a whole network of them.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}
