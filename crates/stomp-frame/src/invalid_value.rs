//! The error of text that is not a value of its type.

use crate::excerpt::Quoted;
use thiserror::Error;

/// Text that is not a [`Command`](crate::Command), [`Version`](crate::Version), [`AckMode`](crate::AckMode) or
/// [`HeartBeat`](crate::HeartBeat).
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
    /// The header, or another name for the kind of value.
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

    /// The text that was parsed, whole.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}
