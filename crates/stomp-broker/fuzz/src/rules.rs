//! Checks that no spelling and no pattern reaches what its plain name is refused.
//!
//! Each line of the input is one of these, by its first bytes:
//!
//! | line | meaning |
//! |---|---|
//! | `s`, a letter for the clients, a pattern | a rule about `SEND` |
//! | `b`, a letter for the clients, a pattern | a rule about `SUBSCRIBE` |
//! | `@` and a name | the name of the client's principal |
//! | any other line | a destination of the client |

use super::reference::Path;
use std::collections::BTreeSet;
use stomp_broker::{Action, Rules, Who, destination_syntax};
use stomp_frame::{Command, Frame};
use stomp_session::{Destination, Principal, Request};

/// Literal paths that are tried for each pattern of a client.
const MAX_LITERALS: usize = 64;

/// The largest numbers of lines, and of segments of a pattern that is compared with literal paths, so that this stays
/// fast.
const MAX_LINES: usize = 24;
const MAX_SEGMENTS: usize = 8;

/// The rules of an input, as the crate and as this module understand them.
struct Case<'a> {
    rules: Rules,
    /// `None` if a pattern is invalid: then the rules refuse everything.
    list: Option<Vec<(Action, Path, char)>>,
    user: Option<&'a str>,
    request: Request,
}

/// Checks each destination of the input.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut case = Case {
        rules: Rules::new(),
        list: Some(Vec::new()),
        user: None,
        request: Request::new(Frame::new(Command::Send)),
    };
    let mut destinations = Vec::new();
    for line in text.split('\n').take(MAX_LINES) {
        let mut rest = line.chars();
        match (rest.next(), line) {
            (Some('s'), _) => case.add(Action::Send, rest.next(), rest.as_str()),
            (Some('b'), _) => case.add(Action::Subscribe, rest.next(), rest.as_str()),
            (Some('@'), _) => case.user = Some(rest.as_str()),
            _ => destinations.push(line),
        }
    }
    for destination in destinations {
        case.check(destination);
    }
}

impl Case<'_> {
    fn add(&mut self, action: Action, clients: Option<char>, pattern: &str) {
        let clients = clients.unwrap_or('n');
        let who = match clients {
            'y' => Who::Anybody,
            'a' => Who::Authenticated,
            'p' => Who::principal("ann"),
            'w' => Who::when(|_, destination| {
                !destination.is_pattern() && is_accepted(destination.canonical())
            }),
            _ => Who::Nobody,
        };
        let rules = std::mem::take(&mut self.rules);
        self.rules = match action {
            Action::Send => rules.send(pattern, who),
            _ => rules.subscribe(pattern, who),
        };
        let path = Path::read(pattern, true).and_then(Result::ok);
        let is_strange = |segment: &String| segment.contains(['{', '}']) && segment != "{user}";
        match path.filter(|path| !path.segments.iter().any(is_strange)) {
            Some(path) => {
                let list = self.list.as_mut();
                list.into_iter()
                    .for_each(|list| list.push((action, path.clone(), clients)));
            }
            None => self.list = None,
        }
    }

    fn check(&self, text: &str) {
        let syntax = destination_syntax();
        let Ok(destination) = syntax.parse(text.to_owned()) else {
            return;
        };
        let path = Path::read(text, false).and_then(Result::ok);
        for action in [Action::Send, Action::Subscribe] {
            let is_allowed = self.asks(action, &destination);
            let Some(path) = &path else {
                assert!(!is_allowed, "{text:?} is not below a prefix");
                continue;
            };
            for dots in [0, u64::MAX, 0x5555_5555_5555_5555] {
                let spelled = syntax.parse(path.spelling(dots));
                let spelled = spelled.expect("a spelling of a valid destination is valid");
                assert_eq!(self.asks(action, &spelled), is_allowed, "{spelled:?}");
            }
            if !path.is_pattern() {
                assert_eq!(
                    is_allowed,
                    self.expects(action, path),
                    "{action:?} {path:?}"
                );
                continue;
            }
            if path.segments.len() > MAX_SEGMENTS {
                continue;
            }
            for literal in path.some_matches(&self.alphabet(path), MAX_LITERALS) {
                let plain = syntax.parse(literal.canonical());
                let plain = self.asks(action, &plain.expect("a literal path is valid"));
                assert_eq!(
                    plain,
                    self.expects(action, &literal),
                    "{action:?} {literal:?}"
                );
                assert!(plain || !is_allowed, "{text:?} reaches {literal:?}");
            }
        }
    }

    /// The decision of the crate.
    fn asks(&self, action: Action, destination: &Destination) -> bool {
        let principal = self.user.map(Principal::new);
        let answer = self
            .rules
            .check(action, destination, principal.as_ref(), &self.request);
        answer.is_ok()
    }

    /// The decision about a literal path: that of the first rule that matches.
    fn expects(&self, action: Action, literal: &Path) -> bool {
        if action == Action::Send && is_public_name(literal) {
            return true;
        }
        let Some(list) = &self.list else { return false };
        let mut matching = list
            .iter()
            .filter(|(of, pattern, _)| *of == action && pattern.matches(literal, Some(self.user)));
        matching
            .next()
            .is_some_and(|(_, _, clients)| match clients {
                'y' => true,
                'a' => self.user.is_some(),
                'p' => self.user == Some("ann"),
                'w' => is_accepted(&literal.canonical()),
                _ => false,
            })
    }

    /// The segments that the rules can tell apart, and one other.
    fn alphabet(&self, path: &Path) -> BTreeSet<String> {
        let rules = self.list.iter().flatten();
        let segments = rules.flat_map(|(_, pattern, _)| &pattern.segments);
        let names = segments
            .chain(&path.segments)
            .map(String::as_str)
            .chain(self.user)
            .chain(["\u{1f980}"]);
        names
            .filter(|name| !["", "*", ">", "#"].contains(name) && !name.contains(['/', '.']))
            .filter(|name| !name.contains(char::is_control))
            .map(str::to_owned)
            .collect()
    }
}

/// The answer of the predicate of a rule.
fn is_accepted(canonical: &str) -> bool {
    canonical.contains('a')
}

fn is_public_name(path: &Path) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    path.prefix == "/temp-queue/"
        && matches!(&path.segments[..], [name] if name.strip_prefix('~').is_some_and(
            |digits| digits.len() == 32 && digits.as_bytes().iter().all(is_digit)
        ))
}
