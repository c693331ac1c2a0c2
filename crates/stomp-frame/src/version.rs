//! Protocol versions and their negotiation.

use crate::InvalidValue;
use std::{fmt, str::FromStr};

/// A version of the STOMP protocol. Later versions compare greater.
///
/// ```
/// use stomp_frame::Version;
///
/// assert_eq!("1.2".parse(), Ok(Version::V1_2));
/// assert_eq!(Version::V1_2.to_string(), "1.2");
/// assert!(Version::V1_0 < Version::V1_2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// STOMP 1.0: no escapes, no heart-beats, no `NACK`.
    V1_0,
    /// STOMP 1.1: adds negotiation, heart-beats, `NACK`, virtual hosts and escapes.
    V1_1,
    /// STOMP 1.2: allows CR LF at the end of a line, and adds an escape for CR and the `ack` header of `MESSAGE`.
    V1_2,
}

impl Version {
    /// All versions, from the lowest to the highest.
    pub const ALL: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

    /// The version as written in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::V1_0 => "1.0",
            Version::V1_1 => "1.1",
            Version::V1_2 => "1.2",
        }
    }

    /// The highest version that the client's `accept-version` header lists and this crate supports; `None` if there is
    /// none.
    ///
    /// A missing header means STOMP 1.0: "If the `accept-version` header is missing, it means that the client only
    /// supports version 1.0 of the protocol" (1.2, "Protocol Negotiation"). Unknown versions are skipped, and spaces
    /// around a version are allowed.
    ///
    /// ```
    /// use stomp_frame::Version;
    ///
    /// assert_eq!(Version::negotiate(Some("1.0,1.1,2.0")), Some(Version::V1_1));
    /// assert_eq!(Version::negotiate(None), Some(Version::V1_0));
    /// assert_eq!(Version::negotiate(Some("2.0")), None);
    /// ```
    #[must_use]
    pub fn negotiate(accept_version: Option<&str>) -> Option<Version> {
        match accept_version {
            None => Some(Version::V1_0),
            Some(list) => list
                .split(',')
                .filter_map(|item| Version::from_token(item.trim_matches(' ')))
                .max(),
        }
    }

    /// Parses a version without allocating an error: clients may list any number of unknown versions.
    fn from_token(token: &str) -> Option<Version> {
        Version::ALL
            .into_iter()
            .find(|version| version.as_str() == token)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Version::from_token(text)
            .ok_or_else(|| InvalidValue::new("version", text, "1.0, 1.1 or 1.2"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation_compares_whole_tokens() {
        assert_eq!(Version::negotiate(Some("1.2, 1.1")), Some(Version::V1_2));
        assert_eq!(Version::negotiate(Some("11.2,1.20")), None);
        assert_eq!(Version::negotiate(Some("")), None);
    }
}
