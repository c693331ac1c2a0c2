//! Random sequences of steps of a client and an application, compared with a simple reference model.
//!
//! After each step, the frames that the client received, the requests that the application received, and the events of
//! deliveries and staged effects must be those of the reference. At the end of each sequence nothing may be left.
//!
//! The environment variable `TEST_SEED` selects other sequences, and `TEST_SEQUENCES` their number.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

#[path = "model/frames.rs"]
mod frames;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/sequence.rs"]
mod sequence;
#[path = "model/server.rs"]
mod server;
#[path = "model/subscriptions.rs"]
mod subscriptions;
#[path = "model/transactions.rs"]
mod transactions;

use sequence::Sequence;
use std::{
    collections::BTreeMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};
use stomp_testing::{Rng, seed};
use tokio::runtime;

#[test]
fn random_sequences_behave_like_the_model() {
    let seed = seed(1);
    let sequences = env::var("TEST_SEQUENCES").map_or(10_000, |count| {
        count.parse().expect("TEST_SEQUENCES is a whole number")
    });
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // The clock stands still, and the test polls the connections by hand.
    let _guard = runtime.enter();
    let mut events = BTreeMap::new();
    for number in 0..sequences {
        let mut sequence = Sequence::new(Rng::with_seed((seed << 32) | number));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| sequence.run())) {
            eprintln!(
                "sequence {number} of seed {seed}:\n{}",
                sequence.steps.join("\n")
            );
            resume_unwind(panic);
        }
        for event in sequence.events {
            *events.entry(event).or_insert(0) += 1;
        }
    }
    if sequences >= 10_000 {
        for event in REQUIRED_EVENTS {
            let count = events.get(event).copied().unwrap_or_default();
            assert!(
                count >= 50,
                "{event:?} happened only {count} times: {events:#?}"
            );
        }
    }
}

/// Events that must happen often, or the sequences prove nothing.
const REQUIRED_EVENTS: [&str; 41] = [
    "1.0",
    "1.1",
    "1.2",
    "Closed",
    "Error",
    "Fault",
    "Requested",
    "Server",
    "a commit",
    "a commit is refused",
    "a commit of several steps",
    "a frame waits in the inbox",
    "a message is delivered again",
    "a staged delivery loses its subscription",
    "a delivery without a subscription returns",
    "deliveries wait for the last frames",
    "a stream ends",
    "an ended stream waits for acknowledgements",
    "an ACK overtakes frames",
    "a stream waits for credit",
    "a subscription is refused",
    "a transaction is open at the end",
    "already-settled",
    "an ACK arrives after its subscription ended",
    "an ACK names a settled delivery",
    "an ACK leaves out staged deliveries",
    "an abort",
    "an error closes the session",
    "an error leaves the session open",
    "duplicate-subscription",
    "duplicate-transaction",
    "an ACK settles several deliveries",
    "the client drops the connection",
    "the server drops the connection",
    "unknown-delivery",
    "unknown-subscription",
    "unknown-transaction",
    "a delivery is unsent",
    "a delivery is abandoned",
    "a client ends before its frames are handled",
    "a client unsubscribes from an ended subscription",
];

/// Random choices.
pub(crate) trait Choose {
    /// Returns true once in `count` times on average.
    fn one_in(&mut self, count: usize) -> bool;

    /// Returns a random element of `from`, or `None` if it is empty.
    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T>;
}

impl Choose for Rng {
    fn one_in(&mut self, count: usize) -> bool {
        self.usize(..count) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        self.choice(from).cloned()
    }
}
