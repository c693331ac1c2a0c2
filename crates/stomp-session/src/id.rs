//! Identifiers of sessions, subscriptions, streams and deliveries.

use crate::unique_id::{UniqueId, UniqueIdText};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};
use thiserror::Error;

/// Identifier of a session, unique among all processes. It is a random number of 128 bits of a cryptographic generator,
/// so it cannot be guessed and does not tell how many sessions there are.
///
/// The peer receives it in the header `session` of `CONNECTED`. The text form is the same in
/// [`Display`](fmt::Display), [`FromStr`] and serde: 22 letters, digits, hyphens and underscores. An id that another
/// process issued parses too, but equals no id of this process.
///
/// The order of ids serves sorted collections. It has no other meaning, and does not tell which session is older.
///
/// ```
/// use stomp_session::{SessionId, Sessions};
///
/// let id: SessionId = "AkxFVmtYd0dQbVRyaEI2Zg".parse()?;
/// assert_eq!(id.to_string(), "AkxFVmtYd0dQbVRyaEI2Zg");
/// assert!(Sessions::default().get(id).is_none());
/// # Ok::<(), stomp_session::ParseIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(UniqueId);

/// Identifier of a message, unique among all processes: the header `message-id`.
///
/// A new [`Message`](crate::Message) gets a random number of 128 bits, so its id does not tell how many messages others
/// send. An engine that stores messages, or sends them to other processes, keeps the id with
/// [`Message::with_id`](crate::Message::with_id): then the message has the same id whenever it is delivered. For a
/// message that has no such id, because another program made it, the engine can compute the same number each time, for
/// example a hash of the names of its stream and of the message:
///
/// ```
/// use stomp_session::{Message, MessageId};
///
/// let id = MessageId::from(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(Message::new("7").with_id(id).id(), id);
/// ```
///
/// The text form is that of a [`SessionId`]. The order of ids has no meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(UniqueId);

/// Error: a text is not a valid [`SessionId`] or [`MessageId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id has 22 letters, digits, hyphens and underscores, and begins with A, B, C or D")]
#[non_exhaustive]
pub struct ParseIdError;

/// Key of a subscription within its session. Keys are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriptionKey(pub(crate) u64);

/// Identifies a stream that was attached to a subscription later, so that it can be removed alone. The stream that the
/// service returned for `SUBSCRIBE` has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamId(u64);

/// Number of a delivery that the peer has to acknowledge. Each session numbers these deliveries from 1, in the order of
/// sending. It stays in the process: the peer sees an `ack` id ([`AckIds`]) or a [`MessageId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct DeliveryTag(u64);

/// The ids by which a peer acknowledges the deliveries of a session in STOMP 1.2.
///
/// They begin with a part of the session's id. So an id that a client has kept over a reconnect does not match a
/// delivery of its new session.
#[derive(Debug)]
pub(crate) struct AckIds {
    /// The beginning of the session's id, and a dot.
    prefix: [u8; AckIds::PREFIX],
}

/// The text of an `ack` id. It needs no escapes in any version.
#[derive(Clone, Copy)]
pub(crate) struct AckIdText {
    /// The text is at the end.
    bytes: [u8; AckIdText::MAX],
    start: usize,
}

impl SessionId {
    /// Issues a new id.
    pub(crate) fn random() -> SessionId {
        SessionId(UniqueId::random())
    }

    pub(crate) fn text(self) -> UniqueIdText {
        self.0.text()
    }
}

impl MessageId {
    /// Issues a new id.
    pub(crate) fn random() -> MessageId {
        MessageId(UniqueId::random())
    }

    pub(crate) fn text(self) -> UniqueIdText {
        self.0.text()
    }
}

impl From<u128> for MessageId {
    fn from(number: u128) -> MessageId {
        MessageId(number.into())
    }
}

impl From<MessageId> for u128 {
    fn from(id: MessageId) -> u128 {
        id.0.into()
    }
}

/// Implements the text form of an id for `Display`, `Debug`, `FromStr` and serde.
macro_rules! text_form {
    ($id:ident) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self.0)
            }
        }

        impl FromStr for $id {
            type Err = ParseIdError;

            /// Accepts exactly the text that `Display` writes.
            fn from_str(text: &str) -> Result<$id, ParseIdError> {
                UniqueId::parse(text).map($id).ok_or(ParseIdError)
            }
        }

        impl Serialize for $id {
            /// Writes the text form as a string.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.text().as_str())
            }
        }

        impl<'de> Deserialize<'de> for $id {
            /// Reads the text form from a string.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$id, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(de::Error::custom)
            }
        }
    };
}

text_form!(SessionId);
text_form!(MessageId);

impl StreamId {
    /// Issues a new id.
    pub(crate) fn next() -> StreamId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        StreamId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl DeliveryTag {
    /// The tag before that of the first delivery.
    pub(crate) const NONE: DeliveryTag = DeliveryTag(0);
    pub(crate) const MAX: DeliveryTag = DeliveryTag(u64::MAX);

    /// Returns the tag of the next delivery.
    pub(crate) fn successor(self) -> DeliveryTag {
        DeliveryTag(self.0 + 1)
    }
}

impl SubscriptionKey {
    pub(crate) const MIN: SubscriptionKey = SubscriptionKey(1);
    pub(crate) const MAX: SubscriptionKey = SubscriptionKey(u64::MAX);
}

impl AckIds {
    /// Bytes before the first number. 8 of them are of the session's id: these 46 random bits separate the few sessions
    /// that one client has had.
    const PREFIX: usize = 9;

    pub(crate) fn new(session: SessionId) -> AckIds {
        let text = session.0.text();
        let mut prefix = [b'.'; AckIds::PREFIX];
        let id = text.as_str().bytes().take(AckIds::PREFIX - 1);
        prefix.iter_mut().zip(id).for_each(|(at, byte)| *at = byte);
        AckIds { prefix }
    }

    /// Writes the id of a delivery: the beginning of the session's id, the key of the subscription and the tag.
    pub(crate) fn text(&self, subscription: SubscriptionKey, tag: DeliveryTag) -> AckIdText {
        let mut bytes = [0; AckIdText::MAX];
        let mut free = bytes.iter_mut().rev();
        prepend_number(tag.0, &mut free);
        if let Some(at) = free.next() {
            *at = b'.';
        }
        prepend_number(subscription.0, &mut free);
        let end = free.len();
        let prefix = bytes.get_mut(..end).and_then(|it| it.last_chunk_mut());
        if let Some(prefix) = prefix {
            *prefix = self.prefix;
        }
        AckIdText {
            bytes,
            start: end.saturating_sub(AckIds::PREFIX),
        }
    }

    /// Parses an id that [`text`](AckIds::text) has written. Returns `None` if another session issued it, or nobody.
    pub(crate) fn parse(&self, text: &str) -> Option<(SubscriptionKey, DeliveryTag)> {
        let (prefix, rest) = text.as_bytes().split_first_chunk()?;
        let (subscription, rest) = split_number(rest)?;
        let (tag, rest) = split_number(rest.strip_prefix(b".")?)?;
        let is_own = *prefix == self.prefix && rest.is_empty();
        is_own.then_some((SubscriptionKey(subscription), DeliveryTag(tag)))
    }
}

impl AckIdText {
    /// A prefix, and two numbers of at most 20 digits with a dot between them.
    const MAX: usize = AckIds::PREFIX + 20 + 1 + 20;

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Writes the digits of a number, the last one first.
fn prepend_number<'a>(mut number: u64, free: &mut impl Iterator<Item = &'a mut u8>) {
    for at in free {
        // The remainder is a digit.
        *at = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return;
        }
    }
}

/// Parses a positive decimal number at the start of a text. It has no sign and no leading zeros, so that each number has
/// one text. Also returns the rest of the text.
fn split_number(mut text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    while let Some((digit @ b'0'..=b'9', rest)) = text.split_first() {
        number = number.checked_mul(10)?.checked_add((digit - b'0').into())?;
        if number == 0 {
            return None;
        }
        text = rest;
    }
    (number > 0).then_some((number, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_through_text_and_json() {
        let id = SessionId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<SessionId>("\"7\"").is_err());
        assert_eq!("7".parse::<MessageId>(), Err(ParseIdError));
    }

    #[test]
    fn an_ack_id_names_a_delivery_of_its_own_session_only() {
        let [ids, others] = [(); 2].map(|()| AckIds::new(SessionId::random()));
        let (key, tag) = (SubscriptionKey(1), DeliveryTag(17));
        let id = ids.text(key, tag);
        let text = std::str::from_utf8(id.as_bytes()).unwrap();
        assert!(text.ends_with(".1.17"), "{text}");
        assert_eq!(ids.parse(text), Some((key, tag)));
        assert_eq!(others.parse(text), None);
        let longest = ids.text(SubscriptionKey::MAX, DeliveryTag::MAX);
        let text = std::str::from_utf8(longest.as_bytes()).unwrap();
        let expected = Some((SubscriptionKey::MAX, DeliveryTag::MAX));
        assert_eq!((text.len(), ids.parse(text)), (AckIdText::MAX, expected));
    }

    #[test]
    fn only_the_canonical_text_of_an_ack_id_parses() {
        let ids = AckIds {
            prefix: *b"AbcdefgH.",
        };
        assert!(ids.parse("AbcdefgH.1.1").is_some());
        for text in [
            "",
            "1",
            "AbcdefgH",
            "AbcdefgH.",
            "AbcdefgH.1",
            "AbcdefgH.1.",
            "AbcdefgH..1",
            "AbcdefgH.0.1",
            "AbcdefgH.1.0",
            "AbcdefgH.1.01",
            "AbcdefgH.+1.1",
            "AbcdefgH.1.1 ",
            "AbcdefgH.1.1.1",
            "AbcdefgH 1.1",
            "abcdefgh.1.1",
            "AbcdefgH.1.99999999999999999999",
            "AbcdefgH.1.18446744073709551616",
        ] {
            assert_eq!(ids.parse(text), None, "{text:?}");
        }
    }
}
