//! The encoded heads of `MESSAGE` frames.

use crate::{delivery::UNKNOWN_GAP, id::AckIdText};
use bytes::{Bytes, BytesMut};
use stomp_frame::{Command, Encoder, Version, header};

/// Name of the header that marks a message that a client may have received before.
const REDELIVERED: &str = "redelivered";
/// Name of the header with the number of messages that were dropped before this one.
const DROPPED_MESSAGES: &str = "dropped-messages";

/// Name of the header that marks a message before which an unknown number of others may be missing.
const GAP: &str = "gap";

/// Length of the command and of the two headers of a prefix, without their values.
const PREFIX_BYTES: usize = "MESSAGE\nsubscription:\ndestination:\n".len();

/// Encodes the beginning of a `MESSAGE`: the command, and the headers `subscription` and `destination`.
pub(super) fn encode_prefix(version: Version, id: Option<&str>, destination: &str) -> Bytes {
    let encoder = Encoder::new(version);
    // The room that the headers need, unless a value has to be escaped.
    let value_bytes = id.map_or(0, str::len) + destination.len();
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + value_bytes);
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

/// Returns true if a prefix ends with this destination, and the destination needs no escapes. Otherwise, it may be for this
/// destination or for another one.
pub(super) fn is_prefix_for(prefix: &[u8], destination: &str) -> bool {
    // `a\cb` stands for `a:b` in the prefix.
    if destination.contains('\\') {
        return false;
    }
    let before = prefix
        .strip_suffix(b"\n")
        .and_then(|prefix| prefix.strip_suffix(destination.as_bytes()));
    before.is_some_and(|before| before.ends_with(b"\ndestination:"))
}

/// Headers that are specific to one delivery.
pub(super) struct DeliveryHeaders {
    /// Value of the header `ack`, if the delivery has one.
    pub(super) ack: Option<AckIdText>,
    pub(super) is_redelivered: bool,
    /// Number of messages that are missing before this one, or [`UNKNOWN_GAP`].
    pub(super) missing: u64,
}

impl DeliveryHeaders {
    pub(super) fn are_empty(&self) -> bool {
        self.ack.is_none() && !self.is_redelivered && self.missing == 0
    }

    /// Appends these headers.
    pub(super) fn append_to(&self, version: Version, out: &mut BytesMut) {
        if let Some(id) = &self.ack {
            for part in [header::ACK.as_bytes(), b":", id.as_bytes(), b"\n"] {
                out.extend_from_slice(part);
            }
        }
        let mut add = |name, value| append(Encoder::new(version), name, value, out);
        if self.is_redelivered {
            add(REDELIVERED, "true");
        }
        match self.missing {
            0 => {}
            UNKNOWN_GAP => add(GAP, "unknown"),
            count => add(DROPPED_MESSAGES, &count.to_string()),
        }
    }
}

/// Appends a header. The version can encode each value: it came in a frame of this version, was checked before, or is
/// plain ASCII.
fn append(encoder: Encoder, name: &str, value: &str, out: &mut BytesMut) {
    let written = encoder.header(name, value, out);
    debug_assert!(written.is_ok(), "{written:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::{Delivery, Gap},
        message::Message,
    };

    fn encoded(gaps: &[Gap]) -> String {
        let delivery = gaps
            .iter()
            .fold(Delivery::new(Message::new("1")), |delivery, gap| {
                delivery.with_gap(*gap)
            });
        let headers = DeliveryHeaders {
            ack: None,
            is_redelivered: delivery.is_redelivered,
            missing: delivery.missing,
        };
        let mut out = BytesMut::new();
        headers.append_to(Version::V1_2, &mut out);
        String::from_utf8(out.into()).unwrap()
    }

    #[test]
    fn a_prefix_is_not_for_a_destination_that_looks_like_its_escaped_one() {
        let is_prefix_for = |subscribed, sent_to| {
            is_prefix_for(
                &encode_prefix(Version::V1_2, Some("0"), subscribed),
                sent_to,
            )
        };
        assert!(is_prefix_for("/a", "/a") && is_prefix_for("/a/é", "/a/é"));
        for (subscribed, sent_to) in [
            ("/a", "a"),
            ("/a", ""),
            ("/a:b", r"/a\cb"),
            (r"/a\b", r"/a\\b"),
        ] {
            assert!(
                !is_prefix_for(subscribed, sent_to),
                "{subscribed} {sent_to}"
            );
        }
    }

    #[test]
    fn a_gap_is_told_with_its_size_if_that_is_known() {
        let dropped = Gap::Dropped;
        for (gaps, expected) in [
            (&[][..], ""),
            (&[dropped(0)], ""),
            (&[dropped(3)], "dropped-messages:3\n"),
            (&[dropped(3), dropped(4)], "dropped-messages:7\n"),
            (&[Gap::Unknown], "gap:unknown\n"),
            (&[dropped(3), Gap::Unknown, dropped(1)], "gap:unknown\n"),
            (
                &[dropped(u64::MAX)],
                "dropped-messages:18446744073709551614\n",
            ),
        ] {
            assert_eq!(encoded(gaps), expected, "{gaps:?}");
        }
    }
}
