//! What there is in a broker.

use crate::Destination;

/// What there is in a broker at one moment, and what has been, since it was made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// The topics and patterns that somebody is subscribed to, and the queues. Not the temporary ones.
    pub destinations: Vec<DestinationStatistics>,
    /// How many there are of temporary queues.
    pub temporaries: usize,
    /// Messages that were taken from those who sent them.
    pub published: u64,
    /// Messages that were put into subscribers' mailboxes, and those of queues that were acknowledged.
    pub delivered: u64,
    /// Dead letters.
    pub dead_lettered: u64,
    /// Messages of queues that expired.
    pub expired: u64,
    /// Messages of queues that were dropped: dead letters without a place, and what was for temporary queues that are gone.
    pub dropped: u64,
}

/// What there is at one destination.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationStatistics {
    /// Which. A topic as the first of its subscribers wrote it.
    pub destination: Destination,
    /// How many are subscribed.
    pub subscribers: usize,
    /// How many messages were published since somebody subscribed, or since the queue is there.
    pub published: u64,
    /// How many messages wait in a queue.
    pub waiting: usize,
    /// How many messages of a queue were given out and are not yet acknowledged.
    pub unsettled: usize,
}

impl DestinationStatistics {
    /// Of a destination where there is nothing.
    #[must_use]
    pub fn new(destination: Destination) -> DestinationStatistics {
        DestinationStatistics {
            destination,
            subscribers: 0,
            published: 0,
            waiting: 0,
            unsettled: 0,
        }
    }
}
