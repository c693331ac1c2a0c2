//! The state of an engine, for operators.

use std::{fmt, sync::Arc, time::SystemTime};

/// The state of an engine, which [`Engine::health`](crate::Engine::health) reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Health {
    /// The engine works.
    #[default]
    Up,
    /// The engine works only in part. For example, it is reconnecting to its system, and calls wait or fail until then.
    Degraded {
        /// The time at which this state began.
        since: SystemTime,
        /// The reason for this state, as a sentence for logs.
        reason: Arc<str>,
    },
    /// The engine does not work. Publications and subscriptions fail with `engine-unavailable`.
    Down {
        /// The time at which this state began.
        since: SystemTime,
        /// The reason for this state, as a sentence for logs.
        reason: Arc<str>,
    },
}

impl Health {
    /// Creates [`Health::Degraded`], beginning now.
    pub fn degraded(reason: impl Into<Arc<str>>) -> Health {
        Health::Degraded {
            since: SystemTime::now(),
            reason: reason.into(),
        }
    }

    /// Creates [`Health::Down`], beginning now.
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
