//! Builds the documentation in an order that keeps its links working.

use crate::{Result, shell, test::Warnings, workspace};
use std::{fs, path::PathBuf};

/// Documents the published crates one by one, then everything else. Checks the links of each published crate's front
/// page.
///
/// Rustdoc links to an item of another crate only if that crate's documentation exists already, and drops the link
/// without a warning otherwise. In one run, cargo documents crates in parallel and in any order. Only the front pages are
/// checked, because other pages also contain documentation of third-party crates, which are not documented here.
pub(crate) fn build(warnings: Warnings) -> Result {
    let published = workspace::published()?;
    let root = workspace::target_directory()?.join("doc");
    let directories: Vec<PathBuf> = published
        .iter()
        .map(|package| root.join(package.name.replace('-', "_")))
        .collect();
    // Cargo does not rebuild a page that was built before the pages to which it should link.
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

    for directory in &directories {
        let page = directory.join("index.html");
        let text =
            fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
        let dead: Vec<&str> = dead_links(&text).collect();
        if !dead.is_empty() {
            let dead = dead.join(", ");
            return Err(format!("{} has unresolved links: {dead}", page.display()));
        }
    }
    Ok(())
}

fn document(selection: &[&str], warnings: Warnings) -> Result {
    let mut doc = shell::cargo(&["doc", "--no-deps", "--all-features"]);
    doc.args(selection);
    if warnings == Warnings::Denied {
        doc.env("RUSTDOCFLAGS", "-D warnings");
    }
    shell::run(&mut doc)
}

/// Finds links that rustdoc could not resolve. Rustdoc leaves the brackets of such links in the text of the page.
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
    fn an_unresolved_link_is_reported() {
        assert_eq!(found("<p>see [<code>Topic</code>].</p>"), ["Topic"]);
    }

    #[test]
    fn a_resolved_link_is_not_reported() {
        assert!(found("<p>see <a href=\"t.html\"><code>Topic</code></a> and [1].</p>").is_empty());
    }
}
