//! Runs other programs in the workspace's root, and prints their command lines.

use crate::Result;
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// The root of the workspace. Programs run in this directory by default.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A command that runs `program` with `arguments` in the workspace's root.
pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// A command that runs the same cargo that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(
        env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        arguments,
    )
}

/// Prints the command line and runs the command. Returns an error unless the command succeeds.
pub(crate) fn run(command: &mut Command) -> Result {
    let line = line(command);
    println!("\n$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed: {status}")),
        Err(error) => Err(format!("`{line}` did not start: {error}")),
    }
}

/// Runs the command until it succeeds, up to three times. This is for commands that use the network, which may recover.
pub(crate) fn run_with_retries(command: &mut Command) -> Result {
    const PAUSE: Duration = Duration::from_secs(5);
    for _ in 1..3 {
        match run(command) {
            Ok(()) => return Ok(()),
            Err(reason) => println!("{reason}; retrying in {} s", PAUSE.as_secs()),
        }
        thread::sleep(PAUSE);
    }
    run(command)
}

/// Runs the command without printing its line, and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{line}` did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("`{line}`: {error}"))
}

/// Finds the first of `names` that is a program on PATH.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    find_below(env::split_paths(&path).collect(), names)
}

/// Finds the program of a server. It may be in a directory that only root has on PATH.
pub(crate) fn find_daemon(name: &str) -> Option<PathBuf> {
    find(&[name])
        .or_else(|| find_below(vec!["/usr/sbin".into(), "/usr/local/sbin".into()], &[name]))
}

fn find_below(directories: Vec<PathBuf>, names: &[&str]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |dir| dir.join(name)))
        .map(|file| file.with_extension(env::consts::EXE_EXTENSION))
        .find(|file| file.is_file())
}

/// The command line as a user would type it in the workspace's root.
pub(crate) fn line(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), quoted(value)));
    let program = Path::new(command.get_program());
    let program = match program.file_stem() {
        Some(name) if name == "cargo" => "cargo".into(),
        _ => quoted(program.strip_prefix(root()).unwrap_or(program).as_os_str()),
    };
    let arguments = command.get_args().map(quoted);
    let words: Vec<String> = variables.chain([program]).chain(arguments).collect();
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_printed_as_a_user_would_type_it() {
        let mut doc = cargo(&["doc", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line(&doc), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_program_of_the_workspace_is_named_relative_to_the_root() {
        let chat = command(root().join("target/release/chat"), &["--listen"]);
        assert_eq!(line(&chat), "target/release/chat --listen");
    }
}
