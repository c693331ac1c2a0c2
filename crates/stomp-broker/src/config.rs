//! The settings of a broker.

use crate::{Address, address::prefix, wire_size::MIN_WIRE_SIZE};
use std::{fmt, sync::Arc, time::Duration};
use stomp_session::{InvalidConfig, MailboxConfig, Request};

/// The settings of a broker.
///
/// The first four concern every broker. The others concern the in-memory engine, [`Memory`](crate::Memory).
///
/// ```
/// use stomp_broker::{Allow, Config};
///
/// let config = Config::default()
///     .send(Allow::Everybody)
///     .max_delivery_attempts(3);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The clients that may `SEND`. A client that has the name of a reply's destination may always send there. Default:
    /// [`Allow::Nobody`].
    pub send: Allow,
    /// Maximum number of segments of a topic or pattern. Default: 16.
    pub max_segments: usize,
    /// Maximum number of wildcards in a pattern. 0 allows no patterns.
    ///
    /// It bounds the cost of a message: with `w` wildcards in `s` segments, publishing compares the topic with at most
    /// `(s + 1)^w` prefixes of patterns. Default: 3.
    pub max_wildcards: usize,
    /// Maximum number of different names of temporary queues that one session may use. 0 allows none. Default: 16.
    pub max_temporary_queues: usize,
    /// Maximum number of topics and patterns with subscribers. Also, separately, the maximum number of queues,
    /// including temporary ones; the dead-letter queue is created even beyond it. Default: 65,536.
    pub max_destinations: usize,
    /// The bounds in messages and bytes of what waits for one subscription to topics, and the policy when it exceeds
    /// them.
    ///
    /// The default policy disconnects a slow subscriber. Dropping its oldest messages is no default, because a client
    /// that does not know the header `dropped-messages` would not notice the loss. Default:
    /// [`MailboxConfig::default`].
    pub mailbox: MailboxConfig,
    /// Maximum number of retained messages, which are the last values of topics. Beyond it, the broker forgets the
    /// value that was set first. 0 retains none. Default: 0.
    pub max_retained_messages: usize,
    /// Maximum bytes of all retained messages, by their approximate size on the wire. One message is always retained,
    /// whatever its size. Default: 1 MiB.
    pub max_retained_bytes: usize,
    /// Maximum number of messages in one queue, including those that are delivered and not yet acknowledged. Default:
    /// 10,000.
    pub max_queue_messages: usize,
    /// Maximum bytes of the messages in one queue, by their approximate size on the wire, including those that are
    /// delivered and not yet acknowledged. An empty queue accepts one message of any size. Default: 16 MiB.
    pub max_queue_bytes: usize,
    /// The policy when a queue is full. Default: [`QueueOverflow::Reject`].
    pub queue_overflow: QueueOverflow,
    /// Maximum bytes of the messages in all queues together. Beyond it, queues reject messages, whatever their
    /// [`queue_overflow`](Config::queue_overflow). Default: 256 MiB.
    pub max_total_queue_bytes: usize,
    /// Maximum number of deliveries of a message without an acknowledgment. After that many the message is a dead
    /// letter. Deliveries that were never sent do not count. Default: 10.
    pub max_delivery_attempts: u32,
    /// The queue for dead letters, as `/queue/NAME`. When it is full, its oldest messages are dropped. Without one,
    /// dead letters are dropped at once; so are messages that become dead letters in this queue. Default:
    /// `/queue/dead-letters`.
    pub dead_letter_queue: Option<String>,
    /// The time after which a queue without messages and consumers is removed. Default: 60 s.
    pub idle_timeout: Duration,
}

/// Defines setters by value, named after the fields of [`Config`].
macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {
        $(
            #[doc = concat!("Sets [`Config::", stringify!($field), "`].")]
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Config {
                self.$field = $field;
                self
            }
        )*
    };
}

impl Config {
    setters! {
        send: Allow,
        max_segments: usize,
        max_wildcards: usize,
        max_temporary_queues: usize,
        max_destinations: usize,
        mailbox: MailboxConfig,
        max_retained_messages: usize,
        max_retained_bytes: usize,
        max_queue_messages: usize,
        max_queue_bytes: usize,
        queue_overflow: QueueOverflow,
        max_total_queue_bytes: usize,
        max_delivery_attempts: u32,
        dead_letter_queue: Option<String>,
        idle_timeout: Duration,
    }

    /// Checks that a broker can run with these values.
    ///
    /// # Errors
    ///
    /// If a bound is 0 under which no message could be sent or delivered, if [`Config::max_total_queue_bytes`] is
    /// less than the size of an empty message, if [`Config::idle_timeout`] is zero, or if
    /// [`Config::dead_letter_queue`] is not a valid name of a queue.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for (setting, value) in [
            ("max_segments", self.max_segments),
            ("max_destinations", self.max_destinations),
            ("mailbox.max_messages", self.mailbox.max_messages),
            ("mailbox.max_bytes", self.mailbox.max_bytes),
            ("max_queue_messages", self.max_queue_messages),
            ("max_queue_bytes", self.max_queue_bytes),
            ("max_delivery_attempts", self.max_delivery_attempts as usize),
        ] {
            InvalidConfig::reject_zero(setting, value)?;
        }
        if self.max_total_queue_bytes < MIN_WIRE_SIZE {
            let problem = format!(
                "is {}, but must be at least {MIN_WIRE_SIZE}, the size of an empty message",
                self.max_total_queue_bytes
            );
            return Err(InvalidConfig::new("max_total_queue_bytes", problem));
        }
        InvalidConfig::reject_zero_duration("idle_timeout", self.idle_timeout)?;
        match &self.dead_letter_queue {
            Some(name) if !self.is_queue_name(name) => Err(InvalidConfig::new(
                "dead_letter_queue",
                format!("is {name:?}, which is not the name of a queue: /queue/NAME"),
            )),
            _ => Ok(()),
        }
    }

    fn is_queue_name(&self, name: &str) -> bool {
        name.strip_prefix(prefix::QUEUE)
            .is_some_and(|path| Address::queue(path).check(self).is_ok())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            send: Allow::Nobody,
            max_segments: 16,
            max_wildcards: 3,
            max_temporary_queues: 16,
            max_destinations: 65_536,
            mailbox: MailboxConfig::default(),
            max_retained_messages: 0,
            max_retained_bytes: 1 << 20,
            max_queue_messages: 10_000,
            max_queue_bytes: 16 << 20,
            queue_overflow: QueueOverflow::Reject,
            max_total_queue_bytes: 256 << 20,
            max_delivery_attempts: 10,
            dead_letter_queue: Some("/queue/dead-letters".to_owned()),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// The clients that a setting permits.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Allow {
    /// No client. Only the application's own code may.
    #[default]
    Nobody,
    /// All clients.
    Everybody,
    /// The clients for whose requests this function returns true. It must not block, since its session waits for it.
    If(Arc<dyn Fn(&Request) -> bool + Send + Sync>),
}

impl Allow {
    /// Creates [`Allow::If`] from a function or closure.
    pub fn when(is_allowed: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Allow {
        Allow::If(Arc::new(is_allowed))
    }

    pub(crate) fn allows(&self, request: &Request) -> bool {
        match self {
            Allow::Nobody => false,
            Allow::Everybody => true,
            Allow::If(is_allowed) => is_allowed(request),
        }
    }
}

impl fmt::Debug for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Allow::Nobody => "Nobody",
            Allow::Everybody => "Everybody",
            Allow::If(_) => "If(…)",
        })
    }
}

/// The policy of a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum QueueOverflow {
    /// Rejects the new message: its sender gets the error `queue-full`.
    #[default]
    Reject,
    /// Makes the oldest waiting messages dead letters. If none wait, because consumers have them all, rejects the new
    /// message with `queue-full`.
    DropOldest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(config: &Config) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_settings_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn each_impossible_value_is_reported_with_the_name_of_its_setting() {
        let default = Config::default;
        let no_mailbox = MailboxConfig::default();
        for (setting, config) in [
            ("max_segments", default().max_segments(0)),
            ("max_destinations", default().max_destinations(0)),
            (
                "mailbox.max_messages",
                default().mailbox(no_mailbox.max_messages(0)),
            ),
            (
                "mailbox.max_bytes",
                default().mailbox(no_mailbox.max_bytes(0)),
            ),
            ("max_queue_messages", default().max_queue_messages(0)),
            ("max_queue_bytes", default().max_queue_bytes(0)),
            ("max_total_queue_bytes", default().max_total_queue_bytes(0)),
            ("max_delivery_attempts", default().max_delivery_attempts(0)),
            ("idle_timeout", default().idle_timeout(Duration::ZERO)),
        ] {
            assert_eq!(config.validate().unwrap_err().setting(), setting);
        }
        assert_eq!(
            rejected(&default().max_segments(0)),
            "max_segments is 0, but must be at least 1"
        );
        assert_eq!(
            rejected(&default().max_total_queue_bytes(127)),
            "max_total_queue_bytes is 127, but must be at least 128, the size of an empty message"
        );
    }

    #[test]
    fn the_dead_letter_queue_must_be_a_queue() {
        for name in ["/topic/x", "/queue/", "/queue/*", "/queue/a\nb", "dead", ""] {
            let config = Config::default().dead_letter_queue(Some(name.to_owned()));
            assert_eq!(
                rejected(&config),
                format!(
                    "dead_letter_queue is {name:?}, which is not the name of a queue: /queue/NAME"
                )
            );
        }
        let config = Config::default().dead_letter_queue(Some("/queue/dead".to_owned()));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn settings_whose_zero_turns_a_feature_off_may_be_zero() {
        let config = Config::default()
            .max_wildcards(0)
            .max_temporary_queues(0)
            .max_retained_messages(0)
            .max_retained_bytes(0)
            .dead_letter_queue(None);
        assert_eq!(config.validate(), Ok(()));
    }
}
