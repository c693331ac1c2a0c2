//! `cargo xtask test`: runs all checks that need only Rust, and stops at the first failure.

use crate::{Result, documentation, shell, tidy, workspace};
use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant, UNIX_EPOCH},
};

/// The reaction to warnings of clippy and rustdoc.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warnings {
    /// Print the warnings.
    Shown,
    /// Treat a warning as an error.
    Denied,
}

/// Runs the steps in order and prints their times. The first failure ends the run, and the error names the step.
pub(crate) fn run(warnings: Warnings) -> Result {
    component("fmt", "rustfmt")?;
    component("clippy", "clippy")?;
    let mut steps = Steps::default();
    steps.run("format", || {
        shell::run(&mut shell::cargo(&["fmt", "--all", "--", "--check"]))
    })?;
    steps.run("clippy", || {
        clippy(
            &["--workspace", "--all-targets", "--all-features"],
            warnings,
        )
    })?;
    steps.run("tidy", || {
        println!("\n$ cargo xtask tidy");
        tidy::run()
    })?;
    steps.run("features", || features(warnings))?;
    steps.run("tests", || {
        shell::run(&mut shell::cargo(&[
            "test",
            "--workspace",
            "--all-features",
        ]))
    })?;
    steps.run("packages", packages)?;
    steps.run("documentation", || documentation::build(warnings))?;
    steps.print();
    Ok(())
}

/// The steps that have passed, and their times.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result) -> Result {
        let start = Instant::now();
        step().map_err(|reason| format!("step `{name}` failed: {reason}"))?;
        self.0.push((name, start.elapsed()));
        Ok(())
    }

    fn print(&self) {
        println!("\nall steps passed:");
        for (name, time) in &self.0 {
            println!("{name:>16} {:>6.1} s", time.as_secs_f64());
        }
    }
}

/// Returns an error with instructions if the toolchain lacks the component `name`, which provides `cargo SUBCOMMAND`.
fn component(subcommand: &str, name: &str) -> Result {
    let mut probe = shell::cargo(&[subcommand, "--version"]);
    let found = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!(
            "{name} is missing; install it with `rustup component add {name}`"
        )),
    }
}

fn clippy(selection: &[&str], warnings: Warnings) -> Result {
    let mut clippy = shell::cargo(&["clippy"]);
    clippy.args(selection);
    if warnings == Warnings::Denied {
        clippy.args(["--", "-D", "warnings"]);
    }
    shell::run(&mut clippy)
}

/// Checks each published crate alone, without features and with each feature.
///
/// A build of the whole workspace would not find a feature that a crate forgets to enable in a dependency, if another
/// crate enables it.
fn features(warnings: Warnings) -> Result {
    for package in workspace::published()? {
        let name = package.name.as_str();
        clippy(&["-p", name, "--no-default-features"], warnings)?;
        for feature in &package.features {
            let features = ["--no-default-features", "--features", feature];
            clippy(&[&["-p", name], features.as_slice()].concat(), warnings)?;
        }
    }
    Ok(())
}

/// Packs each published crate, and compiles it from its package with the packages of the other crates.
fn packages() -> Result {
    /// Directory of these builds. No other step may find the packed crates.
    const TARGETS: &str = "target/packages";
    // Cargo expects that a packed crate never changes while its version is the same, and keeps what it has unpacked in its
    // home, by the path of the target directory. So each run has a directory of another name.
    let targets = shell::root().join(TARGETS);
    if targets.exists() {
        fs::remove_dir_all(&targets).map_err(|error| format!("{TARGETS}: {error}"))?;
    }
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let target = format!("{TARGETS}/{now}");
    // `--allow-dirty`, because a developer wants to test uncommitted changes. `--offline`, because earlier steps have
    // downloaded all dependencies.
    let options = [
        "package",
        "--offline",
        "--allow-dirty",
        "--target-dir",
        &target,
    ];
    let mut package: Command = shell::cargo(&options);
    for published in workspace::published()? {
        package.args(["-p", &published.name]);
    }
    shell::run(&mut package)
}
