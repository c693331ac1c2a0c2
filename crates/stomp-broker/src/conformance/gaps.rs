//! Subscribers of topics that are too slow.

use super::{
    receiver::body,
    run::Run,
    test::{Outcome, Test, ensure},
};
use stomp_session::{BoxError, Delivery, Gap};

pub(super) const TESTS: &[Test<Run>] = tests! {
    "no message is lost silently, and a slow subscriber delays no other", |_| true => slow_subscriber;
};

/// More messages than an engine keeps for a slow subscriber by default.
const MESSAGES: u64 = 2_000;

async fn slow_subscriber(run: Run) -> Outcome {
    let topic = run.topic("a");
    let mut slow = run.subscribe(&topic).await?;
    let mut fast = run.subscribe(&topic).await?;
    let mut fast_numbers = Numbers::default();
    for number in 0..MESSAGES {
        run.publish(&topic, &number.to_string()).await?;
        fast_numbers.add(&fast.next().await?)?;
    }
    ensure(!fast_numbers.has_gap, || {
        "a subscriber that reads all messages at once has a gap".to_owned()
    })?;
    let mut slow_numbers = Numbers::default();
    let mut has_failed = false;
    for item in slow.drain().await {
        match item {
            Ok(delivery) => slow_numbers.add(&delivery)?,
            Err(_) => has_failed = true,
        }
    }
    // The next message tells of what is missing at the end.
    run.publish(&topic, &MESSAGES.to_string()).await?;
    fast_numbers.add(&fast.next().await?)?;
    if !has_failed {
        match slow.next().await {
            Ok(delivery) => slow_numbers.add(&delivery)?,
            Err(error) if slow_numbers.next <= MESSAGES => {
                return Err(format!("messages are missing, and then {error}").into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The numbers of the messages that a subscription got.
#[derive(Default)]
struct Numbers {
    /// The number of the next message, if none is missing.
    next: u64,
    has_gap: bool,
}

impl Numbers {
    /// Checks that all messages before this one have arrived, or are counted in its gap.
    fn add(&mut self, delivery: &Delivery) -> Result<(), BoxError> {
        let (number, gap) = (body(delivery).parse::<u64>()?, delivery.gap());
        let is_told = match gap {
            None => number == self.next,
            Some(Gap::Dropped(count)) => number == self.next + count,
            Some(_) => number >= self.next,
        };
        ensure(is_told, || {
            let next = self.next;
            format!("expected the message {next}, but got {number} with the gap {gap:?}")
        })?;
        self.next = number + 1;
        self.has_gap |= gap.is_some();
        Ok(())
    }
}
