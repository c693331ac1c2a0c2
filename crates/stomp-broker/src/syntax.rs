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
/// | `/queue/` | `/` and `.` | no |
/// | `/temp-queue/` | `/` | no |
///
/// ```
/// # fn main() -> Result<(), stomp_session::InvalidDestination> {
/// let syntax = stomp_broker::syntax();
///
/// assert_eq!(syntax.parse("/queue/orders.eu")?, syntax.parse("/queue/orders/eu")?);
/// assert!(syntax.parse("/topic/orders.*")?.is_pattern());
/// assert!(syntax.parse("/queue/orders.*").is_err());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn syntax() -> DestinationSyntax {
    let topics = PrefixSyntax::dotted().with_patterns();
    DestinationSyntax::default()
        .with_prefix(prefix::TOPIC, topics)
        .with_prefix(prefix::USER, topics)
        .with_prefix(prefix::QUEUE, PrefixSyntax::dotted())
        .with_prefix(prefix::TEMPORARY, PrefixSyntax::default())
}
