//! The subscribers of one topic or pattern.

use crate::{Address, activity::Counter};
use stomp_session::{BacklogConfig, Hub};

/// All subscribers of one topic or pattern.
pub(super) struct Group {
    /// The destination as its first subscriber wrote it.
    pub(super) pattern: Address,
    pub(super) hub: Hub,
    pub(super) published: Counter,
}

impl Group {
    pub(super) fn new(pattern: Address, config: BacklogConfig) -> Group {
        Group {
            pattern,
            hub: Hub::new(config),
            published: Counter::default(),
        }
    }
}
