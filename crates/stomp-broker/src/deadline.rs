//! Deadlines on the clock of the runtime.

use std::time::SystemTime;
use tokio::time::Instant;

/// The deadline at a time of the wall clock. `None` if it is too far away to matter.
///
/// The wall clock is read only here. A later change of it does not affect the deadline.
pub(crate) fn deadline(at: SystemTime) -> Option<Instant> {
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now().checked_add(left)
}
