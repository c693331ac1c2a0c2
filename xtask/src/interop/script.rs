//! One script of `xtask/interop/`, run by Node within a time limit.

use crate::{Result, shell};
use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How long a script may run.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What a script learns about an application through its environment.
pub(crate) struct Environment {
    /// Begins the names of the server's variables: `CHAT` for `CHAT_URL` and `CHAT_BIN`.
    pub(crate) prefix: String,
    /// `http://ADDRESS` of the running server.
    pub(crate) url: String,
    /// The server's program, for scripts that start one of their own.
    pub(crate) program: PathBuf,
    pub(crate) chromium: PathBuf,
}

impl Environment {
    pub(crate) fn variables(&self) -> Vec<(String, OsString)> {
        vec![
            (format!("{}_URL", self.prefix), self.url.clone().into()),
            (format!("{}_BIN", self.prefix), self.program.clone().into()),
            ("CHROMIUM".to_owned(), self.chromium.clone().into()),
        ]
    }
}

/// Runs the script with these variables; it fails by its exit status or by running over time.
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

/// Waits for the script's end, and kills it at the time limit.
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
