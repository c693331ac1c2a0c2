//! Checks that a destination has one canonical form, and that patterns match what their definition says.
//!
//! The input consists of two lines, each of them a destination.

use super::reference::Path;
use std::collections::BTreeSet;
use stomp_broker::destination_syntax;
use stomp_session::{Destination, DestinationSyntax};

/// The largest number of segments of patterns that are compared with literal paths, so that this stays fast.
const MAX_SEGMENTS: usize = 8;

/// Literal paths that are tried for each pattern.
const MAX_LITERALS: usize = 400;

/// Checks both destinations by themselves, and then against each other.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(2, '\n');
    let syntax = destination_syntax();
    let [one, other] = [(); 2].map(|()| {
        let line = lines.next().unwrap_or_default();
        check_one(&syntax, line)
    });
    if let (Some(one), Some(other)) = (one, other) {
        check_pair(&syntax, &one, &other);
        check_pair(&syntax, &other, &one);
    }
}

/// Returns the destination, if it is valid and below a prefix of the broker.
fn check_one(syntax: &DestinationSyntax, text: &str) -> Option<(Destination, Path)> {
    let parsed = syntax.parse(text.to_owned());
    let path = match Path::read(text, false) {
        None => {
            let parsed = parsed.ok();
            let literal = parsed.expect("a text below no prefix is a literal destination");
            assert_eq!((literal.canonical(), literal.is_pattern()), (text, false));
            return None;
        }
        Some(Err(())) => {
            assert!(parsed.is_err(), "{text:?} is accepted");
            return None;
        }
        Some(Ok(path)) => path,
    };
    let destination = parsed.ok()?;
    assert_eq!(destination.as_str(), text);
    assert_eq!(destination.canonical(), path.canonical());
    assert_eq!(destination.is_pattern(), path.is_pattern(), "{text:?}");
    let segments = destination.segments().skip(1);
    assert!(segments.eq(path.segments.iter().map(String::as_str)));
    for dots in [0, u64::MAX, 0x5555_5555_5555_5555, text.len() as u64] {
        let spelled = syntax.parse(path.spelling(dots));
        let spelled = spelled.expect("a spelling of a valid destination is valid");
        assert_eq!(spelled, destination);
        assert_eq!(spelled.canonical(), destination.canonical());
        assert_eq!(spelled.is_pattern(), destination.is_pattern());
        assert!(spelled.contains(&destination) && destination.contains(&spelled));
        assert!(spelled.may_match(&destination));
    }
    let root = syntax.parse(path.prefix.trim_end_matches('/').to_owned());
    let root = root.expect("a text below no prefix is a literal destination");
    assert!(!destination.contains(&root) && !destination.may_match(&root));
    Some((destination, path))
}

/// Compares `contains` and `may_match` with the literal destinations that both patterns match.
fn check_pair(
    syntax: &DestinationSyntax,
    (one, one_path): &(Destination, Path),
    (other, other_path): &(Destination, Path),
) {
    assert_eq!(one.may_match(other), other.may_match(one));
    assert_eq!(one == other, one_path == other_path);
    if one_path.segments.len().max(other_path.segments.len()) > MAX_SEGMENTS {
        return;
    }
    let names = one_path.segments.iter().chain(&other_path.segments);
    let names = names.filter(|name| !["*", ">"].contains(&name.as_str()));
    // A segment that neither pattern contains tells `*` from a literal segment.
    let alphabet: BTreeSet<_> = names.cloned().chain(["\u{1f980}".to_owned()]).collect();
    let literals = other_path.some_matches(&alphabet, MAX_LITERALS);
    let mut matched = 0;
    for literal in &literals {
        let parsed = syntax.parse(literal.canonical());
        let parsed = parsed.expect("a literal path is valid");
        assert!(other.contains(&parsed), "{other:?} {literal:?}");
        let is_matched = one_path.matches(literal, None);
        assert_eq!(one.contains(&parsed), is_matched, "{one:?} {literal:?}");
        assert_eq!(one.may_match(&parsed), is_matched, "{one:?} {literal:?}");
        matched += usize::from(is_matched);
    }
    assert!(one.may_match(other) || matched == 0, "{one:?} {other:?}");
    if one.contains(other) {
        assert_eq!(matched, literals.len(), "{one:?} {other:?}");
    } else if is_exhaustive(&literals, one_path, other_path) {
        assert!(matched < literals.len(), "{one:?} {other:?}");
    }
    if one.may_match(other) && is_exhaustive(&literals, one_path, other_path) {
        assert!(matched > 0, "{one:?} {other:?}");
    }
}

/// True if the literals decide the question: none was left out, and they are long enough. Those of a final `>` are one
/// segment longer than the pattern.
fn is_exhaustive(literals: &[Path], one: &Path, other: &Path) -> bool {
    let more = usize::from(other.segments.last().is_some_and(|last| last == ">"));
    literals.len() < MAX_LITERALS && one.segments.len() <= other.segments.len() + more
}
