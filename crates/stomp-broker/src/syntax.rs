//! The syntax of a broker's destinations.

use crate::{address::prefix, temporary_names};
use stomp_session::{Destination, DestinationSyntax, PrefixSyntax};

/// The syntax of the destinations below `/topic/`, `/queue/`, `/user/` and `/temp-queue/`.
///
/// Sessions with a broker need it in their [`Config::destinations`](stomp_session::Config::destinations), so that routes
/// and policies see the same destination in all its spellings. `webstomp::App::broker` adds it.
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

/// The syntax of the patterns in rules. A rule can cover many queues, although a subscription cannot.
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

/// Returns true for the public name of a temporary queue. A client knows such a name only if it was given it.
pub(crate) fn is_public_temporary(destination: &Destination) -> bool {
    let name = destination.canonical().strip_prefix(prefix::TEMPORARY);
    name.is_some_and(temporary_names::is_public_name)
}

/// Returns true if a canonical segment is a wildcard, provided that it is in a pattern.
pub(crate) fn is_wildcard(segment: &str) -> bool {
    matches!(segment, "*" | ">")
}

/// Returns true for a destination of the broker, as [`PREFIXES`] tell.
pub(crate) fn has_prefix(destination: &Destination) -> bool {
    let canonical = destination.canonical();
    PREFIXES.iter().any(|prefix| canonical.starts_with(prefix))
}

/// Returns true for a destination of the broker that another syntax parsed, and that [`destination_syntax`] would parse
/// in another way: it has a separator within a segment, an empty segment, or a wildcard that is no wildcard.
pub(crate) fn is_foreign(destination: &Destination) -> bool {
    has_prefix(destination)
        && destination.segments().any(|segment| {
            segment.is_empty()
                || segment.contains('.')
                || segment == "#"
                || (is_wildcard(segment) && !destination.is_pattern())
        })
}
