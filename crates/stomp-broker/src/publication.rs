//! A message as a publisher hands it to an engine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stomp_session::{ClientError, Message};

/// The header of a message that sets or removes the retained message of its topic.
const RETAIN: &str = "retain";

/// The header with the time at which a message expires.
const EXPIRES: &str = "expires";

/// A message, and what its publisher asks of the [engine](crate::Engine).
///
/// The broker creates publications from the headers of messages. The headers stay in the message, so that consumers get
/// them; an engine decides by the fields alone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Publication {
    /// The message. One for a topic names its destination: [`Message::destination`].
    pub message: Message,
    /// The effect on the retained message of the topic. Default: [`Retain::Nothing`].
    pub retain: Retain,
    /// The time from which on the message is not delivered. Default: `None`, never.
    pub expires: Option<SystemTime>,
    /// True if the publisher waits until the engine has accepted the message for good, as does the application and a
    /// client whose `SEND` has a `receipt`. Otherwise an engine may complete
    /// [`publish`](crate::Engine::publish) as soon as it has taken the message over. Default: true.
    pub confirm: bool,
}

/// The effect of a message on the retained message, the last value, of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retain {
    /// The retained message stays as it is.
    #[default]
    Nothing,
    /// The message becomes the retained one, in place of the previous one.
    Set,
    /// The topic has no retained message any more. Subscribers get the message that removes it.
    Remove,
}

impl Publication {
    /// Creates a publication that retains nothing, never expires, and is confirmed.
    #[must_use]
    pub fn new(message: Message) -> Publication {
        Publication {
            message,
            retain: Retain::Nothing,
            expires: None,
            confirm: true,
        }
    }

    /// Creates a publication from the headers `retain` and `expires` of a message.
    ///
    /// # Errors
    ///
    /// `bad-request` if `retain` is neither `set` nor `remove`, or if `expires` is not a number. `expires:0` means
    /// never.
    pub fn from_message(message: Message) -> Result<Publication, ClientError> {
        let headers = message.headers();
        let retain = headers.get(RETAIN).map_or(Ok(Retain::Nothing), |value| {
            parse_retain(value).ok_or_else(|| bad_value(RETAIN, "set or remove", value))
        })?;
        let expires = headers.get(EXPIRES).map_or(Ok(None), |value| {
            parse_expires(value)
                .ok_or_else(|| bad_value(EXPIRES, "a number of milliseconds since 1970", value))
        })?;
        Ok(Publication::new(message).retain(retain).expires(expires))
    }

    /// Sets [`Publication::retain`].
    #[must_use]
    pub fn retain(mut self, retain: Retain) -> Publication {
        self.retain = retain;
        self
    }

    /// Sets [`Publication::expires`].
    #[must_use]
    pub fn expires(mut self, expires: Option<SystemTime>) -> Publication {
        self.expires = expires;
        self
    }

    /// Sets [`Publication::confirm`].
    #[must_use]
    pub fn confirm(mut self, confirm: bool) -> Publication {
        self.confirm = confirm;
        self
    }

    /// Returns true if the message has expired. Reads the clock only if it can expire.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= SystemTime::now())
    }
}

fn parse_retain(value: &str) -> Option<Retain> {
    match value {
        "set" => Some(Retain::Set),
        "remove" => Some(Retain::Remove),
        _ => None,
    }
}

/// Parses milliseconds since 1970. 0 and times that the clock cannot express mean never.
fn parse_expires(value: &str) -> Option<Option<SystemTime>> {
    let millis = value.parse::<u64>().ok()?;
    Some(if millis == 0 {
        None
    } else {
        UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    })
}

/// Creates the error `bad-request` for a header with a value other than `expected`.
pub(crate) fn bad_value(header: &str, expected: &str, value: &str) -> ClientError {
    let start: String = value.chars().take(32).collect();
    let text = format!("The header {header} must be {expected}, but is {start:?}.");
    ClientError::new("bad-request", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(name: &str, value: &str) -> Result<Publication, String> {
        Publication::from_message(Message::new("").with_header(name, value))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_header_retain_is_set_or_remove() {
        assert_eq!(published("retain", "set").unwrap().retain, Retain::Set);
        assert_eq!(
            published("retain", "remove").unwrap().retain,
            Retain::Remove
        );
        assert_eq!(published("a", "b").unwrap().retain, Retain::Nothing);
        assert_eq!(
            published("retain", "true").unwrap_err(),
            "bad-request: The header retain must be set or remove, but is \"true\"."
        );
    }

    #[test]
    fn the_header_expires_is_a_time_in_milliseconds() {
        let expires = |value: &str| published("expires", value).map(|it| it.expires);
        assert_eq!(
            expires("1500"),
            Ok(Some(UNIX_EPOCH + Duration::from_millis(1_500)))
        );
        assert_eq!(expires("0"), Ok(None));
        assert!(expires(&u64::MAX.to_string()).is_ok());
        for value in ["", "-1", "soon", "1.5"] {
            assert!(expires(value).is_err(), "{value:?}");
        }
        assert!(published("expires", "1").unwrap().has_expired());
        assert!(
            !published("expires", &u64::MAX.to_string())
                .unwrap()
                .has_expired()
        );
    }
}
