//! The syntax of a broker's destinations.

use crate::address::prefix;
use stomp_session::{DestinationSyntax, PrefixSyntax};

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
