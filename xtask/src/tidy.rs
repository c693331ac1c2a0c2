//! `cargo xtask tidy`: checks rules of the architecture that the compiler does not check.

mod circles;
mod edges;
mod modules;
mod paths;
mod prose;
mod rules;
mod source;

use crate::{Result, workspace};
use std::fmt;

/// A place in a file that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file's path from the workspace's root, with `/` on every platform.
    path: String,
    /// The line, from 1.
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { path, line, rule } = self;
        write!(f, "{path}:{line}: {rule}")
    }
}

/// Prints all violations, and returns an error if there are any.
pub(crate) fn run() -> Result {
    let packages = workspace::packages()?;
    let mut violations = edges::check(&packages);
    violations.extend(edges::check_codec(&packages)?);
    for package in &packages {
        violations.extend(rules::check_manifest(
            &package.manifest_path,
            &package.manifest,
        ));
        let sources = source::below(&package.directory.join("src"))?;
        violations.extend(modules::check(&sources));
        violations.extend(circles::check(&sources));
        for source in &sources {
            violations.extend(rules::check_source(&source.path, &source.text));
            violations.extend(prose::check(source));
        }
    }
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => Err(format!("tidy: {count} violations")),
    }
}
