//! `MESSAGE`: what is sent to a subscription.

use super::{Protocol, ledger};
use crate::{
    delivery::{Delivery, Settlement},
    id::SubscriptionKey,
    message::Tail,
};
use bytes::{Bytes, BytesMut};
use std::{borrow::Cow, mem};
use stomp_frame::{Command, Encoder, Version, header};

/// Tells that a message may have been seen before.
const REDELIVERED: &str = "redelivered";
/// Tells how many messages were dropped before this one.
const DROPPED_MESSAGES: &str = "dropped-messages";

/// A delivery as it is sent: what is the subscription's or its own, then what all share.
pub(crate) struct Encoded<'a> {
    pub(crate) prefix: Cow<'a, [u8]>,
    pub(crate) tail: &'a [u8],
    /// Whether the whole is UTF-8.
    pub(crate) is_text: bool,
}

impl Protocol {
    /// What is sent of a delivery, which then is. `None` if its subscription has ended.
    ///
    /// STOMP 1.2, "MESSAGE": "If the message is received from a subscription that requires explicit acknowledgment ...
    /// then the `MESSAGE` frame MUST also contain an `ack` header with an arbitrary value."
    pub(crate) fn delivery<'a>(
        &'a mut self,
        key: SubscriptionKey,
        delivery: &'a mut Delivery,
    ) -> Option<Encoded<'a>> {
        let Delivery {
            message,
            is_redelivered,
            dropped,
            settle,
        } = delivery;
        let (prefix, account) =
            self.subscriptions
                .receiver(key, message.destination(), self.version)?;
        let Tail {
            bytes: tail,
            is_text,
        } = message.tail(self.version);
        let (mut tail, is_text) = (&tail[..], *is_text);
        let settle = mem::take(settle);
        let mut own = OwnHeaders {
            is_redelivered: *is_redelivered,
            dropped: *dropped,
            name: None,
        };
        match account {
            None => settle.settle(Settlement::Acked),
            Some(account) => {
                let name = ledger::name_of(self.ledger.enter(account, message.weight(), settle));
                // Before 1.2 a delivery is acknowledged by its `message-id`, so that this is each delivery's own.
                if self.version < Version::V1_2 {
                    tail = without_message_id(tail);
                }
                own.name = Some(name);
            }
        }
        let prefix = if own.are_none() {
            prefix
        } else {
            Cow::Owned(own.added_to(&prefix, self.version))
        };
        Some(Encoded {
            prefix,
            tail,
            is_text,
        })
    }
}

/// The tail behind its first header, which is `message-id`.
fn without_message_id(tail: &[u8]) -> &[u8] {
    let line = tail
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    tail.get(line..).unwrap_or_default()
}

/// The headers that a delivery shares with no other.
struct OwnHeaders {
    /// Its name where it is to be acknowledged.
    name: Option<String>,
    is_redelivered: bool,
    dropped: u64,
}

impl OwnHeaders {
    fn are_none(&self) -> bool {
        self.name.is_none() && !self.is_redelivered && self.dropped == 0
    }

    fn added_to(&self, prefix: &[u8], version: Version) -> Vec<u8> {
        let mut out = BytesMut::with_capacity(prefix.len() + 64);
        out.extend_from_slice(prefix);
        let mut add = |name, value| put(Encoder::new(version), name, value, &mut out);
        if let Some(name) = &self.name {
            add(
                if version == Version::V1_2 {
                    header::ACK
                } else {
                    header::MESSAGE_ID
                },
                name,
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

/// `MESSAGE`, with the headers that are the same for all messages of a subscription.
pub(super) fn prefix(version: Version, id: Option<&str>, destination: &str) -> Bytes {
    let encoder = Encoder::new(version);
    let mut out = BytesMut::new();
    encoder.command(Command::Message, &mut out);
    for (name, value) in [
        (header::SUBSCRIPTION, id),
        (header::DESTINATION, Some(destination)),
    ] {
        if let Some(value) = value {
            put(encoder, name, value, &mut out);
        }
    }
    out.freeze()
}

/// Adds a header whose value came in a frame of the same version, or is plain: so the version can express it.
fn put(encoder: Encoder, name: &str, value: &str, out: &mut BytesMut) {
    let written = encoder.header(name, value, out);
    debug_assert!(written.is_ok(), "{written:?}");
}
