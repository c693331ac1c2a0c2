//! Conversion of wall-clock times to deadlines of the runtime.

use std::time::SystemTime;
use tokio::time::Instant;

/// Converts a time of the wall clock to a deadline of the runtime's clock. Returns `None` if it is too far away for
/// that clock.
///
/// The wall clock is read only during this call. A later change of the wall clock does not move the deadline.
pub(crate) fn deadline(at: SystemTime) -> Option<Instant> {
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now().checked_add(left)
}
