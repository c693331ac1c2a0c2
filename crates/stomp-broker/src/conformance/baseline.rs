//! Compares the statistics of an engine with those at the beginning of a test.

use super::{
    run::Run,
    test::{Outcome, ensure, ensure_equal},
};
use crate::{Address, Statistics};
use std::time::Duration;
use stomp_session::BoxError;

/// The counts of an engine when a test began.
pub(super) struct Baseline {
    run: Run,
    before: Statistics,
}

/// The counts of messages that a test causes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) expired: u64,
    pub(super) dropped: u64,
}

impl Baseline {
    /// Reads the counts of an engine. `None` if it counts nothing, which is the default.
    pub(super) async fn read(run: &Run) -> Result<Option<Baseline>, BoxError> {
        let topic = run.topic("probe");
        let _subscriber = run.subscribe(&topic).await?;
        let unknown = run.statistics().await?;
        run.publish(&topic, "1").await?;
        let counted = Counts {
            published: 1,
            delivered: 1,
            ..Counts::default()
        };
        let baseline = Baseline {
            run: run.clone(),
            before: unknown,
        };
        let before = baseline.run.statistics().await?;
        if before.published == 0 && before.destinations.is_empty() {
            let is_empty = Counts::between(&Statistics::default(), &before) == Counts::default();
            ensure(is_empty && before.temporary_queues == 0, || {
                format!("the statistics are empty only in part: {before:?}")
            })?;
            return Ok(None);
        }
        baseline.expect(counted).await?;
        let before = run.statistics().await?;
        Ok(Some(Baseline { before, ..baseline }))
    }

    /// Waits until the engine has counted this since the baseline, and nothing more.
    pub(super) async fn expect(&self, expected: Counts) -> Outcome {
        eventually(&self.run, |now| {
            let found = Counts::between(&self.before, now);
            ensure_equal("the counts", &found, &expected)
        })
        .await
    }

    /// Waits until a destination has these subscribers and counts of messages.
    pub(super) async fn expect_destination(
        &self,
        destination: &Address,
        subscribers: usize,
        published: u64,
        [waiting, unacknowledged]: [usize; 2],
    ) -> Outcome {
        eventually(&self.run, |now| {
            let found = now
                .destinations
                .iter()
                .find(|it| it.destination == *destination);
            let found = found.ok_or_else(|| format!("{destination} is missing: {now:?}"))?;
            let is_equal = found.subscribers == subscribers
                && found.published == published
                && [found.waiting, found.unacknowledged] == [waiting, unacknowledged];
            ensure(is_equal, || {
                format!(
                    "expected {subscribers} subscribers, {published} published, {waiting} waiting and {unacknowledged} \
                     unacknowledged messages, but got {found:?}"
                )
            })
        })
        .await
    }

    /// Waits until a destination is not in the statistics.
    pub(super) async fn expect_no_destination(&self, destination: &Address) -> Outcome {
        eventually(&self.run, |now| {
            let mut known = now.destinations.iter();
            ensure(known.all(|it| it.destination != *destination), || {
                format!("{destination} has no subscribers, but is in the statistics")
            })
        })
        .await
    }

    /// Waits until there are so many more temporary queues than at the baseline.
    pub(super) async fn expect_temporary_queues(&self, count: usize) -> Outcome {
        eventually(&self.run, |now| {
            let expected = self.before.temporary_queues + count;
            ensure_equal("temporary queues", now.temporary_queues, expected)
        })
        .await
    }
}

impl Counts {
    fn between(before: &Statistics, now: &Statistics) -> Counts {
        Counts {
            published: now.published.wrapping_sub(before.published),
            delivered: now.delivered.wrapping_sub(before.delivered),
            dead_lettered: now.dead_lettered.wrapping_sub(before.dead_lettered),
            expired: now.expired.wrapping_sub(before.expired),
            dropped: now.dropped.wrapping_sub(before.dropped),
        }
    }
}

/// Waits until a check of the statistics succeeds: an engine may count a little later.
async fn eventually(run: &Run, check: impl Fn(&Statistics) -> Outcome) -> Outcome {
    for _ in 0..20 {
        if check(&run.statistics().await?).is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    check(&run.statistics().await?)
}
