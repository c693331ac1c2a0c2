//! Calls of application code whose panics stay in their session.

use crate::error::HandlerPanicked;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls application code and catches its panic.
pub(crate) fn catch_panic<T>(call: impl FnOnce() -> T) -> Result<T, HandlerPanicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| HandlerPanicked)
}
