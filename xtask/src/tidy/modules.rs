//! Restricts the modules that some modules of a crate may use.

use super::{
    Violation,
    paths::{self, Path},
    source::{Source, module_path},
};
use std::collections::BTreeMap;

/// A restricted module, with the only modules of its crate that it may use.
struct Rule {
    /// The crate's directory of sources.
    root: &'static str,
    /// The restricted top-level module. The rule includes all modules below it.
    module: &'static str,
    /// The top-level modules that the restricted module may use. It must use all of them.
    may_use: &'static [&'static str],
    reason: &'static str,
}

/// The restricted modules. Words that a file may not contain are in `rules.rs`.
const RULES: &[Rule] = &[Rule {
    root: "crates/stomp-session/src/",
    module: "protocol",
    may_use: &[
        "config",
        "delivery",
        "destination",
        "disconnect_reason",
        "error",
        "id",
        "message",
        "principal_share",
        "protocol",
        "response",
        "routed",
        "staging",
        "weight",
    ],
    reason: "the protocol may use only modules without I/O",
}];

/// Checks all sources of one crate against the rules.
pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    let rules = RULES.iter();
    rules.flat_map(|rule| rule.check(sources)).collect()
}

impl Rule {
    fn check(&self, sources: &[Source]) -> Vec<Violation> {
        let lib = format!("{}lib.rs", self.root);
        let Some(lib) = sources.iter().find(|source| source.path == lib) else {
            return Vec::new();
        };
        let uses = self.uses(sources, &exports(&lib.text));
        let forbidden = uses
            .iter()
            .filter(|used| !self.may_use.contains(&used.module.as_str()))
            .map(|used| Violation {
                path: used.path.to_owned(),
                line: used.line,
                rule: format!(
                    "{} may not use `{}`: {}",
                    self.module, used.module, self.reason
                ),
            });
        // The table must not list modules that are no longer used.
        let unused = self
            .may_use
            .iter()
            .filter(|module| uses.iter().all(|used| used.module != **module))
            .map(|module| Violation {
                path: lib.path.clone(),
                line: 1,
                rule: format!(
                    "{} does not use `{module}`, which tidy/modules.rs allows",
                    self.module
                ),
            });
        forbidden.chain(unused).collect()
    }

    /// Finds each use of a module of the crate in the restricted module.
    fn uses<'a>(&self, sources: &'a [Source], exports: &BTreeMap<String, String>) -> Vec<Use<'a>> {
        let mut uses = Vec::new();
        for Source { path, text } in sources {
            let Some(module) = path.strip_prefix(self.root).map(module_path) else {
                continue;
            };
            if module.first().is_none_or(|first| first != self.module) {
                continue;
            }
            let paths = paths::within_crate(text, &module).into_iter();
            uses.extend(paths.filter_map(|Path { line, segments }| {
                let name = segments.first()?;
                // A name that lib.rs does not re-export is a module, or an item of lib.rs itself.
                let module = exports.get(name).unwrap_or(name).clone();
                Some(Use { path, line, module })
            }));
        }
        uses
    }
}

/// A use of a top-level module, in the file `path`.
struct Use<'a> {
    path: &'a str,
    line: usize,
    module: String,
}

/// The names that the crate's root re-exports, each with the top-level module that it comes from.
fn exports(lib: &str) -> BTreeMap<String, String> {
    paths::uses(lib)
        .into_iter()
        .filter_map(|Path { segments, .. }| {
            let (module, name) = (segments.first()?.clone(), segments.last()?.clone());
            Some((name, module))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        root: "src/",
        module: "core",
        may_use: &["core", "id"],
        reason: "it is a leaf",
    };

    const LIB: &str =
        "mod core;\nmod driver;\nmod id;\n\npub use driver::Driver;\npub use id::{Id, Key};\n";

    fn found(path: &str, text: &str) -> Vec<String> {
        let sources = [("src/lib.rs", LIB), (path, text)].map(|(path, text)| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        let violations = RULE.check(&sources);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn allowed_modules_may_be_used_directly_and_through_exports() {
        let text = "use super::Table;\nuse crate::{Id, core::Phase, id::Key};\nuse std::fmt;\n";
        assert!(found("src/core/connect.rs", text).is_empty());
    }

    #[test]
    fn another_module_is_reported_at_its_line() {
        let report = "core may not use `driver`: it is a leaf";
        for (path, line, text) in [
            (
                "src/core/mod.rs",
                5,
                "use crate::{\n    Id,\n    Driver,\n};\n",
            ),
            ("src/core/mod.rs", 3, "use super::driver::Task;\n"),
            ("src/core/ack.rs", 3, "use super::super::driver;\n"),
            ("src/core/ack.rs", 3, "fn f(_: crate::Driver) {}\n"),
        ] {
            let text = format!("use crate::core::Phase;\nuse crate::Id;\n{text}");
            assert_eq!(found(path, &text), [format!("{path}:{line}: {report}")]);
        }
    }

    #[test]
    fn an_allowed_module_that_is_not_used_is_reported() {
        let report = "src/lib.rs:1: core does not use `id`, which tidy/modules.rs allows";
        assert_eq!(found("src/core/ack.rs", "use super::Phase;\n"), [report]);
    }

    #[test]
    fn a_module_without_a_rule_may_use_every_module() {
        let text = "use crate::driver::Driver;\n";
        let reports = found("src/id.rs", text);
        assert!(
            reports.iter().all(|it| it.starts_with("src/lib.rs")),
            "{reports:?}"
        );
    }
}
