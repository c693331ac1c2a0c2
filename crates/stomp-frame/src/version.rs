//! Protocol versions, and the choice between them.

use crate::InvalidValue;
use std::{fmt, str::FromStr};

/// A version of the STOMP protocol. Later versions are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// STOMP 1.0: no escapes, no heart-beats, no `NACK`.
    V1_0,
    /// STOMP 1.1: adds negotiation, heart-beats, `NACK`, virtual hosts and escapes.
    V1_1,
    /// STOMP 1.2: adds CR to EOL and to the escapes, and the `ack` header of `MESSAGE`.
    V1_2,
}

impl Version {
    /// All versions, the lowest first.
    pub const ALL: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

    /// The version as it stands in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::V1_0 => "1.0",
            Version::V1_1 => "1.1",
            Version::V1_2 => "1.2",
        }
    }

    /// The highest version in common with a peer that sent this `accept-version` header.
    ///
    /// `None` as a header is STOMP 1.0: "If the `accept-version` header is missing, it means that the client only
    /// supports version 1.0 of the protocol" (1.2, "Protocol Negotiation"). Versions unknown here are skipped, and
    /// spaces around a version are allowed.
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
                .filter_map(|item| item.trim_matches(' ').parse().ok())
                .max(),
        }
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
        match text {
            "1.0" => Ok(Version::V1_0),
            "1.1" => Ok(Version::V1_1),
            "1.2" => Ok(Version::V1_2),
            _ => Err(InvalidValue("a version is one of 1.0, 1.1 and 1.2")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation_takes_whole_tokens_only() {
        assert_eq!(Version::negotiate(Some("1.2, 1.1")), Some(Version::V1_2));
        assert_eq!(Version::negotiate(Some("11.2,1.20")), None);
        assert_eq!(Version::negotiate(Some("")), None);
    }
}
