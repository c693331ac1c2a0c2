//! Dependencies between the workspace's crates, and packages that the codec may not depend on.

use super::Violation;
use crate::{Result, shell, workspace::Package};

/// Each crate, with the crates of this workspace that it may depend on. Development dependencies are not restricted.
const EDGES: &[(&str, &[&str])] = &[
    ("stomp-frame", &[]),
    ("stomp-socket", &["stomp-frame"]),
    ("stomp-server", &["stomp-socket"]),
    ("stomp-session", &["stomp-frame", "stomp-socket"]),
    ("stomp-testing", &["stomp-frame"]),
    ("stomp-router", &["stomp-frame", "stomp-session"]),
    ("stomp-broker", &["stomp-frame", "stomp-session"]),
    (
        "webstomp",
        &[
            "stomp-frame",
            "stomp-socket",
            "stomp-server",
            "stomp-session",
            "stomp-router",
            "stomp-broker",
        ],
    ),
];

const CODEC: &str = "stomp-frame";

/// Prefixes of the names of packages that the codec may not depend on, directly or indirectly, under any feature.
const ASYNCHRONOUS: &[&str] = &["tokio", "futures", "async-"];

/// Reports normal dependencies between crates of the workspace that the table does not allow.
pub(crate) fn check(packages: &[Package]) -> Vec<Violation> {
    let is_member = |name: &str| packages.iter().any(|package| package.name == name);
    let mut violations = Vec::new();
    for package in packages.iter().filter(|package| package.is_crate()) {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            violations.push(violation(
                package,
                "name",
                "the crate has no row in the table of tidy/edges.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            if is_member(dependency) && !allowed.contains(&dependency.as_str()) {
                let rule = format!("{} may not depend on {dependency}", package.name);
                violations.push(violation(package, dependency, &rule));
            }
        }
    }
    violations
}

/// Reports asynchronous packages among the direct and indirect dependencies of the codec.
pub(crate) fn check_codec(packages: &[Package]) -> Result<Vec<Violation>> {
    let Some(codec) = packages.iter().find(|package| package.name == CODEC) else {
        return Ok(Vec::new());
    };
    let arguments = [
        "tree",
        "-p",
        CODEC,
        "-e",
        "normal",
        "--prefix",
        "none",
        "--all-features",
    ];
    let tree = shell::output(&mut shell::cargo(&arguments))?;
    let found = asynchronous(&tree).into_iter();
    Ok(found
        .map(|name| {
            violation(
                codec,
                name,
                &format!("{CODEC} may not depend on {name}, not even indirectly"),
            )
        })
        .collect())
}

fn asynchronous(tree: &str) -> Vec<&str> {
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| ASYNCHRONOUS.iter().any(|start| name.starts_with(start)))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn violation(package: &Package, word: &str, rule: &str) -> Violation {
    Violation {
        path: package.manifest_path.clone(),
        line: package.line_of(word),
        rule: rule.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            manifest_path: format!("crates/{name}/Cargo.toml"),
            manifest: format!("[dependencies]\n{}\n", dependencies.join("\n")),
            dependencies: dependencies.iter().map(ToString::to_string).collect(),
            ..Package::default()
        }
    }

    #[test]
    fn only_dependencies_in_the_table_are_allowed() {
        let packages = [
            package("stomp-socket", &["bytes", "stomp-frame"]),
            package("stomp-frame", &["bytes", "stomp-socket"]),
        ];
        let [violation] = check(&packages).try_into().expect("one violation");
        assert_eq!(
            violation.to_string(),
            "crates/stomp-frame/Cargo.toml:3: stomp-frame may not depend on stomp-socket"
        );
    }

    #[test]
    fn a_crate_that_is_missing_in_the_table_is_reported() {
        assert_eq!(check(&[package("stomp-moon", &[])]).len(), 1);
    }

    #[test]
    fn each_asynchronous_package_is_found_once() {
        let tree = "bytes v1.11.1\ntokio v1.50.0\nfutures-core v0.3.34\ntokio v1.50.0 (*)\n";
        assert_eq!(asynchronous(tree), ["futures-core", "tokio"]);
    }
}
