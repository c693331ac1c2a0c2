//! A test: a promise, the capabilities that it needs, and the code that tests it.

use crate::Capabilities;
use futures_util::future::BoxFuture;
use std::fmt;
use stomp_session::BoxError;

/// The result of a test: an error with the first difference.
pub(super) type Outcome = Result<(), BoxError>;

/// A test of one engine (`R` is a [`Run`](super::run::Run)), or of two nodes (a [`Pair`](super::run::Pair)).
pub(super) struct Test<R: 'static> {
    /// The promise, as a sentence.
    pub(super) name: &'static str,
    /// Returns true if the test applies to an engine with these capabilities.
    pub(super) applies_to: fn(Capabilities) -> bool,
    pub(super) function: fn(R) -> BoxFuture<'static, Outcome>,
}

/// The result of a test that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Success {
    Passed,
    Skipped,
}

/// A list of tests: a name, a condition for the capabilities, and an async function.
macro_rules! tests {
    ($($name:literal, $applies_to:expr => $test:path;)*) => {
        &[$(crate::conformance::test::Test {
            name: $name,
            applies_to: $applies_to,
            function: |run| Box::pin($test(run)),
        }),*]
    };
}

impl<R> Test<R> {
    /// Runs the test with what was built for it, if it applies to that.
    pub(super) async fn run(
        &self,
        built: Result<R, BoxError>,
        capabilities: fn(&R) -> Capabilities,
    ) -> Result<Success, BoxError> {
        let run = built.map_err(|error| format!("the engine was not built: {error}"))?;
        if !(self.applies_to)(capabilities(&run)) {
            return Ok(Success::Skipped);
        }
        tracing::debug!(name = self.name, "running a conformance test");
        (self.function)(run).await?;
        Ok(Success::Passed)
    }
}

impl<R> fmt::Debug for Test<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns the error of a test unless a condition holds.
pub(super) fn ensure(condition: bool, reason: impl FnOnce() -> String) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(reason().into())
    }
}

/// Checks that two values are equal. `what` names them.
pub(super) fn ensure_equal<T: fmt::Debug + PartialEq>(
    what: &str,
    found: T,
    expected: T,
) -> Outcome {
    ensure(found == expected, || {
        format!("expected {what} {expected:?}, but got {found:?}")
    })
}
