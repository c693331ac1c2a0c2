//! Tests of the promises that every [`Engine`] keeps.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stomp_session::BoxError> {
//! use stomp_broker::{Memory, MemoryConfig, conformance};
//!
//! # tokio::time::pause();
//! let settings = MemoryConfig::default().max_retained_messages(100);
//! let report = conformance::check(|| async { Ok(Memory::new(settings.clone())?) }).await?;
//! for test in report.skipped() {
//!     println!("does not apply: {test}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`check`] tests one engine, and [`check_pair`] two nodes of one engine, which share their topics and queues. Both
//! call a function that builds the engine, once for each test. It may return clones of one engine, or connect to one
//! external system: the paths of all destinations begin with `conformance` and a number that differs from test to test
//! and from run to run. Nothing else may use the engine meanwhile, since its statistics are compared. The last test shuts
//! the engine down.
//!
//! # Capabilities
//!
//! The tests are in [groups], most of them by [capability](crate::Capabilities). A test that needs what the engine does
//! not declare is skipped, and the [`Report`] names it. In its place, a test in the group `refusals` checks that a
//! broker with this engine refuses the feature to its clients. The trait makes no promises about durable subscriptions,
//! so there are no tests for engines that declare them.
//!
//! The settings of the engine need room for 256 unread messages of a subscriber, 100 retained messages, and 1,000
//! messages in a queue that was not declared.
//!
//! # Time
//!
//! The tests run in a tokio runtime with its clock enabled. Each call and each message may take 10 seconds. To see that
//! a message does *not* arrive, a test waits 200 milliseconds. An engine without I/O runs through all this at once if the
//! clock of the runtime is [paused](https://docs.rs/tokio/latest/tokio/time/fn.pause.html).

#[macro_use]
mod test;

mod administration;
mod baseline;
mod dead_letters;
mod exclusive;
mod expiry;
mod gaps;
mod nodes;
mod observation;
mod patterns;
mod queue_bounds;
mod queues;
mod receiver;
mod redelivery;
mod refusals;
mod report;
mod retained;
mod run;
mod shutdown;
mod statistics;
mod temporary_queues;
mod topics;
mod transactions;
mod users;

pub use report::{ConformanceError, Failure, Report};

use crate::Engine;
use report::Results;
use run::{Pair, Run, next_number};
use std::{future::Future, sync::Arc};
use stomp_session::BoxError;
use test::Test;

/// Runs all tests of one engine, one after the other.
///
/// # Errors
///
/// All tests that failed, each with the first difference.
pub async fn check<E, F>(build: impl Fn() -> F) -> Result<Report, ConformanceError>
where
    E: Engine,
    F: Future<Output = Result<E, BoxError>>,
{
    let mut results = Results::default();
    for group in groups() {
        group.run(&build, &mut results).await;
    }
    results.finish()
}

/// Runs all tests of two nodes of one engine, one after the other. A message that one node accepts reaches the
/// subscribers of both.
///
/// # Errors
///
/// All tests that failed, each with the first difference.
pub async fn check_pair<E, F>(build: impl Fn() -> F) -> Result<Report, ConformanceError>
where
    E: Engine,
    F: Future<Output = Result<(E, E), BoxError>>,
{
    let mut results = Results::default();
    for group in groups() {
        group.run_pair(&build, &mut results).await;
    }
    results.finish()
}

/// All groups of tests, in the order in which [`check`] runs them.
#[must_use]
pub fn groups() -> &'static [Group] {
    GROUPS
}

/// The group of tests with this name.
#[must_use]
pub fn group(name: &str) -> Option<&'static Group> {
    groups().iter().find(|group| group.name == name)
}

/// Tests of one part of an engine.
#[derive(Debug)]
pub struct Group {
    name: &'static str,
    tests: &'static [Test<Run>],
    pair_tests: &'static [Test<Pair>],
}

const GROUPS: &[Group] = &[
    Group {
        name: "topics",
        tests: topics::TESTS,
        pair_tests: nodes::topics::TOPICS,
    },
    Group {
        name: "patterns",
        tests: patterns::TESTS,
        pair_tests: nodes::topics::PATTERNS,
    },
    Group {
        name: "users",
        tests: users::TESTS,
        pair_tests: nodes::topics::USERS,
    },
    Group {
        name: "gaps",
        tests: gaps::TESTS,
        pair_tests: &[],
    },
    Group {
        name: "retained",
        tests: retained::TESTS,
        pair_tests: nodes::topics::RETAINED,
    },
    Group {
        name: "expiry",
        tests: expiry::TESTS,
        pair_tests: nodes::settings::EXPIRY,
    },
    Group {
        name: "queues",
        tests: queues::TESTS,
        pair_tests: nodes::queues::QUEUES,
    },
    Group {
        name: "redelivery",
        tests: redelivery::TESTS,
        pair_tests: nodes::queues::REDELIVERY,
    },
    Group {
        name: "dead letters",
        tests: dead_letters::TESTS,
        pair_tests: nodes::settings::DEAD_LETTERS,
    },
    Group {
        name: "queue bounds",
        tests: queue_bounds::TESTS,
        pair_tests: nodes::settings::QUEUE_BOUNDS,
    },
    Group {
        name: "temporary queues",
        tests: temporary_queues::TESTS,
        pair_tests: nodes::queues::TEMPORARY_QUEUES,
    },
    Group {
        name: "exclusive consumers",
        tests: exclusive::EXCLUSIVE,
        pair_tests: nodes::queues::EXCLUSIVE,
    },
    Group {
        name: "auto-delete",
        tests: exclusive::AUTO_DELETE,
        pair_tests: nodes::queues::AUTO_DELETE,
    },
    Group {
        name: "transactions",
        tests: transactions::TESTS,
        pair_tests: nodes::settings::TRANSACTIONS,
    },
    Group {
        name: "administration",
        tests: administration::TESTS,
        pair_tests: nodes::settings::ADMINISTRATION,
    },
    Group {
        name: "statistics",
        tests: statistics::TESTS,
        pair_tests: &[],
    },
    Group {
        name: "observation",
        tests: observation::TESTS,
        pair_tests: &[],
    },
    Group {
        name: "refusals",
        tests: refusals::TESTS,
        pair_tests: &[],
    },
    // The last, since the function may build clones of one engine.
    Group {
        name: "shutdown",
        tests: shutdown::TESTS,
        pair_tests: nodes::queues::SHUTDOWN,
    },
];

impl Group {
    /// The name, such as `queues`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The names of the tests of one engine.
    pub fn tests(&self) -> impl Iterator<Item = &'static str> {
        self.tests.iter().map(|test| test.name)
    }

    /// The names of the tests of two nodes.
    pub fn pair_tests(&self) -> impl Iterator<Item = &'static str> {
        self.pair_tests.iter().map(|test| test.name)
    }

    /// Runs the tests of the group, like [`check`].
    ///
    /// # Errors
    ///
    /// All tests that failed.
    pub async fn check<E, F>(&self, build: impl Fn() -> F) -> Result<Report, ConformanceError>
    where
        E: Engine,
        F: Future<Output = Result<E, BoxError>>,
    {
        let mut results = Results::default();
        self.run(&build, &mut results).await;
        results.finish()
    }

    /// Runs the tests of the group with two nodes, like [`check_pair`].
    ///
    /// # Errors
    ///
    /// All tests that failed.
    pub async fn check_pair<E, F>(&self, build: impl Fn() -> F) -> Result<Report, ConformanceError>
    where
        E: Engine,
        F: Future<Output = Result<(E, E), BoxError>>,
    {
        let mut results = Results::default();
        self.run_pair(&build, &mut results).await;
        results.finish()
    }

    async fn run<E, F>(&self, build: &impl Fn() -> F, results: &mut Results)
    where
        E: Engine,
        F: Future<Output = Result<E, BoxError>>,
    {
        for test in self.tests {
            let run = build()
                .await
                .map(|engine| Run::new(Arc::new(engine), next_number()));
            results.add(self.name, test.name, test.run(run, Run::capabilities).await);
        }
    }

    async fn run_pair<E, F>(&self, build: &impl Fn() -> F, results: &mut Results)
    where
        E: Engine,
        F: Future<Output = Result<(E, E), BoxError>>,
    {
        for test in self.pair_tests {
            let pair = build()
                .await
                .map(|(one, two)| Pair::new(Arc::new(one), Arc::new(two)));
            let result = test.run(pair, Pair::capabilities).await;
            results.add(self.name, test.name, result);
        }
    }
}
