//! Finds paths in a source file: those in `use` declarations, and those that begin with `crate`, `self` or `super`.

use super::source;

/// A path, and the line on which it occurs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The number of the line, from 1.
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

/// Returns all paths that begin with `crate`, `self` or `super`, in `use` declarations and elsewhere. They are resolved
/// to paths from the crate's root. `module` is the path of the file's module, also from the root.
pub(crate) fn within_crate(text: &str, module: &[String]) -> Vec<Path> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, window) in tokens.windows(2).enumerate() {
        let [(_, word), (_, "::")] = window else {
            continue;
        };
        let continues = at > 0
            && tokens
                .get(at - 1)
                .is_some_and(|(_, before)| *before == "::");
        if !continues && ["crate", "self", "super"].contains(word) {
            let mut tree = Tree {
                tokens: tokens.get(at..).unwrap_or_default(),
                module,
                found: &mut found,
            };
            tree.read(Vec::new());
        }
    }
    found
}

/// Returns the paths of all `use` declarations, as they are written.
pub(crate) fn uses(text: &str) -> Vec<Path> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, _) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.1 == "use")
    {
        let mut tree = Tree {
            tokens: tokens.get(at + 1..).unwrap_or_default(),
            module: &[],
            found: &mut found,
        };
        tree.read(Vec::new());
    }
    found
}

/// Returns the paths of `use` declarations that do not begin with `crate`, `self` or `super`. They lead to a child
/// module or to another crate.
pub(crate) fn relative_uses(text: &str) -> Vec<Path> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, window) in tokens.windows(2).enumerate() {
        let [(_, "use"), (_, first)] = window else {
            continue;
        };
        if !["crate", "self", "super"].contains(first) {
            let mut tree = Tree {
                tokens: tokens.get(at + 1..).unwrap_or_default(),
                module: &[],
                found: &mut found,
            };
            tree.read(Vec::new());
        }
    }
    found
}

/// Reads a path, or a tree of paths such as `a::{b, c::d}`.
struct Tree<'a> {
    /// The tokens that have not been read yet.
    tokens: &'a [(usize, &'a str)],
    module: &'a [String],
    found: &'a mut Vec<Path>,
}

impl Tree<'_> {
    /// Reads the paths that begin with `segments`.
    fn read(&mut self, mut segments: Vec<String>) {
        while let Some(&(line, token)) = self.tokens.first() {
            match token {
                "{" => return self.read_group(&segments),
                "crate" => segments.clear(),
                // In a group, `self` is the module that the group belongs to.
                "self" if segments.is_empty() => segments.extend_from_slice(self.module),
                "self" => {}
                "super" => {
                    if segments.is_empty() {
                        segments.extend_from_slice(self.module);
                    }
                    segments.pop();
                }
                word if is_word(word) => segments.push(word.to_owned()),
                // This is the `*` of a glob, or not a part of a path.
                _ => return self.found.push(Path { line, segments }),
            }
            self.advance();
            if self.tokens.first().is_none_or(|(_, next)| *next != "::") {
                return self.found.push(Path { line, segments });
            }
            self.advance();
        }
    }

    fn read_group(&mut self, segments: &[String]) {
        self.advance();
        while let Some(&(_, token)) = self.tokens.first() {
            match token {
                "}" => return self.advance(),
                "," => self.advance(),
                _ => {
                    self.read(segments.to_vec());
                    // Skips a new name after `as`, or the `*` of a glob.
                    while self
                        .tokens
                        .first()
                        .is_some_and(|(_, next)| !["}", ","].contains(next))
                    {
                        self.advance();
                    }
                }
            }
        }
    }

    fn advance(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }
}

/// The words and signs of the code, each with its line. Comments are left out, and a string literal is one token.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let lines = source::code(text);
    lines
        .flat_map(|(number, line)| {
            line_tokens(line)
                .into_iter()
                .map(move |token| (number, token))
        })
        .collect()
}

fn line_tokens(mut line: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    while let Some(first) = line.trim_start().chars().next() {
        line = line.trim_start();
        let length = match first {
            // A string literal is one token. It ends at its closing quote, or at the end of the line.
            '"' => 1 + string_length(line.get(1..).unwrap_or_default()),
            ':' if line.starts_with("::") => 2,
            c if is_word_part(c) => line.find(|c| !is_word_part(c)).unwrap_or(line.len()),
            c => c.len_utf8(),
        };
        let (token, rest) = line.split_at(length.min(line.len()));
        tokens.push(token);
        line = rest;
    }
    tokens
}

/// Returns the number of bytes from the start of a string's text up to and including its closing quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            c => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

fn is_word(token: &str) -> bool {
    token.chars().all(is_word_part)
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, module: &[&str]) -> Vec<(usize, String)> {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        within_crate(text, &module)
            .into_iter()
            .map(|Path { line, segments }| (line, segments.join("/")))
            .collect()
    }

    fn one(line: usize, path: &str) -> (usize, String) {
        (line, path.to_owned())
    }

    #[test]
    fn a_group_yields_a_path_for_each_item_with_its_line() {
        let text = "use crate::{\n    Config, DisconnectReason as Reason,\n    message::{self, Tail},\n    staging::*,\n};\nfn f() {}\n";
        let expected = [
            one(2, "Config"),
            one(2, "DisconnectReason"),
            one(3, "message"),
            one(3, "message/Tail"),
            one(4, "staging"),
        ];
        assert_eq!(paths(text, &["protocol", "ack"]), expected);
    }

    #[test]
    fn super_leads_to_the_module_above() {
        let module = ["protocol", "ack"];
        assert_eq!(
            paths("use super::Phase;", &module),
            [one(1, "protocol/Phase")]
        );
        assert_eq!(paths("use super::super::work;", &module), [one(1, "work")]);
        assert_eq!(
            paths("use self::Row;", &module),
            [one(1, "protocol/ack/Row")]
        );
    }

    #[test]
    fn paths_in_expressions_are_found_but_not_in_strings_and_comments() {
        let text = "fn f() {\n    // crate::a\n    g(\"crate::b\", crate::c::D::E, \"\\\"crate::f\");\n}\n";
        assert_eq!(paths(text, &["m"]), [one(3, "c/D/E")]);
    }

    #[test]
    fn a_visibility_is_not_a_path() {
        assert!(paths("pub(crate) fn f() {}\npub(super) fn g(&self) {}\n", &["m"]).is_empty());
    }

    #[test]
    fn uses_returns_paths_as_they_are_written() {
        let names: Vec<String> = uses("pub use error::{ClientError, BoxError};\n")
            .into_iter()
            .map(|path| path.segments.join("/"))
            .collect();
        assert_eq!(names, ["error/ClientError", "error/BoxError"]);
    }
}
