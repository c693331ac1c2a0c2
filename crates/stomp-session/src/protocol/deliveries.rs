//! `MESSAGE`: what is sent to a subscription.

use super::{Protocol, SubscriptionKey, ledger};
use crate::{Delivery, Settlement};
use bytes::{Bytes, BytesMut};
use stomp_frame::{Command, Encoder, Version, header};
use stomp_socket::Encoded;

/// Tells that a message may have been seen before.
const REDELIVERED: &str = "redelivered";
/// Tells how many messages were dropped before this one.
const DROPPED_MESSAGES: &str = "dropped-messages";

impl Protocol {
    /// A delivery as it is sent. `None`, and it is unsent, if its subscription has ended.
    ///
    /// STOMP 1.2, "MESSAGE": "If the message is received from a subscription that requires explicit acknowledgment ...
    /// then the `MESSAGE` frame MUST also contain an `ack` header with an arbitrary value."
    pub(crate) fn delivery(&mut self, key: SubscriptionKey, delivery: Delivery) -> Option<Encoded> {
        let Delivery { message, is_redelivered, dropped, settle } = delivery;
        let (prefix, account) = self.subscriptions.receiver(key, message.destination(), self.version)?;
        let mut tail = message.tail(self.version);
        let mut own = OwnHeaders { is_redelivered, dropped, name: None };
        match account {
            None => settle.settle(Settlement::Acked),
            Some(account) => {
                let name = ledger::name_of(self.ledger.enter(account, message.weight(), settle));
                // Before 1.2 a delivery is acknowledged by its `message-id`, so that this is each delivery's own.
                if self.version < Version::V1_2 {
                    tail = tail.without_message_id();
                }
                own.name = Some(name);
            }
        }
        let prefix = if own.are_none() { prefix } else { own.added_to(&prefix, self.version) };
        Some(Encoded { prefix, tail: tail.bytes, is_text: tail.is_text })
    }
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

    fn added_to(&self, prefix: &Bytes, version: Version) -> Bytes {
        let mut out = BytesMut::with_capacity(prefix.len() + 64);
        out.extend_from_slice(prefix);
        let mut add = |name, value| put(Encoder::new(version), name, value, &mut out);
        if let Some(name) = &self.name {
            add(if version == Version::V1_2 { header::ACK } else { header::MESSAGE_ID }, name);
        }
        if self.is_redelivered {
            add(REDELIVERED, "true");
        }
        if self.dropped > 0 {
            add(DROPPED_MESSAGES, &self.dropped.to_string());
        }
        out.freeze()
    }
}

/// `MESSAGE`, with the headers that are the same for all messages of a subscription.
pub(super) fn prefix(version: Version, id: Option<&str>, destination: &str) -> Bytes {
    let encoder = Encoder::new(version);
    let mut out = BytesMut::new();
    encoder.command(Command::Message, &mut out);
    for (name, value) in [(header::SUBSCRIPTION, id), (header::DESTINATION, Some(destination))] {
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
