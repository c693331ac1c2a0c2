//! The error for text that cannot be parsed as a value.

use crate::excerpt::Quoted;
use thiserror::Error;

/// The error for text that is not a [`Command`](crate::Command), [`Version`](crate::Version),
/// [`AckMode`](crate::AckMode) or [`HeartBeat`](crate::HeartBeat).
///
/// ```
/// use stomp_frame::Version;
///
/// let invalid = "3.0".parse::<Version>().unwrap_err();
/// assert_eq!(invalid.to_string(), r#"version "3.0" is not 1.0, 1.1 or 1.2"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} {} is not {expected}", Quoted(.value))]
pub struct InvalidValue {
    /// The kind of value: the name of a header, `command` or `version`.
    name: &'static str,
    value: Box<str>,
    /// Completes the sentence "NAME VALUE is not …".
    expected: &'static str,
}

impl InvalidValue {
    pub(crate) fn new(name: &'static str, value: &str, expected: &'static str) -> InvalidValue {
        InvalidValue {
            name,
            value: value.into(),
            expected,
        }
    }

    /// The whole text that was parsed.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}
