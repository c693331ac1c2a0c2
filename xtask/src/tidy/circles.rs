//! Finds import circles between the modules of a crate.
//!
//! An import leads to the module that defines the item: names are followed through re-exports, including those of the
//! crate's root. A `mod` declaration is not an import. The root is not a member of any circle, because it only declares
//! and re-exports.

use super::{
    Violation, paths,
    source::{Source, module_path},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// Maximum number of modules in an import circle. This is enough for a type whose parts are in a few files.
const MAX_CIRCLE: usize = 3;

/// A module's path from the crate's root, such as `["protocol", "ack"]`. The path of the root is empty.
type Module = Vec<String>;

/// Reports each import circle of more than [`MAX_CIRCLE`] modules in one crate.
pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    let modules = Modules::read(sources);
    let circles = modules.circles().into_iter();
    circles
        .filter(|circle| circle.len() > MAX_CIRCLE)
        .map(|circle| modules.violation(&circle))
        .collect()
}

/// The modules of one crate.
struct Modules(BTreeMap<Module, Contents>);

struct Contents {
    /// The file's path from the workspace's root.
    path: String,
    /// The paths to modules and items of the crate that occur in this module, from the crate's root.
    imports: BTreeSet<Module>,
    /// The names that this module imports, each with the path for which it stands. Other modules may import these names
    /// from here.
    names: BTreeMap<String, Module>,
}

impl Modules {
    fn read(sources: &[Source]) -> Modules {
        let inner = |source: &Source| {
            let (_, file) = source.path.split_once("src/")?;
            Some(module_path(file))
        };
        let known: BTreeSet<Module> = sources.iter().filter_map(inner).collect();
        let read = |source: &Source| {
            let module = inner(source)?;
            Some((module.clone(), Contents::read(source, &module, &known)))
        };
        Modules(sources.iter().filter_map(read).collect())
    }

    /// Sets of modules that reach each other by imports, the largest first.
    fn circles(&self) -> Vec<BTreeSet<Module>> {
        let reached: BTreeMap<&Module, BTreeSet<Module>> = self
            .0
            .keys()
            .map(|module| (module, self.reach(module)))
            .collect();
        let circle = |(module, others): (&&Module, &BTreeSet<Module>)| {
            let back = |other: &&Module| reached.get(other).is_some_and(|it| it.contains(*module));
            others.iter().filter(back).cloned().collect()
        };
        let circles: BTreeSet<BTreeSet<Module>> = reached.iter().map(circle).collect();
        let mut circles: Vec<_> = circles.into_iter().filter(|it| it.len() > 1).collect();
        circles.sort_by_key(|circle| Reverse(circle.len()));
        circles
    }

    /// All modules that `from` imports, directly or through others.
    fn reach(&self, from: &Module) -> BTreeSet<Module> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in self.imports(&module) {
                if reached.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        reached
    }

    /// Returns the modules that define the items which `module` uses.
    fn imports(&self, module: &Module) -> BTreeSet<Module> {
        let paths = self.0.get(module).into_iter().flat_map(|it| &it.imports);
        paths
            .filter_map(|path| self.definition(path, 0))
            .filter(|found| found != module && !found.is_empty())
            .collect()
    }

    /// The module that defines the item at `path`.
    fn definition(&self, path: &[String], depth: usize) -> Option<Module> {
        const MAX_REEXPORTS: usize = 16;
        let prefixes = (0..=path.len())
            .rev()
            .filter_map(|length| path.split_at_checked(length));
        let (module, rest) = prefixes
            .into_iter()
            .find(|(module, _)| self.0.contains_key(*module))?;
        let target = rest
            .first()
            .and_then(|name| self.0.get(module)?.names.get(name))
            .filter(|target| target.as_slice() != path && depth < MAX_REEXPORTS);
        match target {
            Some(target) => {
                let whole: Module = target.iter().chain(rest.iter().skip(1)).cloned().collect();
                self.definition(&whole, depth + 1)
            }
            None => Some(module.to_vec()),
        }
    }

    fn violation(&self, circle: &BTreeSet<Module>) -> Violation {
        let first = circle.first().and_then(|module| self.0.get(module));
        let names: Vec<_> = circle.iter().map(|module| module.join("::")).collect();
        Violation {
            path: first.map_or_else(String::new, |contents| contents.path.clone()),
            line: 1,
            rule: format!(
                "{} modules import each other in a circle, at most {MAX_CIRCLE} may: {}",
                names.len(),
                names.join(", ")
            ),
        }
    }
}

impl Contents {
    fn read(source: &Source, module: &Module, known: &BTreeSet<Module>) -> Contents {
        let inside = paths::within_crate(&source.text, module);
        let children = paths::relative_uses(&source.text).into_iter().map(|path| {
            let segments = module.iter().cloned().chain(path.segments);
            segments.collect::<Module>()
        });
        let is_child = |path: &Module| {
            let child = path.get(..=module.len());
            child.is_some_and(|child| known.contains(child))
        };
        let imports: BTreeSet<Module> = inside
            .into_iter()
            .map(|path| path.segments)
            .chain(children.filter(is_child))
            .collect();
        let name = |path: &Module| Some((path.last()?.clone(), path.clone()));
        Contents {
            path: source.path.clone(),
            names: imports.iter().filter_map(name).collect(),
            imports,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        files.iter().map(source).collect()
    }

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let circles = Modules::read(&sources(files)).circles().into_iter();
        circles
            .map(|circle| circle.iter().map(|module| module.join("::")).collect())
            .collect()
    }

    #[test]
    fn modules_that_import_each_other_are_a_circle() {
        let found = circles(&[
            ("src/a.rs", "use crate::b::B;\n"),
            ("src/b.rs", "use crate::{c::{self, C}, d};\n"),
            ("src/c.rs", "fn f() {\n    crate::a::g();\n}\n"),
            ("src/d.rs", "use std::fmt;\n"),
        ]);
        assert_eq!(found, [["a", "b", "c"]]);
    }

    #[test]
    fn names_are_followed_through_reexports() {
        let root = "mod a;\nmod b;\npub use a::A;\npub use b::B;\n";
        let found = circles(&[
            ("src/lib.rs", root),
            ("src/a.rs", "use crate::B;\n"),
            ("src/b.rs", "use crate::{\n    A as Other,\n};\n"),
        ]);
        assert_eq!(found, [["a", "b"]]);
    }

    #[test]
    fn a_parent_and_a_child_that_import_each_other_are_a_circle() {
        let parent = ("src/p/mod.rs", "mod a;\nuse a::A;\npub(crate) struct P;\n");
        let found = circles(&[parent, ("src/p/a.rs", "use super::P;\n")]);
        assert_eq!(found, [["p", "p::a"]]);
        assert!(circles(&[parent, ("src/p/a.rs", "use std::fmt;\n")]).is_empty());
    }

    #[test]
    fn a_declaration_is_not_an_import() {
        let parent = ("src/p/mod.rs", "mod a;\npub(crate) struct P;\n");
        assert!(circles(&[parent, ("src/p/a.rs", "use super::P;\n")]).is_empty());
    }

    #[test]
    fn a_circle_of_too_many_modules_is_reported_with_their_names() {
        let files = [
            ("crates/x/src/a.rs", "use crate::b::B;\n"),
            ("crates/x/src/b.rs", "use crate::c::C;\n"),
            ("crates/x/src/c.rs", "use crate::d::D;\n"),
            ("crates/x/src/d.rs", "use crate::a::A;\n"),
        ];
        let [violation] = check(&sources(&files)).try_into().expect("one violation");
        assert_eq!(
            violation.to_string(),
            "crates/x/src/a.rs:1: 4 modules import each other in a circle, at most 3 may: a, b, c, d"
        );
        assert!(check(&sources(&files[..3])).is_empty());
    }
}
