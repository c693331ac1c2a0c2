//! `cargo xtask soak`: builds the program of the long runs for release and runs it.

use crate::{Result, artifact, shell};

/// Runs the `soak` program with `arguments`: the names of its runs, or none for all.
pub(crate) fn run(arguments: &[&str]) -> Result {
    let program = artifact::build("soak")?;
    shell::run(&mut shell::command(program, arguments))
}
