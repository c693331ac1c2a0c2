//! Random numbers from a seed, so that a test run can be repeated.

pub use fastrand::Rng;

/// Creates a random generator that starts from [`seed(default)`](seed).
#[must_use]
pub fn seeded(default: u64) -> Rng {
    Rng::with_seed(seed(default))
}

/// The value of the environment variable `TEST_SEED`, or `default` if it is not set.
///
/// The seed is printed to standard error. The test harness shows it only if the test fails.
#[must_use]
pub fn seed(default: u64) -> u64 {
    let seed = match std::env::var("TEST_SEED") {
        Ok(text) => text.parse().expect("TEST_SEED is a whole number"),
        Err(_) => default,
    };
    eprintln!("random seed {seed}; set TEST_SEED={seed} to repeat this run");
    seed
}
