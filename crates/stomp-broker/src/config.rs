//! How a broker behaves.

use crate::{Destination, destination::prefix};
use std::{fmt, sync::Arc, time::Duration};
use stomp_session::{InvalidConfig, MailboxConfig, Request};

/// The settings of a broker.
///
/// The first four are the broker's own; the others are those of the engine in memory.
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
    /// Which clients may `SEND`. Whoever was given a reply's destination may always send there. Default:
    /// [`Allow::Nobody`].
    pub send: Allow,
    /// How many segments a topic may have. Default: 16.
    pub max_segments: usize,
    /// How many wildcards a pattern may have. What a message costs may grow with the number of ways to place them: with
    /// `w` of them in `s` segments it looks at no more than `(s + 1)^w` patterns. Default: 3.
    pub max_wildcards: usize,
    /// How many names of temporary queues a session may use. Default: 16.
    pub max_temporary_queues: usize,
    /// How many topics or patterns may be subscribed to at a time, and how many queues there may be. Default: 65,536.
    pub max_destinations: usize,
    /// What waits for a subscription to topics, and what happens when that is too much. Default:
    /// [`MailboxConfig::default`].
    pub mailbox: MailboxConfig,
    /// How many topics' last values are kept, those that were set last. Default: 0.
    pub max_retained_messages: usize,
    /// How many bytes of last values are kept; one is always. Default: 1 MiB.
    pub max_retained_bytes: usize,
    /// How many messages a queue may hold: those that wait, and those that are not yet acknowledged. Default: 10,000.
    pub max_queue_messages: usize,
    /// How many bytes a queue may hold, about what its messages take on the wire; one is always taken. Default: 16 MiB.
    pub max_queue_bytes: usize,
    /// What happens when a queue is full. Default: [`QueueOverflow::Reject`].
    pub queue_overflow: QueueOverflow,
    /// How many bytes all queues together may hold. Beyond that nothing is taken. Default: 256 MiB.
    pub max_total_queue_bytes: usize,
    /// How often a message is given out without being acknowledged, before it is a dead letter. Default: 10.
    pub max_delivery_attempts: u32,
    /// The queue for dead letters, which is never full: the oldest are dropped. With none they are dropped at once, as is
    /// what is refused again there. Default: `/queue/dead-letters`.
    pub dead_letter_queue: Option<String>,
    /// For how long a queue is kept that is empty and has no consumers. Default: 60 s.
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
    /// If a bound is 0 under which no message could be sent or delivered, if [`Config::idle_timeout`] is zero, or if
    /// [`Config::dead_letter_queue`] is no queue.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for (setting, value) in [
            ("max_segments", self.max_segments),
            ("max_destinations", self.max_destinations),
            ("mailbox.max_messages", self.mailbox.max_messages),
            ("mailbox.max_bytes", self.mailbox.max_bytes),
            ("max_queue_messages", self.max_queue_messages),
            ("max_queue_bytes", self.max_queue_bytes),
            ("max_total_queue_bytes", self.max_total_queue_bytes),
            ("max_delivery_attempts", self.max_delivery_attempts as usize),
        ] {
            InvalidConfig::reject_zero(setting, value)?;
        }
        if self.idle_timeout.is_zero() {
            return Err(InvalidConfig::new(
                "idle_timeout",
                "is zero, but must be longer",
            ));
        }
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
            .is_some_and(|path| Destination::queue(path).check(self).is_ok())
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

/// Who is allowed something.
#[derive(Clone, Default)]
pub enum Allow {
    /// No client is. The application sends, from its own code.
    #[default]
    Nobody,
    /// All clients are.
    Everybody,
    /// Those are whose request this function says yes to. It must not keep its session waiting.
    If(Arc<dyn Fn(&Request) -> bool + Send + Sync>),
}

impl Allow {
    /// See [`Allow::If`].
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

/// What happens when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum QueueOverflow {
    /// Whoever sends is refused, with `queue-full`.
    #[default]
    Reject,
    /// The oldest messages that wait become dead letters. Where all were given out, whoever sends is refused.
    DropOldest,
}
