//! The error for a setting with an invalid value.

use std::{borrow::Cow, time::Duration};
use thiserror::Error;

/// The error for a setting with an invalid value. It names the setting and the problem.
///
/// The method `validate` of each configuration returns this error. Servers validate their configuration before they
/// accept the first connection.
///
/// ```
/// use stomp_frame::Limits;
///
/// let invalid = Limits::default().max_headers(0).validate().unwrap_err();
/// assert_eq!(invalid.to_string(), "max_headers is 0, but must be at least 1");
/// assert_eq!(invalid.within("limits").setting(), "limits.max_headers");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting} {problem}")]
pub struct InvalidConfig {
    setting: Cow<'static, str>,
    problem: Cow<'static, str>,
}

impl InvalidConfig {
    /// Creates an error about `setting`. `problem` completes the sentence that begins with the setting's name.
    pub fn new(setting: &'static str, problem: impl Into<Cow<'static, str>>) -> InvalidConfig {
        InvalidConfig {
            setting: Cow::Borrowed(setting),
            problem: problem.into(),
        }
    }

    /// Checks that the value of `setting` is at least 1.
    ///
    /// # Errors
    ///
    /// Returns an error that names `setting` if the value is 0.
    pub fn reject_zero(setting: &'static str, value: usize) -> Result<(), InvalidConfig> {
        if value > 0 {
            return Ok(());
        }
        Err(InvalidConfig::new(setting, "is 0, but must be at least 1"))
    }

    /// Checks that the duration of `setting` is not zero.
    ///
    /// # Errors
    ///
    /// Returns an error that names `setting` if the duration is zero.
    pub fn reject_zero_duration(
        setting: &'static str,
        duration: Duration,
    ) -> Result<(), InvalidConfig> {
        if duration.is_zero() {
            return Err(InvalidConfig::new(setting, "is zero, but must be longer"));
        }
        Ok(())
    }

    /// The name of the setting, as a path of field names.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Prefixes the name of the setting with `parent`, the name of the field that contains the setting's configuration.
    #[must_use]
    pub fn within(self, parent: &str) -> InvalidConfig {
        InvalidConfig {
            setting: format!("{parent}.{}", self.setting).into(),
            ..self
        }
    }
}
