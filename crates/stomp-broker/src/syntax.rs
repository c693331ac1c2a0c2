//! The syntax of a broker's destinations.

use crate::temporary_names;
use std::sync::LazyLock;
use stomp_session::{Destination, DestinationSyntax, InvalidDestination, PrefixSyntax};

/// The prefix of the destinations of each scope.
pub(crate) mod prefix {
    pub(crate) const TOPIC: &str = "/topic/";
    pub(crate) const QUEUE: &str = "/queue/";
    pub(crate) const USER: &str = "/user/";
    pub(crate) const TEMPORARY: &str = "/temp-queue/";
}

/// The syntax of the destinations below `/topic/`, `/queue/`, `/user/` and `/temp-queue/`.
///
/// A session that uses a broker needs this syntax in its [`Config::destinations`](stomp_session::Config::destinations),
/// so that routes and policies see the same destination in all its spellings. `webstomp::App::broker` adds it.
///
/// | prefix | separators | patterns |
/// |---|---|---|
/// | `/topic/`, `/user/` | `/` and `.` | yes |
/// | `/queue/`, `/temp-queue/` | `/` and `.` | no |
///
/// ```
/// use stomp_broker::destination_syntax;
///
/// # fn main() -> Result<(), stomp_session::InvalidDestination> {
/// let syntax = destination_syntax();
/// assert_eq!(syntax.parse("/queue/a.b")?, syntax.parse("/queue/a/b")?);
/// assert!(syntax.parse("/topic/a.*")?.is_pattern());
/// assert!(syntax.parse("/queue/a.*").is_err());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn destination_syntax() -> DestinationSyntax {
    let dotted = PrefixSyntax::dotted();
    DestinationSyntax::default()
        .with_prefix(prefix::TOPIC, dotted.with_patterns())
        .with_prefix(prefix::USER, dotted.with_patterns())
        .with_prefix(prefix::QUEUE, dotted)
        .with_prefix(prefix::TEMPORARY, dotted)
}

/// Returns the [`destination_syntax`], which is created only once.
pub(crate) fn shared_syntax() -> &'static DestinationSyntax {
    static SYNTAX: LazyLock<DestinationSyntax> = LazyLock::new(destination_syntax);
    &SYNTAX
}

/// Returns the syntax of the patterns in rules and settings. Unlike a subscription, such a pattern can match many
/// queues.
pub(crate) fn rule_syntax() -> DestinationSyntax {
    let patterns = PrefixSyntax::dotted().with_patterns();
    destination_syntax()
        .with_prefix(prefix::QUEUE, patterns)
        .with_prefix(prefix::TEMPORARY, patterns)
}

/// All prefixes of a broker's destinations.
pub(crate) const PREFIXES: [&str; 4] = [
    prefix::TOPIC,
    prefix::QUEUE,
    prefix::USER,
    prefix::TEMPORARY,
];

/// Returns true if a destination has the form of a temporary queue's public name. These names are random, so a client
/// knows one only if it has received it.
pub(crate) fn is_public_temporary(destination: &Destination) -> bool {
    let name = destination.canonical().strip_prefix(prefix::TEMPORARY);
    name.is_some_and(temporary_names::is_public_name)
}

/// Returns true for `*` and `>`, the wildcards in the canonical text of a pattern.
pub(crate) fn is_wildcard(segment: &str) -> bool {
    matches!(segment, "*" | ">")
}

/// Returns true if a destination begins with one of the broker's [`PREFIXES`].
pub(crate) fn has_prefix(destination: &Destination) -> bool {
    let canonical = destination.canonical();
    PREFIXES.iter().any(|prefix| canonical.starts_with(prefix))
}

/// Returns a destination of the application as the broker parses it, in memory that it does not share.
///
/// This is not for destinations of clients: layers in front of the broker have decided about the session's value.
pub(crate) fn own(destination: &Destination) -> Result<Destination, InvalidDestination> {
    if is_foreign(destination) {
        shared_syntax().parse(destination.as_str().to_owned())
    } else {
        Ok(destination.copied())
    }
}

/// Returns true if another syntax parsed a destination of the broker, and [`destination_syntax`] would parse it
/// differently or refuse it.
///
/// This is also true for a pattern below a longer prefix of another syntax, such as `/topic/a/`. Below that prefix, the
/// pattern `/topic/a/>` does not match `/topic/a`; for the broker, it does.
pub(crate) fn is_foreign(destination: &Destination) -> bool {
    has_prefix(destination) && !shared_syntax().agrees_with(destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Syntaxes that a session might have instead of the broker's.
    fn others() -> [DestinationSyntax; 6] {
        let with = |syntax: PrefixSyntax| {
            let none = DestinationSyntax::default();
            PREFIXES
                .iter()
                .fold(none, |all, prefix| all.with_prefix(prefix, syntax))
        };
        [
            DestinationSyntax::default(),
            with(PrefixSyntax::default()),
            with(PrefixSyntax::default().with_patterns()),
            with(PrefixSyntax::dotted().with_patterns()),
            destination_syntax().with_prefix("/topic/a/", PrefixSyntax::dotted().with_patterns()),
            destination_syntax().with_prefix("/user/*/", PrefixSyntax::default().with_patterns()),
        ]
    }

    #[test]
    fn a_destination_of_any_session_becomes_that_of_the_broker() {
        for path in [
            "a", "a/b", "a.b", "a..b", "a/", "", "*", "a.*", "a/*", ">", "#", "a/#", "#/a", ">.a",
            "a\nb", "a\u{85}", "a*", "%2e", "a/>", "*/>",
        ] {
            for prefix in PREFIXES {
                let text = format!("{prefix}{path}");
                let expected = shared_syntax().parse(text.clone());
                for other in others() {
                    // The session refuses the destination before the broker sees it.
                    let Ok(parsed) = other.parse(text.clone()) else {
                        continue;
                    };
                    let own = own(&parsed);
                    assert_eq!(own, expected, "{text:?} {other:?}");
                    if let (Ok(own), Ok(expected)) = (own, expected.clone()) {
                        // Patterns are the same if they match the same destinations.
                        let is_same = own.contains(&expected) && expected.contains(&own);
                        assert!(is_same, "{text:?} {other:?}");
                    }
                }
            }
        }
    }
}
