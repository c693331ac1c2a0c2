//! Counts of a broker's destinations and messages.

use crate::Address;

/// The destinations of a broker at one moment, and the counts of its messages since it was created.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// The topics and patterns that have subscribers, and the queues, except temporary ones.
    pub destinations: Vec<DestinationStatistics>,
    /// The number of temporary queues.
    pub temporary_queues: usize,
    /// Messages accepted from publishers.
    pub published: u64,
    /// Messages put into subscribers' mailboxes, and messages of queues that were acknowledged.
    pub delivered: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages that expired: in queues, or before they were published to a topic.
    pub expired: u64,
    /// Messages of queues that were dropped: dead letters that no queue took, messages to temporary queues that do not
    /// exist, and those of queues that were purged or deleted.
    pub dropped: u64,
}

/// The state of one destination.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationStatistics {
    /// The destination, in the first of its spellings.
    pub destination: Address,
    /// The number of subscriptions.
    pub subscribers: usize,
    /// Messages published since the first of these subscriptions, or since the queue was created.
    pub published: u64,
    /// Messages that wait in the queue. 0 for a topic.
    pub waiting: usize,
    /// Messages that consumers of the queue have and have not acknowledged. 0 for a topic.
    pub unacknowledged: usize,
}

impl DestinationStatistics {
    /// Creates the statistics of a destination with all counts 0.
    #[must_use]
    pub fn new(destination: Address) -> DestinationStatistics {
        DestinationStatistics {
            destination,
            subscribers: 0,
            published: 0,
            waiting: 0,
            unacknowledged: 0,
        }
    }
}
