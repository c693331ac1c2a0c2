//! `cargo xtask soak`: long runs under load, with the program `webstomp-soak` and with tests that use larger numbers.

use crate::{Result, artifact, shell};

/// Packages, each with a test that runs longer with `SOAK=1` in the environment.
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

/// Executes the tests and the runs of the program that `arguments` name. Without arguments, executes all of them.
pub(crate) fn run(arguments: &[&str]) -> Result {
    let is_test = |name: &&str| TESTS.iter().any(|(_, test)| test == name);
    let (tests, others): (Vec<&str>, Vec<&str>) = arguments.iter().copied().partition(is_test);
    if tests.is_empty() || !others.is_empty() {
        let program = artifact::build("webstomp-soak")?;
        shell::run(&mut shell::command(program, &others))?;
    }
    for (package, test) in TESTS {
        match arguments {
            ["--list"] => println!("{test:12} test of {package} with larger numbers"),
            _ if arguments.is_empty() || tests.contains(&test) => run_test(package, test)?,
            _ => {}
        }
    }
    Ok(())
}

fn run_test(package: &str, test: &str) -> Result {
    let mut cargo = shell::cargo(&["test", "--release", "-p", package, "--test", test]);
    cargo.args(["--", "--nocapture"]).env("SOAK", "1");
    shell::run(&mut cargo)
}
