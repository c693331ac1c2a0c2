//! The state of an engine as operators see it.

use std::{fmt, sync::Arc, time::SystemTime};

/// The state of an engine, which [`Engine::health`](crate::Engine::health) reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Health {
    /// The engine works.
    #[default]
    Up,
    /// The engine works in part: for example, it reconnects to another server, and calls wait or fail meanwhile.
    Degraded {
        /// The time at which this began.
        since: SystemTime,
        /// The reason, as a sentence for logs.
        reason: Arc<str>,
    },
    /// The engine refuses all calls with `engine-unavailable`.
    Down {
        /// The time at which this began.
        since: SystemTime,
        /// The reason, as a sentence for logs.
        reason: Arc<str>,
    },
}

impl Health {
    /// Creates [`Health::Degraded`], since now.
    pub fn degraded(reason: impl Into<Arc<str>>) -> Health {
        Health::Degraded {
            since: SystemTime::now(),
            reason: reason.into(),
        }
    }

    /// Creates [`Health::Down`], since now.
    pub fn down(reason: impl Into<Arc<str>>) -> Health {
        Health::Down {
            since: SystemTime::now(),
            reason: reason.into(),
        }
    }

    /// Returns true for [`Health::Up`].
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self == Health::Up
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Health::Up => f.write_str("up"),
            Health::Degraded { reason, .. } => write!(f, "degraded: {reason}"),
            Health::Down { reason, .. } => write!(f, "down: {reason}"),
        }
    }
}
