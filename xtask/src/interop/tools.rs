//! The tools that the suites need on this machine.

use super::{proxy::PROXIES, rabbitmq};
use crate::{Missing, Result, shell};
use std::{ffi::OsStr, path::PathBuf, process::Stdio};

/// The oldest major version of Node that the clients run on.
const NODE: u32 = 20;

const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// The directory whose `package-lock.json` lists the clients' packages.
const CLIENTS: &str = "xtask/interop";

/// The directory of the Python virtual environment that contains stomp.py.
const VENV: &str = "xtask/interop/.venv";
/// The file that lists the Python packages for this environment, with their hashes.
const REQUIREMENTS: &str = "xtask/interop/broker/requirements.txt";

/// A client that is one of Debian's packages.
struct Packaged {
    client: &'static str,
    packages: &'static [&'static str],
    /// A command that succeeds if the client is installed.
    test: &'static [&'static str],
}

const PACKAGED: &[Packaged] = &[
    Packaged {
        client: "PHP's extension stomp",
        packages: &["php-cli", "php-stomp"],
        test: &["php", "-r", "exit(extension_loaded('stomp') ? 0 : 1);"],
    },
    Packaged {
        client: "Ruby's gem stomp",
        packages: &["ruby", "ruby-stomp"],
        test: &["ruby", "-e", "require 'stomp'"],
    },
    Packaged {
        client: "Perl's Net::Stomp",
        packages: &["libnet-stomp-perl"],
        test: &["perl", "-MNet::Stomp", "-e", "1"],
    },
];

/// Paths of the tools. Node and npm are started by their names.
pub(crate) struct Tools {
    pub(crate) chromium: PathBuf,
    /// The programs of the proxies, in the order of [`PROXIES`].
    pub(crate) proxies: Vec<PathBuf>,
    pub(crate) rabbitmq: rabbitmq::Programs,
}

/// Finds the tools. If some are missing, returns an error that lists them and tells how to install them.
pub(crate) fn find(missing: Missing) -> Result<Tools> {
    if missing == Missing::Installed {
        install()?;
    }
    let mut lacking = Vec::new();
    if let Err(found) = node() {
        let how = "from https://nodejs.org, or the system's package nodejs";
        lacking.push(format!("node {NODE} or newer ({found}): {how}"));
    }
    if shell::find(&["npm"]).is_none() {
        lacking.push("npm: from https://nodejs.org, or the system's package npm".to_owned());
    }
    let chromium = shell::find(CHROMIUM);
    if chromium.is_none() {
        lacking.push("chromium: the system's package chromium".to_owned());
    }
    // This also fails if the packages are those of an older lock file.
    if !succeeds("npm", &["ls", "--prefix", CLIENTS]) {
        lacking.push(format!("the clients' packages: `npm ci` in {CLIENTS}"));
    }
    let proxies: Vec<PathBuf> = PROXIES
        .iter()
        .filter_map(|proxy| shell::find_daemon(proxy.name))
        .collect();
    if proxies.len() < PROXIES.len() {
        lacking.push("nginx, haproxy and caddy: the system's packages with these names".to_owned());
    }
    let rabbitmq = rabbitmq::Programs::find();
    if rabbitmq.is_none() {
        lacking.push("RabbitMQ: the system's package rabbitmq-server".to_owned());
    }
    if !imports(python(), "stomp") {
        lacking.push(format!(
            "stomp.py: a virtual environment in {VENV} with the packages of {REQUIREMENTS}"
        ));
    }
    for client in PACKAGED.iter().filter(|client| !client.is_installed()) {
        lacking.push(format!(
            "{}: Debian's packages {}",
            client.client,
            client.packages.join(" and ")
        ));
    }
    match (chromium, rabbitmq) {
        (Some(chromium), Some(rabbitmq)) if lacking.is_empty() => Ok(Tools {
            chromium,
            proxies,
            rabbitmq,
        }),
        _ => Err(format!(
            "tools are missing:\n  {}\n`cargo xtask interop --install` installs them on Debian, as root.",
            lacking.join("\n  ")
        )),
    }
}

/// Installs the missing programs with apt-get, and the clients with npm and pip.
fn install() -> Result {
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
    packages.extend(
        PACKAGED
            .iter()
            .filter(|client| !client.is_installed())
            .flat_map(|client| client.packages),
    );
    // In Debian, the module that creates virtual environments is a separate package.
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
    shell::run_with_retries(npm.current_dir(shell::root().join(CLIENTS)))?;
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
    shell::run_with_retries(&mut pip)
}

fn install_by_apt(packages: &[&str]) -> Result {
    if shell::find(&["apt-get"]).is_none() || !is_root() {
        return Err(format!(
            "--install installs programs only on Debian and as root; install {} yourself",
            packages.join(", ")
        ));
    }
    shell::run_with_retries(&mut shell::command("apt-get", &["update"]))?;
    let mut apt = shell::command("apt-get", &["install", "-y", "--no-install-recommends"]);
    apt.args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    shell::run_with_retries(&mut apt)
}

fn is_root() -> bool {
    shell::output(&mut shell::command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// Checks that Node is installed and new enough. The error is the version that was found, or "not found".
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

/// Returns the major version: 20 for `v20.1.0`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Returns true if the program `python` exists and can import `module`.
fn imports(python: impl AsRef<OsStr>, module: &str) -> bool {
    succeeds(python, &["-c", &format!("import {module}")])
}

/// Returns true if the program exists and succeeds. Its output is not printed.
fn succeeds(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = shell::command(program, arguments);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Packaged {
    fn is_installed(&self) -> bool {
        self.test
            .split_first()
            .is_some_and(|(program, arguments)| succeeds(program, arguments))
    }
}

/// The path of Python in the virtual environment.
fn python() -> PathBuf {
    shell::root().join(VENV).join("bin/python")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_number_before_the_first_dot() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("unknown"), None);
    }
}
