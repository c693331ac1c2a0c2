//! What sessions, their subscriptions and their streams are told apart by.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// What tells a session from all others, in this process and in all likelihood in any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    pub(crate) fn next() -> SessionId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for SessionId {
    /// A part that is the process's, and a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static PROCESS: LazyLock<u64> =
            LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
        write!(f, "{:016x}-{}", *PROCESS, self.0)
    }
}

/// Which of a session's subscriptions. No two ever have the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriptionKey(pub(crate) u64);

/// A name for a stream that is sent besides what a `SUBSCRIBE` was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamId(u64);

impl StreamId {
    pub(crate) fn next() -> StreamId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        StreamId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
