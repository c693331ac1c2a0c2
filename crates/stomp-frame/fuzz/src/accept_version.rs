//! Checks that `Version::negotiate` compares whole tokens, and returns the greatest known version.

use stomp_frame::Version;

use super::choices::Choices;

/// Checks the negotiation for an `accept-version` header.
pub fn check(input: &[u8]) {
    let header = Choices::new(input).text();
    let is_listed = |version: &Version| {
        header
            .split(',')
            .any(|token| token.trim_matches(' ') == version.as_str())
    };
    let greatest = Version::ALL.into_iter().rev().find(is_listed);
    assert_eq!(Version::negotiate(Some(&header)), greatest, "{header:?}");
}
