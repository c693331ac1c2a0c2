//! `cargo xtask bench`: builds the benchmark for release and runs it.

use crate::{Result, artifact, shell};

/// Runs the program of `webstomp-bench`, which reads `arguments` itself.
pub(crate) fn run(arguments: &[&str]) -> Result {
    let program = artifact::build("webstomp-bench")?;
    shell::run(&mut shell::command(program, arguments))
}
