//! The name of an authenticated peer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, sync::Arc};

/// Name under which a connect handler accepted a peer.
///
/// A session receives it with the answer to `CONNECT` and keeps it until its end. With serde it is a string. Cloning is
/// cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// A principal with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Principal {
        Principal(name.into())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Principal {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Principal {
    fn from(name: &str) -> Principal {
        Principal::new(name)
    }
}

impl From<String> for Principal {
    fn from(name: String) -> Principal {
        Principal::new(name)
    }
}

impl Serialize for Principal {
    /// Writes the name as a string.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Principal {
    /// Reads the name from a string.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Principal, D::Error> {
        String::deserialize(deserializer).map(Principal::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_convert_from_and_to_their_names() {
        let ann = Principal::new("ann");
        assert_eq!(Principal::from("ann"), ann);
        assert_eq!(Principal::from("ann".to_owned()), ann);
        assert_eq!(ann.as_ref(), "ann");
        assert_eq!(ann.to_string(), ann.name());
    }

    #[test]
    fn principals_round_trip_through_json_as_strings() {
        let name = Principal::new("ann \"x\" \u{e9}");
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "\"ann \\\"x\\\" \u{e9}\"");
        assert_eq!(serde_json::from_str::<Principal>(&json).unwrap(), name);
    }
}
