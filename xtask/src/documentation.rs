//! The documentation, built so that its links lead somewhere.

use crate::{Result, shell, test::Warnings, workspace};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Documents the published crates one by one, then everything else, and checks the links of the published crates.
///
/// Rustdoc links to an item of another crate only if that crate's documentation exists already, and drops the link
/// without a warning otherwise. In one run, cargo documents crates in parallel and in any order.
pub(crate) fn build(warnings: Warnings) -> Result {
    let published = workspace::published()?;
    let root = root()?;
    let directories: Vec<PathBuf> = published
        .iter()
        .map(|package| root.join(package.name.replace('-', "_")))
        .collect();
    // Cargo keeps a page that was built before those that it should link to.
    for directory in directories.iter().filter(|directory| directory.exists()) {
        fs::remove_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    for package in &published {
        document(&["-p", &package.name], warnings)?;
    }
    let excluded = published.iter().flat_map(|it| ["--exclude", &it.name]);
    let rest: Vec<&str> = ["--workspace"].into_iter().chain(excluded).collect();
    document(&rest, warnings)?;

    let mut dead = Vec::new();
    for directory in &directories {
        find_dead_links(directory, &mut dead)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    match dead.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!(
            "{} links lead nowhere; the first: {first}",
            dead.len()
        )),
    }
}

fn document(selection: &[&str], warnings: Warnings) -> Result {
    let mut doc = shell::cargo(&["doc", "--no-deps", "--all-features"]);
    doc.args(selection);
    if warnings == Warnings::Denied {
        doc.env("RUSTDOCFLAGS", "-D warnings");
    }
    shell::run(&mut doc)
}

/// The directory of the documentation, wherever cargo's target directory is.
fn root() -> Result<PathBuf> {
    Ok(workspace::target_directory()?.join("doc"))
}

/// Collects the links of all pages below `directory` that rustdoc could not resolve, each after its page.
fn find_dead_links(directory: &Path, dead: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find_dead_links(&path, dead)?;
        } else if path.extension().is_some_and(|kind| kind == "html") {
            let page = fs::read_to_string(&path)?;
            let found = dead_links(&page).map(|link| format!("{} in {}", link, path.display()));
            dead.extend(found);
        }
    }
    Ok(())
}

/// The links, written as `[`Name`]` or `[text](Name)`, that are still in the text of a page.
fn dead_links(page: &str) -> impl Iterator<Item = &str> {
    page.match_indices("[<code>").filter_map(|(at, _)| {
        let (link, _) = page.get(at..)?.split_once("</code>]")?;
        Some(link.strip_prefix("[<code>")?).filter(|name| !name.contains('<'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<&str> {
        dead_links(page).collect()
    }

    #[test]
    fn an_unresolved_link_is_found() {
        assert_eq!(found("<p>see [<code>Topic</code>].</p>"), ["Topic"]);
    }

    #[test]
    fn a_resolved_link_is_not_found() {
        assert!(found("<p>see <a href=\"t.html\"><code>Topic</code></a> and [1].</p>").is_empty());
    }
}
