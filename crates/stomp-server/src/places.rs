//! The places of connections that have not logged in, shared among addresses.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};
use tokio::time::Instant;

/// The address under which a connection is counted, see [`network_of`]. `None` if it is unknown.
pub(crate) type Network = Option<IpAddr>;

/// Returns the address under which a connection is counted. For IPv6, this is the /64 network, because one host usually
/// owns all of its addresses.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// The places that connections of one kind occupy. Each operation takes logarithmic time.
pub(crate) struct Places {
    /// The age from which a place may be taken although this leaves the networks as unequal as before. `None` if it may
    /// not.
    patience: Option<Duration>,
    /// The place of each connection. A smaller ticket is older.
    by_ticket: BTreeMap<(Network, Ticket), Place>,
    counts: HashMap<Network, usize>,
    /// The networks, ordered by their number of places.
    ranking: BTreeSet<(usize, Network)>,
}

/// A number that is never used twice. Later connections have larger tickets.
pub(crate) type Ticket = u64;

#[derive(Clone, Copy)]
struct Place {
    connection: usize,
    since: Instant,
}

impl Places {
    pub(crate) fn new(patience: Option<Duration>) -> Places {
        Places {
            patience,
            by_ticket: BTreeMap::new(),
            counts: HashMap::new(),
            ranking: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_ticket.len()
    }

    pub(crate) fn insert(&mut self, network: Network, ticket: Ticket, connection: usize) {
        let since = Instant::now();
        self.by_ticket
            .insert((network, ticket), Place { connection, since });
        let count = self.count(network);
        self.set_count(network, count + 1);
    }

    pub(crate) fn remove(&mut self, network: Network, ticket: Ticket) {
        if self.by_ticket.remove(&(network, ticket)).is_some() {
            let count = self.count(network);
            self.set_count(network, count.saturating_sub(1));
        }
    }

    /// Returns the connection whose place a newcomer from `network` may take when no place is free: the oldest one of
    /// the network that holds most. Returns `None` if no other network holds more places than `network`.
    pub(crate) fn displaceable(&self, network: Network) -> Option<usize> {
        let (most, largest) = *self.ranking.last()?;
        let own = self.count(network);
        let (_, oldest) = self
            .by_ticket
            .range((largest, 0)..=(largest, Ticket::MAX))
            .next()?;
        let is_fairer = most > own + 1;
        let is_late = self
            .patience
            .is_some_and(|patience| most > own && oldest.since.elapsed() >= patience);
        (is_fairer || is_late).then_some(oldest.connection)
    }

    fn count(&self, network: Network) -> usize {
        self.counts.get(&network).copied().unwrap_or(0)
    }

    fn set_count(&mut self, network: Network, count: usize) {
        let before = match count {
            0 => self.counts.remove(&network),
            _ => self.counts.insert(network, count),
        };
        if let Some(before) = before {
            self.ranking.remove(&(before, network));
        }
        if count > 0 {
            self.ranking.insert((count, network));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn network(last: u8) -> Network {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_oldest_place_of_the_largest_holder() {
        let mut places = Places::new(None);
        for (ticket, last) in [(0, 1), (1, 2), (2, 2), (3, 2), (4, 1)] {
            places.insert(network(last), ticket, 100 + ticket as usize);
        }
        assert_eq!(places.displaceable(network(9)), Some(101));
        assert_eq!(places.displaceable(None), Some(101));
        assert_eq!(places.displaceable(network(2)), None, "the largest holder");
        places.remove(network(2), 1);
        places.remove(network(2), 1);
        assert_eq!(places.len(), 4);
        // Both networks hold two places now.
        assert_eq!(places.displaceable(network(1)), None);
        assert_eq!(places.displaceable(network(2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_taken_without_making_shares_more_equal_only_after_the_patience() {
        let patience = Duration::from_secs(1);
        for (mut places, expected) in [
            (Places::new(Some(patience)), Some(7)),
            (Places::new(None), None),
        ] {
            assert_eq!(places.displaceable(network(1)), None);
            places.insert(network(1), 0, 7);
            assert_eq!(places.displaceable(network(2)), None);
            advance(patience).await;
            assert_eq!(places.displaceable(network(2)), expected);
            assert_eq!(places.displaceable(network(1)), None);
        }
    }
}
