//! `cargo xtask deny`: checks the licenses, bans and sources of all dependencies by the rules in `deny.toml`.

use crate::{Missing, Result, shell};
use std::process::Stdio;

/// The version of cargo-deny that is installed if there is none.
const CARGO_DENY: &str = "0.20.2";

/// Runs cargo-deny. Returns an error if a rule is broken.
pub(crate) fn run(missing: Missing) -> Result {
    if !is_installed() {
        let mut install = shell::cargo(&["install", "--locked", "--version", CARGO_DENY]);
        install.arg("cargo-deny");
        match missing {
            Missing::Reported => {
                return Err(format!(
                    "cargo-deny is missing; install it with `{}` or `cargo xtask deny --install`",
                    shell::line(&install)
                ));
            }
            Missing::Installed => shell::run_with_retries(&mut install)?,
        }
    }
    // Downloads the dependencies of all platforms, so that the check itself needs no network.
    shell::run_with_retries(&mut shell::cargo(&["fetch", "--locked"]))?;
    shell::run(&mut shell::cargo(&[
        "deny",
        "--offline",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn is_installed() -> bool {
    let mut probe = shell::cargo(&["deny", "--version"]);
    probe
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
