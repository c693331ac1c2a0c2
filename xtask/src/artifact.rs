//! Builds programs of this workspace for release.

use crate::{Result, shell};
use serde_json::Value;
use std::{path::PathBuf, process::Stdio};

/// Builds a package's program for release and returns its path, wherever cargo's target directory is.
pub(crate) fn build(package: &str) -> Result<PathBuf> {
    let mut build = shell::cargo(&["build", "--release", "-p", package]);
    println!("\n$ {}", shell::line(&build));
    build.arg("--message-format=json-render-diagnostics");
    let messages = shell::output(build.stdin(Stdio::null()))?;
    executable(&messages, package).ok_or_else(|| format!("{package} builds no program"))
}

/// Finds the program `name` in cargo's messages, which are one JSON object per line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(name))
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_libraries_and_other_programs() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"chat"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"other"},"executable":"t/other"}
            {"reason":"compiler-artifact","target":{"name":"chat"},"executable":"t/chat"}
            {"reason":"build-finished","success":true}
        "#;
        assert_eq!(executable(messages, "chat"), Some("t/chat".into()));
        assert_eq!(executable(messages, "broker"), None);
    }
}
