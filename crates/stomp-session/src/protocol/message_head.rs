//! The encoded heads of `MESSAGE` frames.

use bytes::{Bytes, BytesMut};
use stomp_frame::{Command, Encoder, Version, header};

/// Name of the header that marks a message that a client may have received before.
const REDELIVERED: &str = "redelivered";
/// Name of the header with the number of messages that were dropped before this one.
const DROPPED_MESSAGES: &str = "dropped-messages";

/// Encodes the beginning of `MESSAGE`, which is the same for all messages of a subscription.
pub(super) fn encode_prefix(version: Version, id: Option<&str>, destination: &str) -> Bytes {
    let encoder = Encoder::new(version);
    let mut out = BytesMut::new();
    encoder.command(Command::Message, &mut out);
    for (name, value) in [
        (header::SUBSCRIPTION, id),
        (header::DESTINATION, Some(destination)),
    ] {
        if let Some(value) = value {
            append(encoder, name, value, &mut out);
        }
    }
    out.freeze()
}

/// Headers that are specific to one delivery.
pub(super) struct DeliveryHeaders {
    /// Text of the delivery's tag, if the peer has to acknowledge it.
    pub(super) tag: Option<String>,
    pub(super) is_redelivered: bool,
    pub(super) dropped: u64,
}

impl DeliveryHeaders {
    pub(super) fn are_empty(&self) -> bool {
        self.tag.is_none() && !self.is_redelivered && self.dropped == 0
    }

    /// Returns `prefix` followed by these headers.
    pub(super) fn append_to(&self, prefix: &[u8], version: Version) -> Vec<u8> {
        let mut out = BytesMut::with_capacity(prefix.len() + 64);
        out.extend_from_slice(prefix);
        let mut add = |name, value| append(Encoder::new(version), name, value, &mut out);
        if let Some(tag) = &self.tag {
            add(
                if version == Version::V1_2 {
                    header::ACK
                } else {
                    header::MESSAGE_ID
                },
                tag,
            );
        }
        if self.is_redelivered {
            add(REDELIVERED, "true");
        }
        if self.dropped > 0 {
            add(DROPPED_MESSAGES, &self.dropped.to_string());
        }
        out.into()
    }
}

/// Appends a header. Its value came in a frame of the same version or is plain ASCII, so the version can encode it.
fn append(encoder: Encoder, name: &str, value: &str, out: &mut BytesMut) {
    let written = encoder.header(name, value, out);
    debug_assert!(written.is_ok(), "{written:?}");
}
