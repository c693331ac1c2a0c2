//! The settings of the in-memory engine.

use crate::{
    QueueSettings, config::setters, events::EventSource, queue_settings::queue_pattern,
    wire_size::MIN_WIRE_SIZE,
};
use std::time::Duration;
use stomp_session::{BacklogConfig, InvalidConfig, MemoryBudget};

/// The settings of the in-memory engine, [`Memory`](crate::Memory).
///
/// ```
/// use stomp_broker::{Broker, Config, Memory, MemoryConfig, QueueSettings};
///
/// # fn main() -> Result<(), stomp_session::InvalidConfig> {
/// let memory = MemoryConfig::default()
///     .max_retained_messages(1_000)
///     .queues(QueueSettings::default().max_messages(100));
/// let broker = Broker::with_engine(Config::default(), Memory::new(memory)?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Shares
///
/// The maximum number of queues and the maximum of their bytes are shared among clients:
///
/// - While there is room, a client may take any part. A single client may take everything.
/// - When three quarters are in use by more than one client, the client with the largest share is refused.
/// - Beyond the maximum, a further quarter is for all clients except the one with the largest share. So a client that
///   has taken everything stops nobody else.
/// - The application is counted apart, with the same maximum. So nothing that clients do stops the application, and all
///   queues together may hold up to 2¼ times the maximum.
/// - Dead-letter queues are created even beyond the maximum. Dead letters belong to the client that sent them.
///
/// All sessions of a principal count as one client, and so do all sessions without a principal from one IPv4 address or
/// IPv6 /64 network. A queue belongs to the client that created it, by `SEND` or `SUBSCRIBE`, until it is removed or the
/// application declares it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Maximum number of topics and patterns with subscribers, and, counted separately, of queues. Temporary queues
    /// count as queues. Queues are shared among clients as [above](MemoryConfig#shares). Default: 65,536.
    pub max_destinations: usize,
    /// The backlog of each subscription to topics: its bounds in messages and bytes, and the policy beyond them.
    ///
    /// The default policy disconnects a slow subscriber. It does not drop messages, because a client that does not know
    /// the header `dropped-messages` would not notice the loss: see also [`Config::on_gap`](crate::Config::on_gap).
    /// Default: [`BacklogConfig::default`].
    pub backlog: BacklogConfig,
    /// Maximum number of retained messages, which are the last values of topics. Beyond it, the engine forgets the
    /// message that was set the longest time ago. With 0, messages with the header `retain` are refused with
    /// `not-supported`. Default: 0.
    pub max_retained_messages: usize,
    /// Maximum bytes of all retained messages together, by their approximate size on the wire. Beyond it, the engine
    /// forgets the messages that were set the longest time ago, except the latest, whatever its size. Default: 1 MiB.
    pub max_retained_bytes: usize,
    /// The settings of queues that match no pattern in [`queue_patterns`](MemoryConfig::queue_patterns), and of all
    /// temporary queues. Default: [`QueueSettings::default`].
    pub queues: QueueSettings,
    /// The settings of queues by pattern, such as `/queue/jobs.>`. The first matching pattern replaces all settings of
    /// [`queues`](MemoryConfig::queues). Default: none.
    ///
    /// Whatever its settings, a dead-letter queue drops its oldest messages when it is full, and does not make dead
    /// letters of its messages.
    pub queue_patterns: Vec<(String, QueueSettings)>,
    /// Maximum bytes of the messages in all queues together. Beyond it, all queues reject messages, whatever their
    /// [`overflow`](QueueSettings::overflow). The bytes are shared among clients as [above](MemoryConfig#shares).
    /// Default: 256 MiB.
    pub max_total_queue_bytes: usize,
    /// The budget of the messages that wait for subscribers of topics. Beyond it, the subscribers that hold back most meet
    /// the policy of [`backlog`](MemoryConfig::backlog). Messages in queues have the bounds above. To give
    /// other parts of the process the same budget, set a clone. An app shares the budget of its broker. Default: a new
    /// one of 256 MiB.
    pub memory_budget: MemoryBudget,
    /// The time after which a queue without messages and consumers is removed, unless it was
    /// [declared](crate::Engine::declare). Temporary queues, and queues that never had a message, are removed with their
    /// last consumer. Default: 60 s.
    pub idle_timeout: Duration,
    /// Maximum number of [events](crate::Engine::events) that wait for a slow reader, rounded up to a power of two. The
    /// memory for them is allocated with the first reader. Default: 1,024.
    pub max_unread_events: usize,
}

setters! {
    MemoryConfig {
        max_destinations: usize,
        backlog: BacklogConfig,
        max_retained_messages: usize,
        max_retained_bytes: usize,
        queues: QueueSettings,
        queue_patterns: Vec<(String, QueueSettings)>,
        max_total_queue_bytes: usize,
        memory_budget: MemoryBudget,
        idle_timeout: Duration,
        max_unread_events: usize,
    }
}

impl MemoryConfig {
    /// Appends an entry to [`MemoryConfig::queue_patterns`].
    #[must_use]
    pub fn queue_pattern(
        mut self,
        pattern: impl Into<String>,
        settings: QueueSettings,
    ) -> MemoryConfig {
        self.queue_patterns.push((pattern.into(), settings));
        self
    }

    /// Checks that the engine can run with these values.
    ///
    /// # Errors
    ///
    /// Returns an error in these cases:
    ///
    /// - [`MemoryConfig::max_destinations`], a bound of [`MemoryConfig::backlog`], the limit of
    ///   [`MemoryConfig::memory_budget`] or [`MemoryConfig::idle_timeout`] is 0.
    /// - [`MemoryConfig::max_unread_events`] is 0 or more than [`EventSource::MAX_UNREAD`].
    /// - [`MemoryConfig::max_total_queue_bytes`] is less than the size of an empty message, 128.
    /// - A pattern in [`MemoryConfig::queue_patterns`] is invalid or not below `/queue/`.
    /// - [`QueueSettings::validate`] fails for some settings of queues.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for (setting, value) in [
            ("max_destinations", self.max_destinations),
            ("backlog.max_messages", self.backlog.max_messages),
            ("backlog.max_bytes", self.backlog.max_bytes),
            ("memory_budget", self.memory_budget.limit()),
            ("max_unread_events", self.max_unread_events),
        ] {
            InvalidConfig::reject_zero(setting, value)?;
        }
        if self.max_unread_events > EventSource::MAX_UNREAD {
            let problem = format!(
                "is {}, but must be at most {}",
                self.max_unread_events,
                EventSource::MAX_UNREAD
            );
            return Err(InvalidConfig::new("max_unread_events", problem));
        }
        if self.max_total_queue_bytes < MIN_WIRE_SIZE {
            let problem = format!(
                "is {}, but must be at least {MIN_WIRE_SIZE}, the size of an empty message",
                self.max_total_queue_bytes
            );
            return Err(InvalidConfig::new("max_total_queue_bytes", problem));
        }
        InvalidConfig::reject_zero_duration("idle_timeout", self.idle_timeout)?;
        self.queues.validate()?;
        for (pattern, settings) in &self.queue_patterns {
            if queue_pattern(pattern).is_none() {
                let problem = format!(
                    "contains {pattern:?}, which is not a pattern of queues: /queue/PATTERN"
                );
                return Err(InvalidConfig::new("queue_patterns", problem));
            }
            settings.validate()?;
        }
        Ok(())
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        MemoryConfig {
            max_destinations: 65_536,
            backlog: BacklogConfig::default(),
            max_retained_messages: 0,
            max_retained_bytes: 1 << 20,
            queues: QueueSettings::default(),
            queue_patterns: Vec::new(),
            max_total_queue_bytes: 256 << 20,
            memory_budget: MemoryBudget::default(),
            idle_timeout: Duration::from_secs(60),
            max_unread_events: 1_024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_settings_are_valid() {
        assert_eq!(MemoryConfig::default().validate(), Ok(()));
    }

    #[test]
    fn each_impossible_value_is_reported_with_the_name_of_its_setting() {
        let default = MemoryConfig::default;
        let backlog = BacklogConfig::default();
        let no_messages = QueueSettings::default().max_messages(0);
        for (setting, config) in [
            ("max_destinations", default().max_destinations(0)),
            (
                "backlog.max_messages",
                default().backlog(backlog.max_messages(0)),
            ),
            ("backlog.max_bytes", default().backlog(backlog.max_bytes(0))),
            ("max_total_queue_bytes", default().max_total_queue_bytes(0)),
            (
                "memory_budget",
                default().memory_budget(MemoryBudget::new(0)),
            ),
            ("idle_timeout", default().idle_timeout(Duration::ZERO)),
            ("max_unread_events", default().max_unread_events(0)),
            ("max_unread_events", default().max_unread_events(usize::MAX)),
            ("max_messages", default().queues(no_messages.clone())),
            (
                "max_messages",
                default().queue_pattern("/queue/a", no_messages),
            ),
        ] {
            assert_eq!(config.validate().unwrap_err().setting(), setting);
        }
        assert_eq!(
            default()
                .max_total_queue_bytes(127)
                .validate()
                .unwrap_err()
                .to_string(),
            "max_total_queue_bytes is 127, but must be at least 128, the size of an empty message"
        );
    }

    #[test]
    fn settings_of_queues_have_patterns_of_queues() {
        let with = |pattern| {
            MemoryConfig::default()
                .queue_pattern(pattern, QueueSettings::default())
                .validate()
        };
        for pattern in ["/queue/a", "/queue/*", "/queue/a.>", "/queue/a/#"] {
            assert_eq!(with(pattern), Ok(()), "{pattern}");
        }
        for pattern in ["a", "/topic/a", "/queue/", "/queue/>.a"] {
            assert_eq!(with(pattern).unwrap_err().setting(), "queue_patterns");
        }
    }

    #[test]
    fn settings_whose_zero_turns_a_feature_off_may_be_zero() {
        let config = MemoryConfig::default()
            .max_retained_messages(0)
            .max_retained_bytes(0);
        assert_eq!(config.validate(), Ok(()));
    }
}
