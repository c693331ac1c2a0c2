//! Runs a script of `xtask/interop/` in Node, with a time limit.

use crate::{Result, shell};
use std::{
    ffi::OsString,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// Maximum time that a script may run. The scripts end themselves after a shorter time.
const TIME_LIMIT: Duration = Duration::from_secs(240);

/// Runs the script with these variables in its environment. Returns an error if the script fails or exceeds the time
/// limit.
pub(crate) fn run(name: &str, variables: &[(String, OsString)]) -> Result {
    let mut node = shell::command("node", &[&format!("xtask/interop/{name}")]);
    println!("\n$ {}", shell::line(&node));
    let mut script = node
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .spawn()
        .map_err(|error| format!("node did not start: {error}"))?;
    match finish(&mut script) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("{name} failed: {status}")),
        Ok(None) => Err(format!(
            "{name} was killed after {} s",
            TIME_LIMIT.as_secs()
        )),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Waits for the end of the script and returns its status. Kills the script at the time limit and returns `None`.
fn finish(script: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + TIME_LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = script.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(50));
    }
    script.kill()?;
    script.wait()?;
    Ok(None)
}
