//! Random numbers that can be repeated.

pub use fastrand::Rng;

/// A random generator that starts from `seed`, or from the environment variable `TEST_SEED` if it is set.
///
/// The seed is printed to standard error. The test harness shows it only if the test fails.
#[must_use]
pub fn seeded(seed: u64) -> Rng {
    let seed = match std::env::var("TEST_SEED") {
        Ok(text) => text.parse().expect("TEST_SEED is a whole number"),
        Err(_) => seed,
    };
    eprintln!("random seed {seed}; set TEST_SEED={seed} to repeat this run");
    Rng::with_seed(seed)
}
