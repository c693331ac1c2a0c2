//! The definition of destinations and patterns of a broker, written again without the parser.

use std::collections::BTreeSet;

/// The prefixes, and whether clients may use patterns below them.
const PREFIXES: [(&str, bool); 4] = [
    ("/topic/", true),
    ("/queue/", false),
    ("/user/", true),
    ("/temp-queue/", false),
];

/// A destination below one of the prefixes, as its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) prefix: &'static str,
    pub(crate) segments: Vec<String>,
}

impl Path {
    /// Reads a text. `None` if it is below no prefix; an error if it is invalid there. `always_patterns` allows patterns
    /// below all prefixes, as in rules.
    pub(crate) fn read(text: &str, always_patterns: bool) -> Option<Result<Path, ()>> {
        let (prefix, has_patterns) = PREFIXES
            .into_iter()
            .find(|(prefix, _)| text.starts_with(prefix))?;
        let path = &text.get(prefix.len()..)?;
        let mut segments: Vec<String> = path.split(['/', '.']).map(str::to_owned).collect();
        let count = segments.len();
        let has_patterns = has_patterns || always_patterns;
        let is_valid = segments.iter().enumerate().all(|(at, segment)| {
            let is_rest = segment == ">" || segment == "#";
            !segment.is_empty()
                && !segment.contains(char::is_control)
                && (has_patterns || !(is_rest || segment == "*"))
                && (!is_rest || at + 1 == count)
        });
        if !is_valid {
            return Some(Err(()));
        }
        if let Some(last) = segments.last_mut().filter(|last| *last == "#") {
            *last = ">".to_owned();
        }
        Some(Ok(Path { prefix, segments }))
    }

    pub(crate) fn is_pattern(&self) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|segment| segment == "*" || segment == ">")
    }

    pub(crate) fn canonical(&self) -> String {
        format!("{}{}", self.prefix, self.segments.join("/"))
    }

    /// A spelling in which the bits of `dots` select the separators.
    pub(crate) fn spelling(&self, dots: u64) -> String {
        let mut text = self.prefix.to_owned();
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                text.push(if dots >> (at % 64) & 1 == 1 { '.' } else { '/' });
            }
            text.push_str(segment);
        }
        text
    }

    /// True if this pattern matches a literal path. `user` replaces the segment `{user}`, if it is given.
    pub(crate) fn matches(&self, literal: &Path, user: Option<Option<&str>>) -> bool {
        self.prefix == literal.prefix
            && !literal.segments.is_empty()
            && rest_matches(&self.segments, &literal.segments, user)
    }

    /// Literal paths that this pattern matches, at most `max`, made of the segments of `alphabet`.
    pub(crate) fn some_matches(&self, alphabet: &BTreeSet<String>, max: usize) -> Vec<Path> {
        let mut found = vec![Vec::new()];
        for segment in &self.segments {
            let longer = |start: &Vec<String>| -> Vec<Vec<String>> {
                let with = |more: &[&String]| {
                    let more = more.iter().map(|it| (*it).clone());
                    start.iter().cloned().chain(more).collect::<Vec<_>>()
                };
                match &**segment {
                    "*" => alphabet.iter().map(|one| with(&[one])).collect(),
                    ">" => {
                        let two = |one| alphabet.iter().map(move |other| with(&[one, other]));
                        let none = Some(start.clone()).filter(|start| !start.is_empty());
                        let one = alphabet.iter().map(|one| with(&[one]));
                        none.into_iter()
                            .chain(one)
                            .chain(alphabet.iter().flat_map(two))
                            .collect()
                    }
                    _ => vec![with(&[segment])],
                }
            };
            found = found.iter().flat_map(longer).take(max).collect();
        }
        found
            .into_iter()
            .map(|segments| Path {
                prefix: self.prefix,
                segments,
            })
            .collect()
    }
}

fn rest_matches(pattern: &[String], literal: &[String], user: Option<Option<&str>>) -> bool {
    match (pattern, literal) {
        ([], []) => true,
        ([one], _) if one == ">" => true,
        ([one, pattern @ ..], [other, literal @ ..]) => {
            let is_match = match (&**one, user) {
                ("*", _) => true,
                ("{user}", Some(user)) => user == Some(other),
                (one, _) => one == other,
            };
            is_match && rest_matches(pattern, literal, user)
        }
        _ => false,
    }
}
