//! Waiting with a bound, and sizes of long runs.

use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The time after which a test stops waiting, unless it says otherwise.
///
/// On a paused clock it costs nothing. On a real clock it only bounds tests that fail.
pub const TIMEOUT: Duration = Duration::from_secs(100);

/// The output of `future`, which must be ready within [`TIMEOUT`].
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    match timeout(TIMEOUT, future).await {
        Ok(output) => output,
        Err(_) => panic!("not ready after {TIMEOUT:?}"),
    }
}

/// Waits until `condition` returns true, which must be within [`TIMEOUT`]. `what` describes it if that fails.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            // Not `yield_now`: timers and sockets make progress only while the runtime waits.
            sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(TIMEOUT, wait).await.is_err() {
        panic!("after {TIMEOUT:?} still not: {what}");
    }
}

/// `soak` if the environment variable `SOAK` is `1`, otherwise `usual`.
#[must_use]
pub fn usual_or_soak(usual: usize, soak: usize) -> usize {
    if std::env::var_os("SOAK").is_some_and(|value| value == "1") {
        soak
    } else {
        usual
    }
}
