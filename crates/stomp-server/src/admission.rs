//! Counts the connections of a server and enforces its limits. The caller holds the lock.

use crate::{
    ConnectionCounts, ConnectionLimits,
    places::{Network, Places, Ticket, network_of},
    token_bucket::TokenBucket,
};
use slab::Slab;
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::sync::oneshot;

/// The open connections of a server, with the places that they occupy.
pub(crate) struct State {
    limits: ConnectionLimits,
    connections: Slab<Connection>,
    unauthenticated: Places,
    /// All connections that are used for HTTP.
    http: Places,
    /// Those of them that wait for their next request, by the ticket of the end of their last one.
    idle: BTreeMap<Ticket, usize>,
    /// The number of connections of each network, if `max_per_address` is set.
    by_network: HashMap<IpAddr, usize>,
    /// The token bucket for [`ConnectionLimits::max_per_second`].
    rate: TokenBucket,
    next_ticket: Ticket,
    refused: u64,
    displaced: u64,
}

/// The time after which a connection that has not logged in may be displaced by an address that then holds as many
/// places as the displaced connection's address before.
///
/// Honest clients log in faster. So if many honest clients connect at once, they do not displace each other before they
/// can log in. And if each address of an attacker holds one silent connection, others still get in.
const PATIENCE: Duration = Duration::from_secs(1);

/// An open connection. A displaced connection is not in the list, even if it is still being closed.
pub(crate) struct Connection {
    ticket: Ticket,
    pub(crate) address: Option<SocketAddr>,
    stage: Stage,
    /// The ticket of its place, which is newer than the connection's own ticket if the connection has changed places.
    place: Ticket,
    /// Its key in [`State::idle`].
    idle_since: Option<Ticket>,
    /// Revokes the permit of the connection. `None` after the login.
    pub(crate) revoke: Option<Revoke>,
}

impl Connection {
    fn network(&self) -> Network {
        network(self.address)
    }
}

fn network(address: Option<SocketAddr>) -> Network {
    address.map(|address| network_of(address.ip()))
}

/// Revokes a connection's permit when it is dropped.
pub(crate) type Revoke = oneshot::Sender<()>;

/// A connection that was removed to make room. Dropping this revokes its permit.
pub(crate) struct Displaced {
    _revoke: Option<Revoke>,
    pub(crate) address: Option<SocketAddr>,
    /// True if the connection was idle between two HTTP requests. Clients expect that idle connections are closed.
    pub(crate) was_idle: bool,
}

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
            unauthenticated: Places::new(Some(PATIENCE)),
            http: Places::new(None),
            idle: BTreeMap::new(),
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
        address: Option<SocketAddr>,
        is_proxy: bool,
        revoke: Revoke,
    ) -> Result<(Key, Option<Displaced>), Reached> {
        let network = network(address);
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
            address,
            stage: Stage::Unauthenticated,
            place: ticket,
            idle_since: None,
            revoke: Some(revoke),
        });
        self.unauthenticated.insert(network, ticket, id);
        if self.limits.max_per_address.is_some() {
            self.count_network(network);
        }
        Ok((Key { id, ticket }, displaced))
    }

    /// Moves a connection to a place for another stage or another address, because it has sent a request or logged in.
    pub(crate) fn relocate(
        &mut self,
        key: Key,
        stage: Stage,
        address: Option<SocketAddr>,
    ) -> Result<Option<Displaced>, Reached> {
        let network = network(address);
        let Some(old) = self.connection(key) else {
            // The connection was displaced, and is about to be closed.
            return Ok(None);
        };
        let (old_stage, old_network, old_place) = (old.stage, old.network(), old.place);
        self.begin_request(key);
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
            (connection.stage, connection.address, connection.place) = (stage, address, place);
        }
        Ok(displaced)
    }

    /// Records that the connection's HTTP request has been answered.
    pub(crate) fn end_request(&mut self, key: Key) {
        let ticket = self.next_ticket();
        if let Some(connection) = self.connection(key) {
            if connection.stage == Stage::Http {
                connection.idle_since = Some(ticket);
                self.idle.insert(ticket, key.id);
            }
        }
    }

    /// Records that the connection is in use.
    fn begin_request(&mut self, key: Key) {
        let idle_since = self
            .connection(key)
            .and_then(|connection| connection.idle_since.take());
        if let Some(ticket) = idle_since {
            self.idle.remove(&ticket);
        }
    }

    /// Makes sure that a place for `stage` is free. If none is, removes and returns the connection that a newcomer from
    /// `network` may displace. `is_full` is true if `max_connections` is reached.
    fn make_room(
        &mut self,
        stage: Stage,
        network: Network,
        is_full: bool,
    ) -> Result<Option<Displaced>, Reached> {
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
        let idle = self.idle.first_key_value().map(|(_, id)| *id);
        let displaced = match stage {
            Stage::Http => idle.or_else(|| self.http.displaceable(network)),
            // The connection needs any place, not one of those that have not logged in.
            _ if has_place => idle
                .or_else(|| self.unauthenticated.displaceable(network))
                .or_else(|| self.http.displaceable(network)),
            _ => self.unauthenticated.displaceable(network),
        };
        match displaced.and_then(|id| self.remove_id(id)) {
            Some(connection) => {
                let was_idle = connection.idle_since.is_some();
                self.displaced += u64::from(!was_idle);
                Ok(Some(Displaced {
                    _revoke: connection.revoke,
                    address: connection.address,
                    was_idle,
                }))
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
            places.remove(connection.network(), connection.place);
        }
        if let Some(ticket) = connection.idle_since {
            self.idle.remove(&ticket);
        }
        self.uncount_network(connection.network());
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

#[cfg(test)]
mod tests;
