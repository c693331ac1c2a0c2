//! Helpers that wait with a timeout, and that choose the size of a normal or a soak run.

use std::{sync::mpsc, thread, time::Duration};
use tokio::time::{sleep, timeout};

/// The default time after which a test stops waiting.
///
/// With a paused clock, waiting takes no real time. With a real clock, only a test that fails waits for so long.
pub const TIMEOUT: Duration = Duration::from_secs(100);

/// Waits for `future`, and returns its output. Panics if it is not ready within [`TIMEOUT`].
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    match timeout(TIMEOUT, future).await {
        Ok(output) => output,
        Err(_) => panic!("not ready after {TIMEOUT:?}"),
    }
}

/// Waits until `condition` returns true. Panics if it does not within [`TIMEOUT`]; the panic message contains `what`, a
/// description of the condition.
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

/// Returns `soak` if the environment variable `SOAK` is `1`, otherwise `usual`.
#[must_use]
pub fn usual_or_soak(usual: usize, soak: usize) -> usize {
    if std::env::var_os("SOAK").is_some_and(|value| value == "1") {
        soak
    } else {
        usual
    }
}

/// Runs a test that hangs if a lock is held, on another thread. Panics if the test panics, or does not end within 20
/// seconds.
pub fn without_deadlock(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match is_done.recv_timeout(Duration::from_secs(20)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs: a lock is held"),
        _ => thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}
