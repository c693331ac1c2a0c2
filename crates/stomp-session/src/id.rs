//! Identifiers of sessions, subscriptions, streams and deliveries.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};
use thiserror::Error;

/// Identifier of a session, unique in this process and almost certainly among all processes.
///
/// The peer receives it in the header `session` of `CONNECTED`. The text form is the same in
/// [`Display`](fmt::Display), [`FromStr`] and serde: 16 hexadecimal digits for the process, a hyphen, and a decimal
/// number. An id that another process issued parses too, but equals no id of this process.
///
/// Ids of one process are ordered by the time at which their sessions were created.
///
/// ```
/// use stomp_session::{SessionId, Sessions};
///
/// let id: SessionId = "0123456789abcdef-7".parse()?;
/// assert_eq!(id.to_string(), "0123456789abcdef-7");
/// assert!(Sessions::default().get(id).is_none());
/// # Ok::<(), stomp_session::ParseSessionIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Random number of the process that issued the id.
    process: u64,
    /// Number of the session in the process that issued the id, from 1.
    number: u64,
}

/// Error: a text is not a valid [`SessionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a session id is 16 lowercase hexadecimal digits, a hyphen and a decimal number without leading zeros"
)]
#[non_exhaustive]
pub struct ParseSessionIdError;

/// Key of a subscription within its session. Keys are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriptionKey(pub(crate) u64);

/// Identifies a stream that was attached to a subscription later, so that it can be removed alone. The stream that the
/// service returned for `SUBSCRIBE` has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamId(u64);

/// Number of a delivery that the peer has to acknowledge. Each session numbers these deliveries from 1, in the order of
/// sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct DeliveryTag(u64);

impl SessionId {
    /// Issues a new id of this process.
    pub(crate) fn next() -> SessionId {
        static PROCESS: LazyLock<u64> =
            LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
        static NEXT: AtomicU64 = AtomicU64::new(1);
        SessionId {
            process: *PROCESS,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.process, self.number)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    /// Accepts exactly the text that `Display` writes.
    fn from_str(text: &str) -> Result<SessionId, ParseSessionIdError> {
        let (process, number) = text.split_once('-').ok_or(ParseSessionIdError)?;
        let is_hexadecimal = process
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if process.len() != 16 || !is_hexadecimal {
            return Err(ParseSessionIdError);
        }
        Ok(SessionId {
            process: u64::from_str_radix(process, 16).map_err(|_| ParseSessionIdError)?,
            number: parse_canonical(number).ok_or(ParseSessionIdError)?,
        })
    }
}

impl Serialize for SessionId {
    /// Writes the text form as a string.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    /// Reads the text form from a string.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SessionId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl StreamId {
    /// Issues a new id.
    pub(crate) fn next() -> StreamId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        StreamId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl DeliveryTag {
    /// Returns the tag of the next delivery.
    pub(crate) fn successor(self) -> DeliveryTag {
        DeliveryTag(self.0 + 1)
    }

    /// Parses a tag in the form in which the peer received it. Returns `None` if the text is not a tag.
    pub(crate) fn parse(text: &str) -> Option<DeliveryTag> {
        text.strip_prefix('d')
            .and_then(parse_canonical)
            .map(DeliveryTag)
    }
}

impl fmt::Display for DeliveryTag {
    /// Writes the tag as the peer sees it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d{}", self.0)
    }
}

/// Parses a positive decimal number without a sign or leading zeros, so that each number has one text.
fn parse_canonical(digits: &str) -> Option<u64> {
    if !digits.starts_with(|first| ('1'..='9').contains(&first)) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_round_trip_through_text_and_json() {
        let id = SessionId::next();
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
    }

    #[test]
    fn an_id_of_another_process_differs_from_all_ids_of_this_one() {
        let id = SessionId::next();
        let other = SessionId {
            process: id.process ^ 1,
            ..id
        };
        let parsed: SessionId = other.to_string().parse().unwrap();
        assert_eq!(parsed, other);
        assert_ne!(parsed, id);
    }

    #[test]
    fn only_the_canonical_text_of_a_session_id_parses() {
        for text in [
            "",
            "-",
            "7",
            "0123456789abcdef",
            "0123456789abcdef-",
            "0123456789abcdef-0",
            "0123456789abcdef-07",
            "0123456789abcdef-+7",
            "0123456789abcdef-7 ",
            "0123456789abcdef-18446744073709551616",
            "0123456789ABCDEF-7",
            "+123456789abcdef-7",
            "123456789abcdef-7",
            "00123456789abcdef-7",
        ] {
            assert_eq!(
                text.parse::<SessionId>(),
                Err(ParseSessionIdError),
                "{text:?}"
            );
            let json = serde_json::to_string(text).unwrap();
            assert!(
                serde_json::from_str::<SessionId>(&json).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn only_the_canonical_text_of_a_delivery_tag_parses() {
        let tag = DeliveryTag::default().successor();
        assert_eq!(tag.to_string(), "d1");
        assert_eq!(DeliveryTag::parse("d1"), Some(tag));
        for text in [
            "",
            "d",
            "1",
            "d0",
            "d01",
            "d+1",
            "D1",
            "d1 ",
            "d99999999999999999999",
        ] {
            assert_eq!(DeliveryTag::parse(text), None, "{text:?}");
        }
    }
}
