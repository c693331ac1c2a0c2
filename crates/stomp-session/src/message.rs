//! Messages for subscribers.

use crate::{catch_drop::CatchDrop, error::BoxError, id::MessageId};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use std::{
    mem,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use stomp_frame::{Encoder, Headers, Version, header};

/// A message for a subscription: headers and a body.
///
/// Cloning is cheap, and clones share the encoded form: a message for many subscribers is encoded once for each version
/// of the protocol in use.
///
/// Each message has an [id](Message::id), and clones share it. A message with another header, key or destination is
/// another message and has another id, unless [`with_id`](Message::with_id) has set it.
///
/// The session adds `subscription`, `destination`, `message-id` and `content-length`. It does not send headers of the
/// message that have these names, nor `ack`, `receipt`, `receipt-id`, `transaction`, `redelivered`,
/// `dropped-messages` and `gap`.
#[derive(Debug, Clone)]
pub struct Message(Arc<Content>);

#[derive(Debug)]
struct Content {
    id: MessageId,
    parts: Parts,
    /// The weight, or 0 while it is not computed.
    weight: AtomicUsize,
    /// The encoded form for each version, created when it is first needed.
    tails: [OnceLock<Tail>; Version::ALL.len()],
}

#[derive(Debug, Clone, Default)]
struct Parts {
    /// The id that the application has set.
    own_id: Option<MessageId>,
    key: Option<ByteString>,
    destination: Option<ByteString>,
    /// True if [`Message::with_reply_to`] has set the header `reply-to`.
    has_reply_to: bool,
    headers: Headers,
    body: Bytes,
}

/// The part of an encoded `MESSAGE` frame from the header `message-id` to the end. The part before it differs between
/// subscriptions.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) bytes: Vec<u8>,
    /// True if the body is UTF-8.
    pub(crate) is_text: bool,
}

/// Headers that the session sets itself, or that belong to other frames.
const RESERVED: [&str; 11] = [
    header::ACK,
    header::CONTENT_LENGTH,
    header::DESTINATION,
    header::MESSAGE_ID,
    header::RECEIPT,
    header::RECEIPT_ID,
    header::SUBSCRIPTION,
    header::TRANSACTION,
    "dropped-messages",
    "gap",
    "redelivered",
];

impl Message {
    /// Creates a message with this body and no headers.
    pub fn new(body: impl Into<Bytes>) -> Message {
        Message::from_parts(Headers::new(), body.into())
    }

    /// Creates a message with these headers and this body.
    #[must_use]
    pub fn from_parts(headers: Headers, body: Bytes) -> Message {
        Message::from(Parts {
            headers,
            body,
            ..Parts::default()
        })
    }

    /// Sets the id. A message that an engine stores, or gets from another process, keeps its id in this way.
    #[must_use]
    pub fn with_id(self, id: MessageId) -> Message {
        self.with(|parts| parts.own_id = Some(id))
    }

    /// Adds a header after all others.
    #[must_use]
    pub fn with_header(self, name: &str, value: &str) -> Message {
        self.with(|parts| parts.headers.append(name, value))
    }

    /// Replaces the body. The headers stay.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Message {
        self.with(|parts| parts.body = body.into())
    }

    /// Sets the key, which names the thing that the message is about. Of several queued messages with the same key,
    /// [`Overflow::Conflate`](crate::Overflow::Conflate) keeps the latest one only. The key is not sent.
    #[must_use]
    pub fn with_key(self, key: impl Into<ByteString>) -> Message {
        self.with(|parts| parts.key = Some(key.into()))
    }

    /// Sets the destination to which the message was sent, for subscriptions to a pattern. If it is not set, the peer
    /// receives the destination of its subscription in the header `destination`.
    #[must_use]
    pub fn with_destination(self, destination: impl Into<ByteString>) -> Message {
        self.with(|parts| parts.destination = Some(destination.into()))
    }

    /// Sets the header `reply-to`, and confirms that the sender of the message may have its replies there: see
    /// [`Message::reply_to`].
    ///
    /// A broker sets it for a client whose `reply-to` it has checked. An application sets it in its own questions. Never
    /// pass on the `reply-to` of a client with it.
    #[must_use]
    pub fn with_reply_to(self, destination: &str) -> Message {
        self.with(|parts| {
            parts.headers.insert("reply-to", destination);
            parts.has_reply_to = true;
        })
    }

    /// Changes the parts. A message without clones keeps its id: nobody has seen it. Otherwise the change makes another
    /// message.
    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Message {
        if let Some(content) = Arc::get_mut(&mut self.0) {
            change(&mut content.parts);
            content.id = content.parts.own_id.unwrap_or(content.id);
            content.tails = Default::default();
            content.weight = AtomicUsize::default();
            return self;
        }
        let mut parts = self.0.parts.clone();
        change(&mut parts);
        Message::from(parts)
    }

    /// The id, which the peer receives in the header `message-id`. It names the message for ever: in each session, each
    /// version of the protocol, and each process, and when the message is redelivered.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.0.id
    }

    /// The key of the message, if [`with_key`](Message::with_key) set it.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.parts.key.as_deref()
    }

    /// The destination that the message was sent to, if [`with_destination`](Message::with_destination) set it.
    #[must_use]
    pub fn destination(&self) -> Option<&str> {
        self.0.parts.destination.as_deref()
    }

    /// The destination for replies, if [`with_reply_to`](Message::with_reply_to) set it.
    ///
    /// `None` for a message whose header `reply-to` came in another way, such as with [`Message::from_parts`] from the
    /// frame of a client. Nobody has checked that header, so a reply to it could go where the client may not send.
    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        let headers = Some(&self.0.parts.headers).filter(|_| self.0.parts.has_reply_to)?;
        headers.get("reply-to")
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.0.parts.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.parts.body
    }

    /// Size of the message as the limits count it: approximately its bytes on the wire.
    pub(crate) fn weight(&self) -> usize {
        const FRAME: usize = 128;
        let known = self.0.weight.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let Parts { headers, body, .. } = &self.0.parts;
        let headers: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        let weight = FRAME + headers + body.len();
        self.0.weight.store(weight, Ordering::Relaxed);
        weight
    }

    /// The encoded frame in `version`, from the header `message-id` to the end.
    pub(crate) fn tail(&self, version: Version) -> &Tail {
        let [v1_0, v1_1, v1_2] = &self.0.tails;
        let slot = match version {
            Version::V1_0 => v1_0,
            Version::V1_1 => v1_1,
            Version::V1_2 => v1_2,
        };
        slot.get_or_init(|| self.0.encode(Encoder::new(version)))
    }
}

impl From<Parts> for Message {
    fn from(parts: Parts) -> Message {
        Message(Arc::new(Content {
            // STOMP 1.2, "MESSAGE": "a message-id header with a unique identifier for that message".
            id: parts.own_id.unwrap_or_else(MessageId::random),
            parts,
            weight: AtomicUsize::default(),
            tails: Default::default(),
        }))
    }
}

impl Drop for Content {
    /// Catches panics of the body and of other texts, which may have destructors of the application. A message is dropped
    /// wherever it ends up last, and nobody there is at fault.
    fn drop(&mut self) {
        drop(CatchDrop::new(mem::take(&mut self.parts)));
    }
}

impl Content {
    fn encode(&self, encoder: Encoder) -> Tail {
        let Parts { headers, body, .. } = &self.parts;
        let mut out = BytesMut::with_capacity(128 + body.len());
        let mut put = |name: &str, value: &str| {
            if let Err(error) = encoder.header(name, value, &mut out) {
                // This happens only in 1.0 and 1.1, which cannot escape some characters. The rest of the message is
                // still useful.
                tracing::debug!(%error, "a header of a message cannot be encoded, and is omitted");
            }
        };
        put(header::MESSAGE_ID, self.id.text().as_str());
        for (index, (name, value)) in headers.iter().enumerate() {
            // Receivers use only the first of repeated headers: STOMP 1.2, "Repeated Header Entries".
            let is_repeated = headers.iter().take(index).any(|(before, _)| before == name);
            if !is_repeated && !RESERVED.contains(&name) {
                put(name, value);
            }
        }
        encoder.body(body, &mut out);
        Tail {
            // Most messages of a queue are encoded for one recipient. `Bytes` would cost them another allocation.
            bytes: out.into(),
            is_text: std::str::from_utf8(body).is_ok(),
        }
    }
}

/// Conversion into a [`Message`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a STOMP message",
    note = "send a `String`, `Bytes`, `Vec<u8>`, a `Message`, or wrap a serializable value in `Json`"
)]
pub trait IntoMessage {
    /// Converts the value.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized. A `Result` with an error returns that error.
    fn into_message(self) -> Result<Message, BoxError>;
}

impl IntoMessage for Message {
    fn into_message(self) -> Result<Message, BoxError> {
        Ok(self)
    }
}

impl IntoMessage for Bytes {
    fn into_message(self) -> Result<Message, BoxError> {
        Ok(Message::new(self))
    }
}

impl IntoMessage for Vec<u8> {
    fn into_message(self) -> Result<Message, BoxError> {
        Ok(Message::new(self))
    }
}

impl IntoMessage for String {
    fn into_message(self) -> Result<Message, BoxError> {
        Ok(Message::new(self).with_header(header::CONTENT_TYPE, "text/plain"))
    }
}

impl IntoMessage for &str {
    fn into_message(self) -> Result<Message, BoxError> {
        self.to_owned().into_message()
    }
}

impl<T: IntoMessage, E: Into<BoxError>> IntoMessage for Result<T, E> {
    fn into_message(self) -> Result<Message, BoxError> {
        self.map_err(Into::into)?.into_message()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_message_has_another_id_unless_the_application_has_set_it() {
        let template = Message::new("hi");
        let ids = ["1", "2"].map(|user| template.clone().with_header("user", user).id());
        assert_ne!(ids[0], ids[1]);
        assert_eq!(template.clone().id(), template.id());
        let id = template.id();
        let stored = Message::new("hi").with_id(id).with_key("k");
        assert_eq!(stored.with_destination("/a").with_header("a", "b").id(), id);
    }

    #[test]
    fn panics_of_bodies_are_caught_wherever_messages_are_dropped() {
        struct Body;
        impl AsRef<[u8]> for Body {
            fn as_ref(&self) -> &[u8] {
                b"body"
            }
        }
        impl Drop for Body {
            fn drop(&mut self) {
                panic!("a destructor of the application");
            }
        }
        // Without this, the second panic would abort the process.
        drop([(); 2].map(|()| Message::new(Bytes::from_owner(Body))));
    }

    #[test]
    fn reserved_headers_are_omitted_and_the_others_escaped() {
        let message = Message::new("hi")
            .with_header("a:b", "1")
            .with_header("subscription", "x");
        let tail = message.tail(Version::V1_2);
        let expected = format!(
            "message-id:{}\na\\cb:1\ncontent-length:2\n\nhi\0",
            message.id()
        );
        assert_eq!(tail.bytes, expected.as_bytes());
        assert!(tail.is_text);
    }

    #[test]
    fn headers_that_a_version_cannot_encode_are_omitted() {
        let message = Message::new(&b"\xff"[..])
            .with_header("x", "a\rb")
            .with_header("y", "c");
        let tail = message.tail(Version::V1_1);
        assert_eq!(
            tail.bytes,
            [
                format!("message-id:{}\ny:c\ncontent-length:1\n\n", message.id()).as_bytes(),
                b"\xff\0"
            ]
            .concat()
        );
        assert!(!tail.is_text);
    }
}
