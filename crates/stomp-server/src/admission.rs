//! Counts the connections of a server and enforces its limits. The caller holds the lock.

use crate::{
    ConnectionLimits,
    places::{Network, Places, Ticket},
};
use slab::Slab;
use std::{collections::HashMap, net::IpAddr};
use tokio::{sync::oneshot, time::Instant};

/// The numbers of connections of a server, see [`Server::connections`](crate::Server::connections).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// The number of open connections.
    pub open: usize,
    /// The number of open connections that have not logged in yet, without those in [`ConnectionCounts::http`].
    pub unauthenticated: usize,
    /// The number of open connections that are used for HTTP requests.
    pub http: usize,
    /// The number of connections that were refused because of [`ConnectionLimits`], since the server was created.
    pub refused: u64,
    /// The number of connections that were closed to make room for another address, since the server was created: see
    /// [`ConnectionLimits`].
    pub displaced: u64,
}

/// The open connections of a server, with the places that they occupy.
pub(crate) struct State {
    limits: ConnectionLimits,
    connections: Slab<Connection>,
    unauthenticated: Places,
    http: Places,
    /// The number of connections of each network, if `max_per_address` is set.
    by_network: HashMap<IpAddr, usize>,
    /// The token bucket for [`ConnectionLimits::max_per_second`].
    rate: TokenBucket,
    next_ticket: Ticket,
    refused: u64,
    displaced: u64,
}

/// An open connection. A displaced connection is not in the list, even if it is still being closed.
pub(crate) struct Connection {
    ticket: Ticket,
    pub(crate) network: Network,
    stage: Stage,
    /// The ticket of its place, which is newer than the connection's own ticket if the connection has changed places.
    place: Ticket,
    /// Revokes the permit of the connection. `None` after the login.
    pub(crate) revoke: Option<Revoke>,
}

/// Revokes a connection's permit when it is dropped.
pub(crate) type Revoke = oneshot::Sender<()>;

/// The kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Unauthenticated,
    Http,
    Authenticated,
}

/// The limit that refuses a connection: the name of the setting, and its value.
pub(crate) type Reached = (&'static str, usize);

/// Identifies an open connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    id: usize,
    /// Ids are used again, tickets are not.
    ticket: Ticket,
}

impl State {
    pub(crate) fn new(limits: ConnectionLimits) -> State {
        State {
            rate: TokenBucket::new(limits.max_per_second.unwrap_or(0)),
            limits,
            connections: Slab::new(),
            unauthenticated: Places::default(),
            http: Places::default(),
            by_network: HashMap::new(),
            next_ticket: 0,
            refused: 0,
            displaced: 0,
        }
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.connections.len(),
            unauthenticated: self.unauthenticated.len(),
            http: self.http.len(),
            refused: self.refused,
            displaced: self.displaced,
        }
    }

    /// Adds a connection. Also returns the handle that revokes the permit of the connection that it displaces, if any.
    pub(crate) fn admit(
        &mut self,
        network: Network,
        is_proxy: bool,
        revoke: Revoke,
    ) -> Result<(Key, Option<Revoke>), Reached> {
        if !is_proxy {
            self.check_network(network)?;
        }
        if let Some(max) = self.limits.max_per_second {
            if !self.rate.has_token(max) {
                return Err(self.refused(("max_per_second", max as usize)));
            }
        }
        let is_full = self.connections.len() >= self.limits.max_connections;
        let displaced = self.make_room(Stage::Unauthenticated, network, is_full)?;
        self.rate.take();
        let ticket = self.next_ticket();
        let id = self.connections.insert(Connection {
            ticket,
            network,
            stage: Stage::Unauthenticated,
            place: ticket,
            revoke: Some(revoke),
        });
        self.unauthenticated.insert(network, ticket, id);
        if self.limits.max_per_address.is_some() {
            self.count_network(network);
        }
        Ok((Key { id, ticket }, displaced))
    }

    /// Moves a connection to a place for another stage or another network.
    pub(crate) fn relocate(
        &mut self,
        key: Key,
        stage: Stage,
        network: Network,
    ) -> Result<Option<Revoke>, Reached> {
        let Some(old) = self.connection(key) else {
            // The connection was displaced, and is about to be closed.
            return Ok(None);
        };
        let (old_stage, old_network, old_place) = (old.stage, old.network, old.place);
        if (old_stage, old_network) == (stage, network) {
            return Ok(None);
        }
        if network != old_network {
            self.check_network(network)?;
        }
        let displaced = match stage {
            _ if stage == old_stage => None,
            _ => self.make_room(stage, network, false)?,
        };
        let place = self.next_ticket();
        if let Some(places) = self.places(old_stage) {
            places.remove(old_network, old_place);
        }
        if let Some(places) = self.places(stage) {
            places.insert(network, place, key.id);
        }
        if network != old_network && self.limits.max_per_address.is_some() {
            self.uncount_network(old_network);
            self.count_network(network);
        }
        if let Some(connection) = self.connection(key) {
            (connection.stage, connection.network, connection.place) = (stage, network, place);
        }
        Ok(displaced)
    }

    /// Makes sure that a place for `stage` is free. If none is, removes the connection that a newcomer from `network` may
    /// displace, and returns the handle that revokes its permit. `is_full` is true if `max_connections` is reached.
    fn make_room(
        &mut self,
        stage: Stage,
        network: Network,
        is_full: bool,
    ) -> Result<Option<Revoke>, Reached> {
        let (places, setting, max) = match stage {
            Stage::Unauthenticated => (
                &self.unauthenticated,
                "max_unauthenticated",
                self.limits.max_unauthenticated,
            ),
            Stage::Http => (&self.http, "max_http", self.limits.max_http),
            Stage::Authenticated => return Ok(None),
        };
        let has_place = places.len() < max;
        if has_place && !is_full {
            return Ok(None);
        }
        let mut displaced = places.displaceable(network);
        if displaced.is_none() && has_place {
            displaced = self.http.displaceable(network);
        }
        match displaced.and_then(|id| self.remove_id(id)) {
            Some(connection) => {
                self.displaced += 1;
                Ok(connection.revoke)
            }
            None if is_full => Err(self.refused(("max_connections", self.limits.max_connections))),
            None => Err(self.refused((setting, max))),
        }
    }

    fn check_network(&mut self, network: Network) -> Result<(), Reached> {
        let count = network.and_then(|network| self.by_network.get(&network));
        match (self.limits.max_per_address, count) {
            (Some(max), Some(count)) if *count >= max => {
                Err(self.refused(("max_per_address", max)))
            }
            _ => Ok(()),
        }
    }

    fn refused(&mut self, reached: Reached) -> Reached {
        self.refused += 1;
        reached
    }

    pub(crate) fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        self.connections
            .get_mut(key.id)
            .filter(|connection| connection.ticket == key.ticket)
    }

    /// Removes a connection, unless it was displaced before.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Connection> {
        self.connection(key)?;
        self.remove_id(key.id)
    }

    fn remove_id(&mut self, id: usize) -> Option<Connection> {
        let connection = self.connections.try_remove(id)?;
        if let Some(places) = self.places(connection.stage) {
            places.remove(connection.network, connection.place);
        }
        self.uncount_network(connection.network);
        Some(connection)
    }

    fn places(&mut self, stage: Stage) -> Option<&mut Places> {
        match stage {
            Stage::Unauthenticated => Some(&mut self.unauthenticated),
            Stage::Http => Some(&mut self.http),
            Stage::Authenticated => None,
        }
    }

    fn count_network(&mut self, network: Network) {
        if let Some(network) = network {
            *self.by_network.entry(network).or_default() += 1;
        }
    }

    fn uncount_network(&mut self, network: Network) {
        let Some(network) = network else { return };
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }

    fn next_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
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
