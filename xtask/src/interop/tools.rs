//! What foreign clients need on this machine: found, reported together, or installed.

use super::{proxy::PROXIES, rabbitmq};
use crate::{Result, shell};
use std::{ffi::OsStr, path::PathBuf, process::Stdio};

/// Node's oldest major version that the clients run on.
const NODE: u32 = 20;

const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Where stomp.py is installed, and what it is with.
const VENV: &str = "xtask/interop/.venv";
const REQUIREMENTS: &str = "xtask/interop/broker/requirements.txt";

/// The tools of which a script must know the place; `node` is found by its name.
pub(crate) struct Tools {
    pub(crate) chromium: PathBuf,
    /// In the order of [`PROXIES`].
    pub(crate) proxies: Vec<PathBuf>,
    pub(crate) rabbitmq: rabbitmq::Programs,
}

/// Finds the tools, or names all that is missing and how to get it.
pub(crate) fn find() -> Result<Tools> {
    let mut missing = Vec::new();
    if let Err(found) = node() {
        let how = "https://nodejs.org, or your system's package nodejs";
        missing.push(format!("node {NODE} or newer ({found}): {how}"));
    }
    if shell::find(&["npm"]).is_none() {
        missing.push("npm: comes with Node, or as your system's package npm".to_owned());
    }
    let chromium = shell::find(CHROMIUM);
    if chromium.is_none() {
        missing.push("chromium: your system's package chromium".to_owned());
    }
    if !clients().join("node_modules/.package-lock.json").is_file() {
        missing.push("the clients' packages: `npm ci` in xtask/interop".to_owned());
    }
    let proxies: Vec<PathBuf> = PROXIES
        .iter()
        .filter_map(|proxy| shell::find_daemon(proxy.name))
        .collect();
    if proxies.len() < PROXIES.len() {
        missing.push("nginx and haproxy: your system's packages of these names".to_owned());
    }
    let rabbitmq = rabbitmq::Programs::find();
    if rabbitmq.is_none() {
        missing.push("RabbitMQ: your system's package rabbitmq-server".to_owned());
    }
    if !imports(python(), "stomp") {
        missing.push(format!(
            "stomp.py: a virtual environment in {VENV}, with what {REQUIREMENTS} says"
        ));
    }
    match (chromium, rabbitmq) {
        (Some(chromium), Some(rabbitmq)) if missing.is_empty() => Ok(Tools {
            chromium,
            proxies,
            rabbitmq,
        }),
        _ => Err(format!(
            "interop lacks\n  {}\n`cargo xtask interop --install` fetches all of it on Debian, as root.",
            missing.join("\n  ")
        )),
    }
}

/// Installs what is missing: programs by apt-get, the clients' packages by npm and pip.
pub(crate) fn install() -> Result {
    let mut packages = Vec::new();
    if node().is_err() || shell::find(&["npm"]).is_none() {
        packages.extend(["nodejs", "npm"]);
    }
    if shell::find(CHROMIUM).is_none() {
        packages.push("chromium");
    }
    packages.extend(
        PROXIES
            .iter()
            .map(|proxy| proxy.name)
            .filter(|name| shell::find_daemon(name).is_none()),
    );
    if rabbitmq::Programs::find().is_none() {
        packages.push("rabbitmq-server");
    }
    // Debian has what makes virtual environments in a package of its own.
    if !imports("python3", "ensurepip") {
        packages.push("python3-venv");
    }
    if !packages.is_empty() {
        install_by_apt(&packages)?;
    }
    let mut npm = shell::command(
        "npm",
        &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    );
    shell::run_persistently(npm.current_dir(clients()))?;
    install_by_pip()
}

fn install_by_pip() -> Result {
    shell::run(&mut shell::command("python3", &["-m", "venv", VENV]))?;
    let mut pip = shell::command(
        python(),
        &[
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--quiet",
        ],
    );
    pip.args([
        "--require-hashes",
        "--only-binary=:all:",
        "--no-deps",
        "-r",
        REQUIREMENTS,
    ]);
    shell::run_persistently(&mut pip)
}

fn install_by_apt(packages: &[&str]) -> Result {
    if shell::find(&["apt-get"]).is_none() || !is_root() {
        return Err(format!(
            "--install adds programs only on Debian and as root; install {} yourself",
            packages.join(", ")
        ));
    }
    shell::run_persistently(&mut shell::command("apt-get", &["update"]))?;
    let mut apt = shell::command("apt-get", &["install", "-y", "--no-install-recommends"]);
    apt.args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    shell::run_persistently(&mut apt)
}

fn is_root() -> bool {
    shell::output(&mut shell::command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// Ok if Node is new enough; else what was found instead.
fn node() -> Result {
    let Some(node) = shell::find(&["node"]) else {
        return Err("not found".to_owned());
    };
    let version = shell::output(&mut shell::command(node, &["--version"]))?;
    match major(&version) {
        Some(major) if major >= NODE => Ok(()),
        _ => Err(format!("found {}", version.trim())),
    }
}

/// `v20.1.0` is 20.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Whether there is this Python, with this module.
fn imports(python: impl AsRef<OsStr>, module: &str) -> bool {
    let mut import = shell::command(python, &["-c", &format!("import {module}")]);
    import
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The one of the virtual environment.
fn python() -> PathBuf {
    shell::root().join(VENV).join("bin/python")
}

fn clients() -> PathBuf {
    shell::root().join("xtask/interop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("unknown"), None);
    }
}
