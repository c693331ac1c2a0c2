//! The results of tests.

use super::test::Success;
use std::{error::Error, fmt};
use stomp_session::BoxError;

/// The tests that an engine passed, and those that do not apply to it. A test is named `group: promise`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    passed: Vec<String>,
    skipped: Vec<String>,
}

impl Report {
    /// The tests that the engine passed.
    #[must_use]
    pub fn passed(&self) -> &[String] {
        &self.passed
    }

    /// The tests that need capabilities which the engine does not declare; and, of the group `refusals`, those of
    /// capabilities which it declares.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// The tests that an engine failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConformanceError {
    failures: Vec<Failure>,
}

impl ConformanceError {
    /// The tests that failed, at least one.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

/// A test that an engine failed: the promise that it tests, and the first difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    test: String,
    reason: String,
}

impl Failure {
    /// The test, named `group: promise`.
    #[must_use]
    pub fn test(&self) -> &str {
        &self.test
    }

    /// The first difference between the engine and its promise.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.test, self.reason)
    }
}

/// Writes one line for each failure.
impl fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.failures.len();
        write!(f, "the engine failed {count} conformance test")?;
        f.write_str(if count == 1 { "" } else { "s" })?;
        self.failures
            .iter()
            .try_for_each(|failure| write!(f, "\n{failure}"))
    }
}

impl Error for ConformanceError {}

/// The results of the tests so far.
#[derive(Debug, Default)]
pub(super) struct Results {
    report: Report,
    failures: Vec<Failure>,
}

impl Results {
    pub(super) fn add(
        &mut self,
        group: &'static str,
        name: &'static str,
        result: Result<Success, BoxError>,
    ) {
        let test = format!("{group}: {name}");
        match result {
            Ok(Success::Passed) => self.report.passed.push(test),
            Ok(Success::Skipped) => self.report.skipped.push(test),
            Err(reason) => self.failures.push(Failure {
                test,
                reason: reason.to_string(),
            }),
        }
    }

    pub(super) fn finish(self) -> Result<Report, ConformanceError> {
        if self.failures.is_empty() {
            Ok(self.report)
        } else {
            Err(ConformanceError {
                failures: self.failures,
            })
        }
    }
}
