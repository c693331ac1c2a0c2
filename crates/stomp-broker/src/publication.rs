//! A message with the options of its publication.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use stomp_session::{ClientError, Message, Principal, Request, SessionId};

/// The header of a message that sets or removes the retained message of its topic.
pub(crate) const RETAIN: &str = "retain";

/// The header with the time at which a message expires.
pub(crate) const EXPIRES: &str = "expires";

/// A message that an [engine](crate::Engine) is to publish, with the options of its publisher.
///
/// The broker reads the options from the headers of the message. The headers stay in the message for its recipients. An
/// engine uses only the fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Publication {
    /// The message. If it is for a topic, it names its destination: [`Message::destination`].
    pub message: Message,
    /// The effect of the message on the retained message of its topic. Default: [`Retain::Nothing`].
    pub retain: Retain,
    /// The time at which the message expires: see [`Engine`](crate::Engine). Default: `None`, so only the [time to
    /// live](crate::QueueSettings::time_to_live) of a queue applies.
    pub expires: Option<SystemTime>,
    /// True if [`publish`](crate::Engine::publish) completes only when the engine has accepted the message for good. It
    /// is false for a client's `SEND` without the header `receipt`: then `publish` may complete as soon as the engine
    /// has the message. Default: true.
    pub confirm: bool,
    /// The session of the client. `None` for the application, which is the default.
    pub session: Option<SessionId>,
    /// The principal of the client. Default: `None`.
    pub principal: Option<Principal>,
    /// The IP address of the client, if it is known. Default: `None`.
    pub peer_address: Option<IpAddr>,
}

/// The effect of a message on the retained message of its topic, which is the last value of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retain {
    /// The retained message stays as it is.
    #[default]
    Nothing,
    /// The message replaces the retained message.
    Set,
    /// The retained message is removed. Subscribers still get the message that removes it.
    Remove,
}

impl Publication {
    /// Creates a publication with the default options: it retains nothing, does not expire, and is confirmed.
    ///
    /// ```
    /// use stomp_broker::Publication;
    /// use stomp_session::Message;
    ///
    /// let publication = Publication::new(Message::new("42"));
    /// ```
    #[must_use]
    pub fn new(message: Message) -> Publication {
        Publication {
            message,
            retain: Retain::Nothing,
            expires: None,
            confirm: true,
            session: None,
            principal: None,
            peer_address: None,
        }
    }

    /// Creates a publication from the headers `retain` and `expires` of a message.
    ///
    /// # Errors
    ///
    /// Returns `bad-request` if `retain` is neither `set` nor `remove`, or if `expires` is not a number of milliseconds
    /// since 1970. `expires:0` means the same as no header.
    pub fn from_message(message: Message) -> Result<Publication, ClientError> {
        let headers = message.headers();
        let retain = read_retain(headers.get(RETAIN))?;
        let expires = read_expires(headers.get(EXPIRES))?;
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

    /// Sets [`Publication::session`].
    #[must_use]
    pub fn session(mut self, session: Option<SessionId>) -> Publication {
        self.session = session;
        self
    }

    /// Sets [`Publication::principal`].
    #[must_use]
    pub fn principal(mut self, principal: Option<Principal>) -> Publication {
        self.principal = principal;
        self
    }

    /// Sets [`Publication::peer_address`].
    #[must_use]
    pub fn peer_address(mut self, peer_address: Option<IpAddr>) -> Publication {
        self.peer_address = peer_address;
        self
    }

    /// Sets the fields that identify the client of a request.
    pub(crate) fn sent_by(self, request: &Request) -> Publication {
        self.session(Some(request.session().id()))
            .principal(request.principal().cloned())
            .peer_address(peer_address(request))
    }

    /// Returns true if the message has expired. Reads the clock only if [`Publication::expires`] is set.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= SystemTime::now())
    }
}

/// Returns the IP address of the client of a request, if it is known.
pub(crate) fn peer_address(request: &Request) -> Option<IpAddr> {
    request.peer().address.map(|address| address.ip())
}

/// Reads the value of the header [`RETAIN`], if there is one.
pub(crate) fn read_retain(value: Option<&str>) -> Result<Retain, ClientError> {
    value.map_or(Ok(Retain::Nothing), |value| {
        parse_retain(value).ok_or_else(|| bad_value(RETAIN, "set or remove", value))
    })
}

/// Reads the value of the header [`EXPIRES`], if there is one.
pub(crate) fn read_expires(value: Option<&str>) -> Result<Option<SystemTime>, ClientError> {
    value.map_or(Ok(None), |value| {
        parse_expires(value)
            .ok_or_else(|| bad_value(EXPIRES, "a number of milliseconds since 1970", value))
    })
}

fn parse_retain(value: &str) -> Option<Retain> {
    match value {
        "set" => Some(Retain::Set),
        "remove" => Some(Retain::Remove),
        _ => None,
    }
}

/// Parses milliseconds since 1970: digits, which spaces may surround, as in other headers with numbers. The inner value
/// is `None` for 0, and for times that the clock cannot express, however large.
fn parse_expires(value: &str) -> Option<Option<SystemTime>> {
    let digits = value.trim_matches(' ');
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = digits.parse().ok().filter(|millis| *millis > 0);
    Some(millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis))))
}

/// Creates the error `bad-request` for a header with an invalid value. `expected` describes the valid values.
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
        assert_eq!(expires("99999999999999999999"), Ok(None), "beyond 64 bits");
        for value in ["", "-1", "+1", "soon", "1.5"] {
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
