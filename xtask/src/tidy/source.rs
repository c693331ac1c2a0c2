//! Reads source files, and finds their lines of code.

use crate::{Result, workspace};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A Rust file that is not a test.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path from the workspace's root, with `/` on every platform.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The Rust files below `directory` in the order of their paths, without test modules (`tests.rs` and `tests/`).
pub(crate) fn below(directory: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    walk(directory, &mut paths).map_err(|error| format!("{}: {error}", directory.display()))?;
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Returns the lines of code, each with its line number in the file. Blank lines, comments, and the test module at the
/// end of the file are left out. A comment after code is removed.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(without_tests(text).lines())
        .map(|(number, line)| (number, line.split(" // ").next().unwrap_or(line)))
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
}

/// Returns the module's path for `file`, which is relative to the crate's sources. The path of the root is empty.
pub(crate) fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Source> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Source {
        path: workspace::path_from_root(path),
        text,
    })
}

/// Returns the text before its inline test module. Nothing follows that module: clippy's `items_after_test_module`
/// would report it.
fn without_tests(text: &str) -> &str {
    const START: &str = "\n#[cfg(test)]\nmod ";
    let is_inline = |rest: &str| rest.lines().next().is_some_and(|line| line.ends_with('{'));
    text.match_indices(START)
        .filter_map(|(at, _)| text.split_at_checked(at))
        .find(|(_, rest)| rest.strip_prefix(START).is_some_and(is_inline))
        .map_or(text, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, &str)> {
        code(text).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_not_code() {
        let text = "//! Purpose.\n\n/// Documented.\nfn f() {} // why\n    // aside\n";
        assert_eq!(lines(text), [(4, "fn f() {}")]);
    }

    #[test]
    fn an_address_in_a_string_is_not_a_comment() {
        assert_eq!(
            lines("let a = \"http://b\";"),
            [(1, "let a = \"http://b\";")]
        );
    }

    #[test]
    fn code_lines_stop_at_the_inline_test_module() {
        let text = "fn f() {}\n#[cfg(test)]\nmod samples;\nfn g() {}\n\n#[cfg(test)]\nmod t {\n}\n";
        assert_eq!(lines(text).last(), Some(&(4, "fn g() {}")));
    }

    #[test]
    fn the_path_of_a_file_determines_the_path_of_its_module() {
        assert_eq!(module_path("core.rs"), ["core"]);
        assert!(module_path("lib.rs").is_empty());
        assert_eq!(module_path("core/mod.rs"), ["core"]);
        assert_eq!(
            module_path("core/state/timers.rs"),
            ["core", "state", "timers"]
        );
    }
}
