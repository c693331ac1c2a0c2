//! The pattern of a rule.

use crate::syntax::{self, PREFIXES, is_wildcard};
use stomp_session::{Destination, Principal};

/// The segment of a rule's pattern that stands for the name of the client's principal.
const USER: &str = "{user}";

/// The pattern of a rule: a destination with wildcards, in which a segment may be `{user}`.
#[derive(Debug, Clone)]
pub(super) struct RulePattern {
    /// The text as the application wrote it.
    text: Box<str>,
    /// The destination with `*` in place of each `{user}`.
    destination: Destination,
    /// The positions of `{user}` among the segments.
    users: Vec<usize>,
}

/// The result of comparing a rule's pattern with a client's destination, which may be a pattern too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlap {
    Nothing,
    /// The rule matches nothing, because `{user}` needs a principal, and the client has none.
    NeedsPrincipal,
    /// The rule matches some, but maybe not all, of the destinations that the client's pattern matches.
    Part,
    /// The rule matches the client's destination, or all that the client's pattern matches.
    Whole,
}

impl RulePattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// Returns the problem as a text, which completes a sentence that begins with "rules".
    pub(super) fn parse(text: &str) -> Result<RulePattern, String> {
        let syntax = syntax::rule_syntax();
        let parse = |text: String| {
            let parsed = syntax.parse(text);
            parsed.map_err(|invalid| format!("has an invalid pattern: {invalid}"))
        };
        let parsed = parse(text.to_owned())?;
        if !syntax::has_prefix(&parsed) {
            let prefixes = PREFIXES.join(", ");
            return Err(format!(
                "has the pattern {text:?}, which is not below {prefixes}"
            ));
        }
        let is_strange = |segment: &str| segment.contains(['{', '}']) && segment != USER;
        if let Some(segment) = parsed.segments().find(|segment| is_strange(segment)) {
            return Err(format!(
                "has the pattern {text:?} with the segment {segment:?}, but the only segment with braces is {USER:?}"
            ));
        }
        let segments = parsed.segments().enumerate();
        let users = segments
            .filter(|(_, segment)| *segment == USER)
            .map(|(at, _)| at)
            .collect();
        let destination = parse(parsed.canonical().replace(USER, "*"))?;
        Ok(RulePattern {
            text: text.into(),
            destination,
            users,
        })
    }

    /// The text as the application wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Compares the pattern with the destination of a client. `{user}` matches a segment that is equal to the name of
    /// the client's principal.
    pub(super) fn overlap(
        &self,
        destination: &Destination,
        principal: Option<&Principal>,
    ) -> Overlap {
        let mut overlap = if self.destination.contains(destination) {
            Overlap::Whole
        } else if destination.is_pattern() && self.destination.may_match(destination) {
            Overlap::Part
        } else {
            return Overlap::Nothing;
        };
        if self.users.is_empty() {
            return overlap;
        }
        let Some(name) = principal.map(Principal::name) else {
            return Overlap::NeedsPrincipal;
        };
        // A name such as `*` would equal a wildcard. A name with a separator is never one segment.
        if is_wildcard(name) || name.contains(['/', '.']) {
            return Overlap::Nothing;
        }
        for at in &self.users {
            match destination.segments().nth(*at) {
                Some(segment) if segment == name => {}
                Some(segment) if !is_wildcard(segment) => return Overlap::Nothing,
                // The client's pattern has a wildcard here, or `>` at an earlier segment. So it matches other names
                // too.
                _ => overlap = Overlap::Part,
            }
        }
        overlap
    }

    /// Returns true if, for every client, this pattern matches everything that `other` matches.
    pub(super) fn covers(&self, other: &RulePattern) -> bool {
        self.destination.contains(&other.destination)
            && self.users.iter().all(|at| other.users.contains(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(pattern: &str, destination: &str, name: Option<&str>) -> Overlap {
        let destination = syntax::destination_syntax()
            .parse(destination.to_owned())
            .unwrap();
        let principal = name.map(Principal::new);
        RulePattern::parse(pattern)
            .unwrap()
            .overlap(&destination, principal.as_ref())
    }

    #[test]
    fn user_matches_the_name_of_the_principal_as_one_segment() {
        for (pattern, destination, name, expected) in [
            ("/topic/{user}", "/topic/ann", "ann", Overlap::Whole),
            ("/topic/{user}.>", "/topic/ann", "ann", Overlap::Whole),
            ("/topic/{user}.>", "/topic/ann.a.>", "ann", Overlap::Whole),
            ("/topic/a.{user}.b", "/topic/a/ann/b", "ann", Overlap::Whole),
            ("/topic/{user}.>", "/topic/bob.a", "ann", Overlap::Nothing),
            ("/topic/{user}.>", "/topic/Ann", "ann", Overlap::Nothing),
            ("/topic/{user}.>", "/topic/bob.>", "ann", Overlap::Nothing),
            ("/topic/{user}.>", "/topic/*.a", "ann", Overlap::Part),
            ("/topic/a.{user}", "/topic/>", "ann", Overlap::Part),
            ("/topic/a.{user}", "/topic/a.>", "ann", Overlap::Part),
            ("/topic/a.b.{user}", "/topic/a.>", "ann", Overlap::Part),
            ("/topic/{user}.{user}", "/topic/ann.*", "ann", Overlap::Part),
            (
                "/topic/{user}.{user}",
                "/topic/ann.ann",
                "ann",
                Overlap::Whole,
            ),
            (
                "/topic/{user}.{user}",
                "/topic/ann.bob",
                "ann",
                Overlap::Nothing,
            ),
            ("/queue/{user}", "/queue/ann", "ann", Overlap::Whole),
        ] {
            assert_eq!(
                overlap(pattern, destination, Some(name)),
                expected,
                "{pattern} {destination}"
            );
        }
    }

    #[test]
    fn a_name_that_is_not_one_literal_segment_matches_nothing() {
        for name in ["*", ">", "#", "a.b", "a/b", "", "a/", "{user}"] {
            for destination in [
                "/topic/a.b",
                "/topic/*",
                "/topic/*.b",
                "/topic/>",
                "/topic/a",
            ] {
                let overlap = overlap("/topic/{user}.>", destination, Some(name));
                assert_ne!(overlap, Overlap::Whole, "{name} {destination}");
            }
        }
    }

    #[test]
    fn user_needs_a_principal_only_where_it_could_match() {
        let without = |destination: &str| overlap("/topic/a.{user}", destination, None);
        assert_eq!(without("/topic/a.b"), Overlap::NeedsPrincipal);
        assert_eq!(without("/topic/>"), Overlap::NeedsPrincipal);
        assert_eq!(without("/topic/b.b"), Overlap::Nothing);
    }

    #[test]
    fn invalid_patterns_are_refused_with_the_reason() {
        for (pattern, problem) in [
            (
                "/topic/a..b",
                r#"has an invalid pattern: The destination "/topic/a..b" has an empty segment."#,
            ),
            (
                "/queue/>.a",
                r#"has an invalid pattern: The destination "/queue/>.a" has the wildcard ">" before its last segment."#,
            ),
            (
                "/notes/>",
                r#"has the pattern "/notes/>", which is not below /topic/, /queue/, /user/, /temp-queue/"#,
            ),
            (
                "/>",
                r#"has the pattern "/>", which is not below /topic/, /queue/, /user/, /temp-queue/"#,
            ),
            (
                "/topic/{name}",
                r#"has the pattern "/topic/{name}" with the segment "{name}", but the only segment with braces is "{user}""#,
            ),
            (
                "/topic/a{user}",
                r#"has the pattern "/topic/a{user}" with the segment "a{user}", but the only segment with braces is "{user}""#,
            ),
        ] {
            assert_eq!(RulePattern::parse(pattern).unwrap_err(), problem);
        }
    }
}
