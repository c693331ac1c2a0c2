//! The limits of [`Groups`](super::Groups).

use crate::config::setters;
use stomp_session::{BacklogConfig, MemoryBudget};

/// Limits on the number of groups, on the backlogs of their subscribers, and on their messages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupLimits {
    /// The backlog of each subscriber: its bounds in messages and bytes, and the policy beyond them. Default:
    /// [`BacklogConfig::default`].
    pub backlog: BacklogConfig,
    /// Maximum number of groups, which are the topics and patterns with subscribers. Default: 65,536.
    pub max_destinations: usize,
    /// Maximum number of retained messages. Beyond it, the message that was set the longest time ago is forgotten. 0
    /// retains none. Default: 0.
    pub max_retained_messages: usize,
    /// Maximum bytes of all retained messages together, by their approximate size on the wire. Beyond it, the messages
    /// that were set the longest time ago are forgotten, except the latest, whatever its size. Default: 1 MiB.
    pub max_retained_bytes: usize,
    /// The budget of the messages that wait for subscribers. Default: a new one of 256 MiB.
    pub memory_budget: MemoryBudget,
}

setters! {
    GroupLimits {
        backlog: BacklogConfig,
        max_destinations: usize,
        max_retained_messages: usize,
        max_retained_bytes: usize,
        memory_budget: MemoryBudget,
    }
}

impl Default for GroupLimits {
    fn default() -> Self {
        GroupLimits {
            backlog: BacklogConfig::default(),
            max_destinations: 65_536,
            max_retained_messages: 0,
            max_retained_bytes: 1 << 20,
            memory_budget: MemoryBudget::default(),
        }
    }
}
