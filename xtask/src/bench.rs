//! `cargo xtask bench`: builds the measuring program for release and runs it.

use crate::{Result, artifact, shell};

/// Runs the `bench` program with `arguments`; it judges them itself.
pub(crate) fn run(arguments: &[&str]) -> Result {
    let program = artifact::build("webstomp-bench")?;
    shell::run(&mut shell::command(program, arguments))
}
