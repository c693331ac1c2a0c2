//! `cargo xtask bench` and `cargo xtask profile`: build the benchmark and the example broker for release, and run them.

use crate::{Result, artifact, shell};
use std::{path::Path, process::Command};

/// Measures works. The program of `webstomp-bench` reads `arguments` itself.
pub(crate) fn run(arguments: &[&str]) -> Result {
    start(arguments)
}

/// Counts instructions, allocations, system calls and wakes of one work.
pub(crate) fn profile(work: &str, arguments: &[&str]) -> Result {
    start(&[&["--profile", work], arguments].concat())
}

fn start(arguments: &[&str]) -> Result {
    let program = artifact::build("webstomp-bench")?;
    // The benchmark measures what users start, never a stand-in of its own.
    let broker = artifact::build("broker")?;
    let broker = broker.to_string_lossy();
    let arguments = [&["--broker", &broker], arguments].concat();
    shell::run(&mut with_many_files(&program, &arguments))
}

/// A command whose process may open as many files as the system allows, for thousands of connections.
fn with_many_files(program: &Path, arguments: &[&str]) -> Command {
    if cfg!(not(unix)) {
        return shell::command(program, arguments);
    }
    let script = "ulimit -n $(ulimit -Hn); exec \"$0\" \"$@\"";
    let mut command = shell::command("sh", &["-c", script]);
    command.arg(program).args(arguments);
    command
}
