//! `cargo xtask soak`: the long runs: a program of its own, and tests with numbers that are large.

use crate::{Result, artifact, shell};

/// Tests that do more with `SOAK=1` in the environment, and their packages.
const TESTS: [(&str, &str); 8] = [
    ("webstomp", "churn"),
    ("webstomp", "held"),
    ("webstomp", "hostile"),
    ("webstomp", "idle"),
    ("webstomp", "panics"),
    ("webstomp", "slow_reader"),
    ("stomp-broker", "bounds"),
    ("stomp-broker", "integrity"),
];

/// Runs what `arguments` name, or all: tests, and runs of the `soak` program, for release.
pub(crate) fn run(arguments: &[&str]) -> Result {
    let is_test = |name: &&str| TESTS.iter().any(|(_, test)| test == name);
    let (tests, others): (Vec<&str>, Vec<&str>) = arguments.iter().copied().partition(is_test);
    if tests.is_empty() || !others.is_empty() {
        let program = artifact::build("webstomp-soak")?;
        shell::run(&mut shell::command(program, &others))?;
    }
    for (package, test) in TESTS {
        match arguments {
            ["--list"] => println!("{test:12} a test of {package}, at length"),
            _ if arguments.is_empty() || tests.contains(&test) => run_test(package, test)?,
            _ => {}
        }
    }
    Ok(())
}

fn run_test(package: &str, test: &str) -> Result {
    let mut cargo = shell::cargo(&[
        "test",
        "--release",
        "-p",
        package,
        "--test",
        test,
        "--",
        "--nocapture",
    ]);
    shell::run(cargo.env("SOAK", "1"))
}
