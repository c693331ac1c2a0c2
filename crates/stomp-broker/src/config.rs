//! How a broker behaves.

use std::{fmt, sync::Arc, time::Duration};
use stomp_session::{MailboxConfig, Request};

/// The settings of a broker.
///
/// The first four are the broker's own; the others are those of the engine in memory.
///
/// ```
/// let mut config = stomp_broker::Config::default();
/// config.send = stomp_broker::Allow::Everybody;
/// config.attempts = 3;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which clients may `SEND`. Whoever was given a reply's destination may always send there. Default:
    /// [`Allow::Nobody`].
    pub send: Allow,
    /// How many segments a topic may have. Default: 16.
    pub segments: usize,
    /// How many wildcards a pattern may have. What a message costs may grow with the number of ways to place them: with
    /// `w` of them in `s` segments it looks at no more than `(s + 1)^w` patterns. Default: 3.
    pub wildcards: usize,
    /// How many names of temporary queues a session may use. Default: 16.
    pub temporaries: usize,
    /// How many topics or patterns may be subscribed to at a time, and how many queues there may be. Default: 65,536.
    pub destinations: usize,
    /// What waits for a subscription to topics, and what happens when that is too much. Default:
    /// [`MailboxConfig::default`].
    pub mailbox: MailboxConfig,
    /// How many topics' last values are kept, those that were set last. Default: 0.
    pub retained: usize,
    /// How many bytes of last values are kept; one is always. Default: 1 MiB.
    pub retained_bytes: usize,
    /// How many messages a queue may hold: those that wait, and those that are not yet acknowledged. Default: 10,000.
    pub queue_messages: usize,
    /// How many bytes a queue may hold, about what its messages take on the wire; one is always taken. Default: 16 MiB.
    pub queue_bytes: usize,
    /// What happens when a queue is full. Default: [`QueueOverflow::Reject`].
    pub queue_overflow: QueueOverflow,
    /// How many bytes all queues together may hold. Beyond that nothing is taken. Default: 256 MiB.
    pub all_queues_bytes: usize,
    /// How often a message is given out without being acknowledged, before it is a dead letter. Default: 10.
    pub attempts: u32,
    /// The queue for dead letters, which is never full: the oldest are dropped. With none they are dropped at once, as is
    /// what is refused again there. Default: `/queue/dead-letters`.
    pub dead_letter: Option<String>,
    /// For how long a queue is kept that is empty and has no consumers. Default: 60 s.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            send: Allow::Nobody,
            segments: 16,
            wildcards: 3,
            temporaries: 16,
            destinations: 65_536,
            mailbox: MailboxConfig::default(),
            retained: 0,
            retained_bytes: 1 << 20,
            queue_messages: 10_000,
            queue_bytes: 16 << 20,
            queue_overflow: QueueOverflow::Reject,
            all_queues_bytes: 256 << 20,
            attempts: 10,
            dead_letter: Some("/queue/dead-letters".to_owned()),
            idle: Duration::from_secs(60),
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
