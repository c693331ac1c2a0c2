//! Topics within this process: groups of subscribers by pattern, fan-out to their mailboxes, and retained messages.
//!
//! This module knows neither queues nor engines, so that any engine can deliver to its local subscribers with it.

mod fan_out;
mod retained;
mod topics;
mod trie;

pub(crate) use topics::{TopicLimits, Topics};
