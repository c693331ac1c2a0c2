//! The workspace's packages, as `cargo metadata` lists them.

use crate::{Result, shell};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A member of the workspace.
#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// The manifest's path from the workspace's root, with `/` on every platform.
    pub(crate) manifest_path: String,
    /// The manifest's text.
    pub(crate) manifest: String,
    /// Names of the dependencies, without build and development dependencies.
    pub(crate) dependencies: Vec<String>,
    /// Names of the features, without `default`.
    pub(crate) features: Vec<String>,
    /// True if the package may be published to a registry.
    pub(crate) is_published: bool,
}

impl Package {
    /// Returns true if the package is one of the crates in `crates/`, not an example or a task.
    pub(crate) fn is_crate(&self) -> bool {
        self.manifest_path.starts_with("crates/")
    }

    /// The number of the manifest's first line that starts with `dependency`, from 1. Returns 1 if there is no such
    /// line.
    pub(crate) fn line_of(&self, dependency: &str) -> usize {
        let names = |line: &str| line.trim_start().starts_with(dependency);
        self.manifest.lines().position(names).map_or(1, |at| at + 1)
    }
}

/// All members of the workspace.
pub(crate) fn packages() -> Result<Vec<Package>> {
    entries(&metadata()?, "packages").map(read).collect()
}

/// Cargo's target directory.
pub(crate) fn target_directory() -> Result<PathBuf> {
    Ok(text(&metadata()?, "target_directory").into())
}

/// The published packages. Each comes after the packages that it depends on.
pub(crate) fn published() -> Result<Vec<Package>> {
    let mut rest = packages()?;
    rest.retain(|package| package.is_published);
    Ok(in_dependency_order(rest))
}

/// Makes `path` relative to the workspace's root, with `/` on every platform.
pub(crate) fn path_from_root(path: &Path) -> String {
    let path = path.strip_prefix(shell::root()).unwrap_or(path);
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    names.join("/")
}

fn metadata() -> Result<Value> {
    let mut metadata = shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata = shell::output(&mut metadata)?;
    serde_json::from_str(&metadata).map_err(|error| error.to_string())
}

fn in_dependency_order(mut rest: Vec<Package>) -> Vec<Package> {
    let mut ordered = Vec::new();
    while !rest.is_empty() {
        let names: Vec<String> = rest.iter().map(|package| package.name.clone()).collect();
        let waits =
            |package: &Package| package.dependencies.iter().any(|name| names.contains(name));
        let (waiting, mut ready): (Vec<_>, Vec<_>) = rest.into_iter().partition(waits);
        // Cargo rejects cyclic dependencies, so one of the packages is always ready.
        if ready.is_empty() {
            ordered.extend(waiting);
            break;
        }
        ordered.append(&mut ready);
        rest = waiting;
    }
    ordered
}

fn read(package: &Value) -> Result<Package> {
    let path = Path::new(text(package, "manifest_path"));
    let features = package.get("features").and_then(Value::as_object);
    Ok(Package {
        name: text(package, "name").to_owned(),
        directory: path.parent().unwrap_or(path).to_owned(),
        manifest_path: path_from_root(path),
        manifest: fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?,
        dependencies: normal_dependencies(package),
        features: features
            .into_iter()
            .flat_map(|features| features.keys().cloned())
            .filter(|feature| feature != "default")
            .collect(),
        // `publish` is null if there is no restriction; otherwise it is the list of allowed registries.
        is_published: package.get("publish").is_none_or(Value::is_null),
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
    fn build_and_development_dependencies_are_left_out() {
        let package = serde_json::json!({"dependencies": [
            {"name": "bytes", "kind": null},
            {"name": "proptest", "kind": "dev"},
            {"name": "cc", "kind": "build"},
        ]});
        assert_eq!(normal_dependencies(&package), ["bytes"]);
    }

    #[test]
    fn a_package_comes_after_its_dependencies() {
        let package = |name: &str, dependencies: &[&str]| Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(ToString::to_string).collect(),
            ..Package::default()
        };
        let packages = vec![
            package("app", &["codec", "socket", "bytes"]),
            package("socket", &["codec"]),
            package("codec", &[]),
        ];
        let names: Vec<String> = in_dependency_order(packages)
            .into_iter()
            .map(|package| package.name)
            .collect();
        assert_eq!(names, ["codec", "socket", "app"]);
    }
}
