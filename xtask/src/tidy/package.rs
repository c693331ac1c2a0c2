//! The workspace's packages, as cargo knows them.

use super::source;
use crate::{Result, shell};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One member of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// The manifest's path from the workspace's root.
    pub(crate) manifest_path: String,
    pub(crate) manifest: String,
    /// The normal dependencies: those of the library itself, not of its build or tests.
    pub(crate) dependencies: Vec<String>,
}

impl Package {
    /// Whether this is one of the crates under `crates/`, which have a place in the graph.
    pub(crate) fn is_crate(&self) -> bool {
        self.manifest_path.starts_with("crates/")
    }

    /// The manifest's line on which `dependency` is named, or the first.
    pub(crate) fn line_of(&self, dependency: &str) -> usize {
        let names = |line: &str| line.trim_start().starts_with(dependency);
        self.manifest.lines().position(names).map_or(1, |at| at + 1)
    }
}

/// All members of the workspace.
pub(crate) fn all() -> Result<Vec<Package>> {
    let mut metadata = shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata = shell::output(&mut metadata)?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    entries(&metadata, "packages").map(read).collect()
}

fn read(package: &Value) -> Result<Package> {
    let path = Path::new(text(package, "manifest_path"));
    Ok(Package {
        name: text(package, "name").to_owned(),
        directory: path.parent().unwrap_or(path).to_owned(),
        manifest_path: source::path_from_root(path),
        manifest: fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?,
        dependencies: normal_dependencies(package),
    })
}

fn normal_dependencies(package: &Value) -> Vec<String> {
    entries(package, "dependencies")
        .filter(|dependency| dependency.get("kind").is_none_or(Value::is_null))
        .map(|dependency| text(dependency, "name").to_owned())
        .collect()
}

fn entries<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_dependencies_count() {
        let package = serde_json::json!({"dependencies": [
            {"name": "bytes", "kind": null},
            {"name": "proptest", "kind": "dev"},
            {"name": "cc", "kind": "build"},
        ]});
        assert_eq!(normal_dependencies(&package), ["bytes"]);
    }
}
