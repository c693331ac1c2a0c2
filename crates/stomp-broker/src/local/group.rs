//! The subscribers of one topic or pattern.

use super::limits::GroupLimits;
use crate::{Address, activity::Counter};
use stomp_session::Hub;

/// All subscribers of one topic or pattern.
pub(super) struct Group {
    /// The destination as its first subscriber wrote it.
    pub(super) pattern: Address,
    pub(super) hub: Hub,
    pub(super) published: Counter,
}

impl Group {
    pub(super) fn new(pattern: Address, limits: &GroupLimits) -> Group {
        Group {
            pattern,
            hub: Hub::new(limits.backlog, limits.memory_budget.clone()),
            published: Counter::default(),
        }
    }
}
