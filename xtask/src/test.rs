//! `cargo xtask test`: everything that needs only Rust, up to the first failure.

use crate::{Result, shell, tidy};
use std::process::Stdio;

/// What a warning of clippy or rustdoc does to the run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warnings {
    /// It is printed.
    Shown,
    /// It fails its step.
    Denied,
}

/// Runs the steps in order; the first failure is named and ends the run.
pub(crate) fn run(warnings: Warnings) -> Result {
    component("fmt", "rustfmt")?;
    component("clippy", "clippy")?;
    step("format", || {
        shell::run(&mut shell::cargo(&["fmt", "--all", "--", "--check"]))
    })?;
    step("clippy", || clippy(warnings))?;
    step("tidy", || {
        println!("\n$ cargo xtask tidy");
        tidy::run()
    })?;
    step("tests", || {
        shell::run(&mut shell::cargo(&[
            "test",
            "--workspace",
            "--all-features",
        ]))
    })?;
    step("documentation", || documentation(warnings))?;
    println!("\nall steps passed");
    Ok(())
}

/// Fails with the remedy when the toolchain lacks the component behind a cargo subcommand.
fn component(subcommand: &str, name: &str) -> Result {
    let mut probe = shell::cargo(&[subcommand, "--version"]);
    let found = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!(
            "{name} is missing; get it with `rustup component add {name}`"
        )),
    }
}

fn step(name: &str, body: impl FnOnce() -> Result) -> Result {
    body().map_err(|reason| format!("step `{name}` failed: {reason}"))
}

fn clippy(warnings: Warnings) -> Result {
    let mut clippy = shell::cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]);
    if warnings == Warnings::Denied {
        clippy.args(["--", "-D", "warnings"]);
    }
    shell::run(&mut clippy)
}

fn documentation(warnings: Warnings) -> Result {
    let mut doc = shell::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    if warnings == Warnings::Denied {
        doc.env("RUSTDOCFLAGS", "-D warnings");
    }
    shell::run(&mut doc)
}
