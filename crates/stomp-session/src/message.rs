//! Messages for subscribers.

use crate::error::BoxError;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};
use stomp_frame::{Encoder, Headers, Version, header};

/// A message for a subscription: headers and a body.
///
/// Cloning is cheap, and clones share the encoded form: a message for many subscribers is encoded once for each version
/// of the protocol in use.
///
/// The session adds `subscription`, `destination`, `message-id` and `content-length`. It does not send headers of the
/// message that have these names, nor `ack`, `receipt`, `receipt-id`, `transaction`, `redelivered`,
/// `dropped-messages` and `gap`.
#[derive(Debug, Clone)]
pub struct Message(Arc<Content>);

#[derive(Debug)]
struct Content {
    id: u64,
    key: Option<ByteString>,
    destination: Option<ByteString>,
    headers: Headers,
    body: Bytes,
    /// The encoded form for each version, created when it is first needed.
    tails: [OnceLock<Tail>; Version::ALL.len()],
}

/// The part of an encoded `MESSAGE` frame from the header `message-id` to the end. The part before it differs between
/// subscriptions.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) bytes: Bytes,
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
        Message::with_new_id(None, None, headers, body)
    }

    fn with_new_id(
        key: Option<ByteString>,
        destination: Option<ByteString>,
        headers: Headers,
        body: Bytes,
    ) -> Message {
        // STOMP 1.2, "MESSAGE": "a message-id header with a unique identifier for that message".
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Message(Arc::new(Content {
            id,
            key,
            destination,
            headers,
            body,
            tails: Default::default(),
        }))
    }

    /// Adds a header after all others.
    #[must_use]
    pub fn with_header(self, name: &str, value: &str) -> Message {
        let (key, destination, mut headers, body) = self.into_parts();
        headers.append(name, value);
        Message::with_new_id(key, destination, headers, body)
    }

    /// Replaces the body. The headers stay.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Message {
        let (key, destination, headers, _) = self.into_parts();
        Message::with_new_id(key, destination, headers, body.into())
    }

    /// Sets the key, which names the thing that the message is about. Of several queued messages with the same key,
    /// [`Overflow::Conflate`](crate::Overflow::Conflate) keeps the latest one only. The key is not sent.
    #[must_use]
    pub fn with_key(self, key: impl Into<ByteString>) -> Message {
        let (_, destination, headers, body) = self.into_parts();
        Message::with_new_id(Some(key.into()), destination, headers, body)
    }

    /// Sets the destination to which the message was sent, for subscriptions to a pattern. If it is not set, the peer
    /// receives the destination of its subscription in the header `destination`.
    #[must_use]
    pub fn with_destination(self, destination: impl Into<ByteString>) -> Message {
        let (key, _, headers, body) = self.into_parts();
        Message::with_new_id(key, Some(destination.into()), headers, body)
    }

    fn into_parts(self) -> (Option<ByteString>, Option<ByteString>, Headers, Bytes) {
        match Arc::try_unwrap(self.0) {
            Ok(Content {
                key,
                destination,
                headers,
                body,
                ..
            }) => (key, destination, headers, body),
            Err(shared) => (
                shared.key.clone(),
                shared.destination.clone(),
                shared.headers.clone(),
                shared.body.clone(),
            ),
        }
    }

    /// The key of the message, if [`with_key`](Message::with_key) set it.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The destination that the message was sent to, if [`with_destination`](Message::with_destination) set it.
    #[must_use]
    pub fn destination(&self) -> Option<&str> {
        self.0.destination.as_deref()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Size of the message as the limits count it: approximately its bytes on the wire.
    pub(crate) fn weight(&self) -> usize {
        const FRAME: usize = 128;
        let headers: usize = self
            .0
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        FRAME + headers + self.0.body.len()
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

impl Content {
    fn encode(&self, encoder: Encoder) -> Tail {
        let mut out = BytesMut::with_capacity(128 + self.body.len());
        let mut put = |name: &str, value: &str| {
            if let Err(error) = encoder.header(name, value, &mut out) {
                // This happens only in 1.0 and 1.1, which cannot escape some characters. The rest of the message is
                // still useful.
                tracing::debug!(%error, "a header of a message cannot be encoded, and is omitted");
            }
        };
        put(header::MESSAGE_ID, &self.id.to_string());
        for (index, (name, value)) in self.headers.iter().enumerate() {
            // Receivers use only the first of repeated headers: STOMP 1.2, "Repeated Header Entries".
            let is_repeated = self
                .headers
                .iter()
                .take(index)
                .any(|(before, _)| before == name);
            if !is_repeated && !RESERVED.contains(&name) {
                put(name, value);
            }
        }
        encoder.body(&self.body, &mut out);
        Tail {
            bytes: out.freeze(),
            is_text: std::str::from_utf8(&self.body).is_ok(),
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
    fn reserved_headers_are_omitted_and_the_others_escaped() {
        let message = Message::new("hi")
            .with_header("a:b", "1")
            .with_header("subscription", "x");
        let tail = message.tail(Version::V1_2);
        let expected = format!(
            "message-id:{}\na\\cb:1\ncontent-length:2\n\nhi\0",
            message.0.id
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
                format!("message-id:{}\ny:c\ncontent-length:1\n\n", message.0.id).as_bytes(),
                b"\xff\0"
            ]
            .concat()
        );
        assert!(!tail.is_text);
    }
}
