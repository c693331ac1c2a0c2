//! `cargo xtask tidy`: the rules of the design that a compiler does not check.

mod edges;
mod package;
mod rules;
mod source;

use crate::Result;
use std::fmt;

/// One rule broken at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file, from the workspace's root, with `/` on every platform.
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

/// Prints every violation there is, and fails if there is one.
pub(crate) fn run() -> Result {
    let packages = package::all()?;
    let mut violations = edges::check(&packages);
    violations.extend(edges::check_codec(&packages)?);
    for package in &packages {
        violations.extend(rules::check_manifest(
            &package.manifest_path,
            &package.manifest,
        ));
        for source in source::below(&package.directory.join("src"))? {
            violations.extend(rules::check_source(&source.path, &source.text));
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
