//! Random sequences of what clients and applications do, held against a reference that is as plain as can be.
//!
//! After each step, what the client was sent, what the application was asked, and what became of deliveries and of
//! staged effects must be what the reference says; at the end of each sequence nothing may be left.
//! `WEBSTOMP_MODEL_SEED` makes other sequences; `WEBSTOMP_MODEL_SEQUENCES` says how many.

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
use tokio::runtime;

#[test]
fn random_sequences_go_as_the_model_says() {
    let setting =
        |name, default| env::var(name).map_or(default, |value| value.parse().expect("a number"));
    let (seed, sequences) = (
        setting("WEBSTOMP_MODEL_SEED", 1),
        setting("WEBSTOMP_MODEL_SEQUENCES", 10_000),
    );
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // Time stands still; connections are polled by hand.
    let _guard = runtime.enter();
    let mut seen = BTreeMap::new();
    for number in 0..sequences {
        let mut sequence = Sequence::new(Random((seed << 32) | number));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| sequence.go())) {
            eprintln!(
                "sequence {number} of seed {seed}:\n{}",
                sequence.steps.join("\n")
            );
            resume_unwind(panic);
        }
        for what in sequence.seen {
            *seen.entry(what).or_insert(0) += 1;
        }
    }
    if sequences >= 10_000 {
        for what in INTERESTING {
            let count = seen.get(what).copied().unwrap_or_default();
            assert!(count >= 50, "only {count} times: {what}; {seen:#?}");
        }
    }
}

/// What has to happen often, for all of this to prove anything.
const INTERESTING: [&str; 37] = [
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
    "a commit of many",
    "a frame waits",
    "a staged one is unsettled",
    "a stream ends",
    "an ended stream waits to be acknowledged",
    "an ACK overtakes",
    "a stream rests",
    "a subscription is refused",
    "a transaction is open at the end",
    "already-settled",
    "an ACK comes after its subscription",
    "an ACK comes too late",
    "an ACK leaves out what is staged",
    "an abort",
    "an error closes",
    "an error leaves open",
    "duplicate-subscription",
    "duplicate-transaction",
    "one ACK is for many",
    "the client is cut",
    "the connection is dropped",
    "unknown-delivery",
    "unknown-subscription",
    "unknown-transaction",
    "unsent",
    "unsettled",
    "what the server ended is unsubscribed from",
];

/// Numbers that look random: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Whether one of so many.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() {
            None
        } else {
            Some(from[self.below(from.len())].clone())
        }
    }
}
