//! Counts of a broker's destinations and messages.

use crate::Address;

/// The destinations of an engine now, and the counts of its messages since it was created.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// The topics and patterns that have subscribers, and the queues. Temporary queues are only counted.
    pub destinations: Vec<DestinationStatistics>,
    /// The number of temporary queues.
    pub temporary_queues: usize,
    /// Number of messages accepted from publishers.
    pub published: u64,
    /// Number of messages put into mailboxes, once for each subscriber, and of messages of queues that were
    /// acknowledged.
    pub delivered: u64,
    /// Number of messages that became dead letters, also if their dead-letter queue then had no room.
    pub dead_lettered: u64,
    /// Number of messages that had expired when they were published, or that expired while they waited in a queue.
    pub expired: u64,
    /// Number of messages of queues that were dropped.
    ///
    /// - The queue gave up the message, and no dead-letter queue took it.
    /// - The message was sent to a temporary queue that did not exist.
    /// - The queue was purged, deleted or shut down.
    /// - The last consumer left the queue, which was to [go with it](crate::SubscribeRequest::auto_delete).
    ///
    /// Messages that still wait in a temporary queue when its last consumer leaves are not counted.
    pub dropped: u64,
}

/// The state of one destination.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationStatistics {
    /// The destination, as it was spelled when it was first used.
    pub destination: Address,
    /// The number of subscriptions.
    pub subscribers: usize,
    /// Number of messages published to the queue since it was created, or to the topic or pattern since it last had no
    /// subscribers.
    pub published: u64,
    /// Number of messages that wait in the queue, also of those that are delayed after a refusal. 0 for a topic or
    /// pattern.
    pub waiting: usize,
    /// Number of messages that are delivered to consumers and not yet acknowledged. 0 for a topic or pattern.
    pub unacknowledged: usize,
}

impl DestinationStatistics {
    /// Creates the statistics of a destination, in which all counts are 0.
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
