//! Checks the first word of documentation comments.

use super::{Violation, source::Source};

/// Words that open a question or a relative clause. A sentence that begins with such a word does not say what the item
/// is or does.
const OPENINGS: &[&str] = &[
    "How", "What", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whom", "Whose", "Why",
];

/// Reports the documentation comments of a file that open with one of the words in [`OPENINGS`].
pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut before = None;
    for (line, text) in (1..).zip(source.text.lines()) {
        let comment = doc_comment(text);
        if let (Some((marker, text)), true) = (comment, comment.map(|it| it.0) != before) {
            let first = text.split(|c: char| !c.is_alphanumeric()).next();
            if let Some(word) = first.filter(|word| OPENINGS.contains(word)) {
                violations.push(Violation {
                    path: source.path.clone(),
                    line,
                    rule: format!(
                        "the comment opens with `{marker} {word}`, but must say what the item is or does"
                    ),
                });
            }
        }
        before = comment.map(|it| it.0);
    }
    violations
}

/// Splits a line of a documentation comment into its marker and its text.
fn doc_comment(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    ["///", "//!"]
        .into_iter()
        .find_map(|marker| Some((marker, line.strip_prefix(marker)?.trim_start())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let source = Source {
            path: "src/a.rs".to_owned(),
            text: text.to_owned(),
        };
        check(&source).iter().map(|it| it.line).collect()
    }

    #[test]
    fn a_comment_that_opens_with_a_question_word_is_reported() {
        let text = "//! Whether it is open.\n\n/// What waits.\nfn f() {}\n    /// Who sends.\n";
        assert_eq!(lines(text), [1, 3, 5]);
    }

    #[test]
    fn later_lines_and_longer_words_are_not_reported() {
        let text =
            "/// Bytes queued for the peer.\n/// What else?\nfn f() {}\n\n/// Whatever.\n// What\n";
        assert!(lines(text).is_empty());
    }
}
