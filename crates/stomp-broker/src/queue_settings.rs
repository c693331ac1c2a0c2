//! The settings of queues.

use crate::{
    config::setters,
    syntax::{self, prefix},
};
use std::time::Duration;
use stomp_session::{Destination, InvalidConfig};

/// The longest possible delay of a refused message.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of one queue, or of all queues whose names match a pattern.
///
/// ```
/// use std::time::Duration;
/// use stomp_broker::{MemoryConfig, QueueSettings};
///
/// let jobs = QueueSettings::default()
///     .max_delivery_attempts(3)
///     .time_to_live(Some(Duration::from_secs(3_600)));
/// let config = MemoryConfig::default().queue_pattern("/queue/jobs.>", jobs);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSettings {
    /// Maximum number of messages in the queue. Messages that are delivered and not yet acknowledged count. Default:
    /// 10,000.
    pub max_messages: usize,
    /// Maximum bytes of the messages in the queue, by their approximate size on the wire. Messages that are delivered
    /// and not yet acknowledged count. An empty queue accepts one message of any size. Default: 16 MiB.
    pub max_bytes: usize,
    /// The policy when the queue is full. Default: [`QueueOverflow::Reject`].
    pub overflow: QueueOverflow,
    /// The number of refusals, by `NACK`, after which a message becomes a dead letter with the reason `rejected`.
    /// Deliveries that end without an answer of the consumer do not count. Default: 10.
    pub max_delivery_attempts: u32,
    /// The number of abandoned deliveries after which a message becomes a dead letter with the reason `abandoned`. A
    /// delivery is abandoned if the message was sent, and the connection or the subscription of the consumer ended
    /// before an answer.
    ///
    /// This bound is generous, because a lost connection abandons all messages that were sent ahead to the consumer,
    /// also those that it never looked at. It only stops messages that make each consumer fail. Default: 1,000.
    pub max_abandoned_deliveries: u32,
    /// The delay before a message is delivered again after its second refusal. Each further refusal doubles it, up to
    /// [`max_redelivery_delay`](QueueSettings::max_redelivery_delay). After the first refusal, there is no delay. Other
    /// messages pass meanwhile. 0 turns the delay off. Default: 100 ms.
    pub redelivery_delay: Duration,
    /// Maximum of the delay before a refused message is delivered again. At most 24 hours. Default: 5 s.
    pub max_redelivery_delay: Duration,
    /// The queue for dead letters, as `/queue/NAME`. If it is full, dead letters replace its oldest messages. Default:
    /// `/queue/dead-letters`.
    ///
    /// With `None`, messages that would become dead letters are dropped. So are those that are dead letters already, that
    /// come from a temporary queue or from any queue that the config names as a dead-letter queue, or for which the
    /// dead-letter queue has no room. Expired messages do not become dead letters. A dead letter never expires, and
    /// loses the header `expires`.
    pub dead_letter_queue: Option<String>,
    /// The lifetime of a message in the queue, unless the message has its own time of
    /// [expiry](crate::Publication::expires). With the settings of [all queues](crate::MemoryConfig::queues), it is the
    /// default for messages of all queues. Default: `None`, unlimited.
    pub time_to_live: Option<Duration>,
}

setters! {
    QueueSettings {
        max_messages: usize,
        max_bytes: usize,
        overflow: QueueOverflow,
        max_delivery_attempts: u32,
        max_abandoned_deliveries: u32,
        redelivery_delay: Duration,
        max_redelivery_delay: Duration,
        dead_letter_queue: Option<String>,
        time_to_live: Option<Duration>,
    }
}

impl QueueSettings {
    /// Checks that a queue can work with these values.
    ///
    /// # Errors
    ///
    /// Returns an error in these cases:
    ///
    /// - A maximum of messages, bytes or deliveries or the time to live is 0, so that no message could be delivered.
    /// - [`QueueSettings::max_redelivery_delay`] is less than [`QueueSettings::redelivery_delay`] or more than 24 hours.
    /// - [`QueueSettings::dead_letter_queue`] is not a valid name of a queue.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for (setting, value) in [
            ("max_messages", self.max_messages),
            ("max_bytes", self.max_bytes),
            ("max_delivery_attempts", self.max_delivery_attempts as usize),
            (
                "max_abandoned_deliveries",
                self.max_abandoned_deliveries as usize,
            ),
        ] {
            InvalidConfig::reject_zero(setting, value)?;
        }
        let (delay, max_delay) = (self.redelivery_delay, self.max_redelivery_delay);
        if max_delay < delay || max_delay > MAX_DELAY {
            let problem = format!(
                "is {max_delay:?}, but must be at least redelivery_delay, {delay:?}, and at most {MAX_DELAY:?}"
            );
            return Err(InvalidConfig::new("max_redelivery_delay", problem));
        }
        if let Some(time_to_live) = self.time_to_live {
            InvalidConfig::reject_zero_duration("time_to_live", time_to_live)?;
        }
        match &self.dead_letter_queue {
            Some(name) if queue_pattern(name).is_none_or(|it| it.is_pattern()) => {
                Err(InvalidConfig::new(
                    "dead_letter_queue",
                    format!("is {name:?}, which is not the name of a queue: /queue/NAME"),
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            max_messages: 10_000,
            max_bytes: 16 << 20,
            overflow: QueueOverflow::Reject,
            max_delivery_attempts: 10,
            max_abandoned_deliveries: 1_000,
            redelivery_delay: Duration::from_millis(100),
            max_redelivery_delay: Duration::from_secs(5),
            dead_letter_queue: Some("/queue/dead-letters".to_owned()),
            time_to_live: None,
        }
    }
}

/// Parses `/queue/PATH`, the name of a queue or a pattern of queues. Returns `None` if the name is invalid.
pub(crate) fn queue_pattern(name: &str) -> Option<Destination> {
    let parsed = syntax::rule_syntax().parse(name.to_owned()).ok()?;
    Some(parsed).filter(|queue| queue.canonical().starts_with(prefix::QUEUE))
}

/// The policy of a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum QueueOverflow {
    /// Rejects the new message. Its sender gets the error `queue-full`.
    #[default]
    Reject,
    /// Accepts the new message, and makes the oldest waiting messages dead letters. If no message waits, because
    /// consumers or open transactions hold all the room, rejects the new message with `queue-full`.
    DropOldest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_impossible_value_is_reported_with_the_name_of_its_setting() {
        let default = QueueSettings::default;
        assert_eq!(default().validate(), Ok(()));
        for (setting, settings) in [
            ("max_messages", default().max_messages(0)),
            ("max_bytes", default().max_bytes(0)),
            ("max_delivery_attempts", default().max_delivery_attempts(0)),
            (
                "max_abandoned_deliveries",
                default().max_abandoned_deliveries(0),
            ),
            (
                "max_redelivery_delay",
                default().redelivery_delay(Duration::from_secs(6)),
            ),
            (
                "max_redelivery_delay",
                default().max_redelivery_delay(Duration::MAX),
            ),
            ("time_to_live", default().time_to_live(Some(Duration::ZERO))),
        ] {
            assert_eq!(settings.validate().unwrap_err().setting(), setting);
        }
    }

    #[test]
    fn the_dead_letter_queue_must_be_a_queue() {
        let with = |name: &str| QueueSettings::default().dead_letter_queue(Some(name.to_owned()));
        for name in ["/topic/x", "/queue/", "/queue/*", "/queue/a\nb", "dead", ""] {
            assert_eq!(
                with(name).validate().unwrap_err().to_string(),
                format!(
                    "dead_letter_queue is {name:?}, which is not the name of a queue: /queue/NAME"
                )
            );
        }
        assert_eq!(with("/queue/dead").validate(), Ok(()));
        assert_eq!(
            QueueSettings::default().dead_letter_queue(None).validate(),
            Ok(())
        );
    }
}
