//! `cargo xtask soak`: runs the program `webstomp-soak`, and some tests with larger numbers than usual.

use crate::{Result, artifact, shell};

/// Tests that run longer with `SOAK=1` in the environment: the package and the name of each.
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

/// Executes the named tests and the named runs of `webstomp-soak`. Without arguments, executes all of them.
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
