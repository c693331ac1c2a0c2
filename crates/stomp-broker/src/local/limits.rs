//! The bounds of groups.

use crate::config::setters;
use stomp_session::MailboxConfig;

/// The bounds of [`Groups`](super::Groups).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct GroupLimits {
    /// The bounds of what waits for one subscriber, and the policy when it exceeds them. Default:
    /// [`MailboxConfig::default`].
    pub mailbox: MailboxConfig,
    /// Maximum number of groups: topics and patterns with subscribers. Default: 65,536.
    pub max_destinations: usize,
    /// Maximum number of retained messages. Beyond it, the value that was set first is forgotten. 0 retains none.
    /// Default: 0.
    pub max_retained_messages: usize,
    /// Maximum bytes of all retained messages, by their approximate size on the wire. One message is always retained,
    /// whatever its size. Default: 1 MiB.
    pub max_retained_bytes: usize,
}

setters! {
    GroupLimits {
        mailbox: MailboxConfig,
        max_destinations: usize,
        max_retained_messages: usize,
        max_retained_bytes: usize,
    }
}

impl Default for GroupLimits {
    fn default() -> Self {
        GroupLimits {
            mailbox: MailboxConfig::default(),
            max_destinations: 65_536,
            max_retained_messages: 0,
            max_retained_bytes: 1 << 20,
        }
    }
}
