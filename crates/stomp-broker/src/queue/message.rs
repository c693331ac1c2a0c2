//! A message of a queue.

use super::shares::Share;
use stomp_session::Message;
use tokio::time::Instant;

/// A message that waits in a queue, or that was delivered from it and is not yet acknowledged.
#[derive(Debug)]
pub(super) struct QueuedMessage {
    pub(super) message: Message,
    /// The bytes that the message takes of the total for all queues.
    pub(super) reserved: Share,
    /// The number of times that a consumer refused the message.
    pub(super) refusals: u32,
    /// The number of times that the message was sent and its consumer went away without an answer. A delivery that was
    /// dropped unsent does not count.
    pub(super) losses: u32,
    /// The consumer that refused the last delivery of the message. `None` if that delivery ended in another way.
    pub(super) refused_by: Option<u64>,
    /// The time from which a refused message may be delivered again. `None` if it may be now.
    pub(super) due: Option<Instant>,
    pub(super) expires_at: Option<Instant>,
    /// True if the message is a dead letter of another queue. It does not become a dead letter again.
    pub(super) is_dead_letter: bool,
}

impl QueuedMessage {
    pub(super) fn new(
        message: Message,
        reserved: Share,
        expires_at: Option<Instant>,
    ) -> QueuedMessage {
        QueuedMessage {
            message,
            reserved,
            refusals: 0,
            losses: 0,
            refused_by: None,
            due: None,
            expires_at,
            is_dead_letter: false,
        }
    }

    /// The bytes that the message takes in its queue.
    pub(super) fn bytes(&self) -> usize {
        self.reserved.amount()
    }

    /// True if a consumer may have seen the message.
    pub(super) fn was_sent(&self) -> bool {
        self.refusals > 0 || self.losses > 0
    }

    /// Turns the message into a dead letter, which never expires. Headers name the queue and the reason. The id stays, so
    /// that a dead letter can be found in the logs of the consumers that have failed. A checked `reply-to` stays one, so
    /// that a dead letter can be answered.
    pub(super) fn into_dead_letter(self, reason: &str, queue: &str) -> QueuedMessage {
        let mut headers = self.message.headers().clone();
        headers.remove("expires");
        headers.insert("original-destination", queue);
        headers.insert("dead-letter-reason", reason);
        let mut message =
            Message::from_parts(headers, self.message.body().clone()).with_id(self.message.id());
        if let Some(reply_to) = self.message.reply_to() {
            message = message.with_reply_to(reply_to);
        }
        QueuedMessage {
            is_dead_letter: true,
            ..QueuedMessage::new(message, self.reserved, None)
        }
    }
}
