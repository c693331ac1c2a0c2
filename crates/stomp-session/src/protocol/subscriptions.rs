//! `SUBSCRIBE` and `UNSUBSCRIBE`: what the peer gets messages of.

use super::{Fault, Output, Protocol};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use std::{collections::VecDeque, time::Instant};
use stomp_frame::{AckMode, Command, Encoder, Frame, Version, header};

/// Which of a session's subscriptions. No two ever have the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriptionKey(u64);

/// All subscriptions of a session.
#[derive(Debug)]
pub(super) struct Subscriptions {
    limit: usize,
    next: u64,
    /// In the order of their keys.
    live: Vec<Subscription>,
    /// Ids of subscriptions that the server has ended, the oldest first. Clients unsubscribe from these as well.
    retired: VecDeque<ByteString>,
}

#[derive(Debug)]
struct Subscription {
    key: SubscriptionKey,
    /// In STOMP 1.0 it may be missing, and the destination stands for it.
    id: Option<ByteString>,
    destination: ByteString,
    /// How each of its messages begins.
    prefix: Bytes,
}

/// What is known of an id.
pub(super) enum Known {
    Live(SubscriptionKey),
    Retired,
    Never,
}

impl Subscriptions {
    pub(super) fn new(limit: usize) -> Subscriptions {
        Subscriptions { limit, next: 0, live: Vec::new(), retired: VecDeque::new() }
    }

    pub(super) fn prefix(&self, key: SubscriptionKey) -> Option<Bytes> {
        self.live.get(self.position(key)?).map(|subscription| subscription.prefix.clone())
    }

    pub(super) fn is_live(&self, key: SubscriptionKey) -> bool {
        self.position(key).is_some()
    }

    fn position(&self, key: SubscriptionKey) -> Option<usize> {
        self.live.binary_search_by_key(&key, |subscription| subscription.key).ok()
    }

    fn find(&self, name: &Name<'_>) -> Known {
        let live = self.live.iter().find(|subscription| match name {
            Name::Id(id) => subscription.id.as_deref() == Some(*id),
            Name::Destination(destination) => subscription.id.is_none() && *subscription.destination == **destination,
        });
        match live {
            Some(subscription) => Known::Live(subscription.key),
            None if self.retired.iter().any(|retired| **retired == *name.text()) => Known::Retired,
            None => Known::Never,
        }
    }

    fn insert(&mut self, id: Option<ByteString>, destination: ByteString, prefix: Bytes) -> SubscriptionKey {
        let key = SubscriptionKey(self.next);
        self.next += 1;
        self.forget(id.as_deref().unwrap_or(&destination));
        self.live.push(Subscription { key, id, destination, prefix });
        key
    }

    fn forget(&mut self, name: &str) {
        self.retired.retain(|retired| **retired != *name);
    }

    fn remember(&mut self, name: ByteString) {
        if self.retired.len() >= self.limit {
            self.retired.pop_front();
        }
        self.retired.push_back(name);
    }
}

/// How a frame names a subscription.
enum Name<'a> {
    Id(&'a str),
    Destination(&'a str),
}

impl Name<'_> {
    fn of(frame: &Frame) -> Name<'_> {
        match frame.headers.get(header::ID) {
            Some(id) => Name::Id(id),
            None => Name::Destination(frame.headers.get(header::DESTINATION).unwrap_or_default()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Name::Id(text) | Name::Destination(text) => text,
        }
    }
}

impl Protocol {
    /// STOMP 1.2, "SUBSCRIBE id Header": "Within the same connection, different subscriptions MUST use different
    /// subscription identifiers."
    pub(super) fn subscribe(&mut self, frame: Frame, now: Instant) -> Result<(), Fault> {
        self.check_length(header::DESTINATION, &frame)?;
        self.check_length(header::ID, &frame)?;
        let ack = frame.headers.get(header::ACK).map_or(Ok(AckMode::Auto), str::parse);
        match ack.map_err(|invalid| Fault::new("malformed-frame", format!("{invalid}.")).about(&frame))? {
            AckMode::Auto => {}
            AckMode::Client | AckMode::ClientIndividual => {
                return Err(Fault::unsupported("acknowledgments by clients", &frame));
            }
        }
        if matches!(self.subscriptions.find(&Name::of(&frame)), Known::Live(_)) {
            return Err(Fault::new("duplicate-subscription", "This id is in use already.").about(&frame));
        }
        if self.subscriptions.live.len() >= self.subscriptions.limit {
            let text = format!("A session has at most {} subscriptions.", self.subscriptions.limit);
            return Err(Fault::new("too-many-subscriptions", text).about(&frame));
        }
        let id = frame.headers.share(header::ID).map(|id| own(&id));
        let destination = own(frame.headers.get(header::DESTINATION).unwrap_or_default());
        let prefix = prefix(self.version, id.as_deref(), &destination);
        let key = self.subscriptions.insert(id, destination.clone(), prefix);
        self.output.push_back(Output::Subscribed(key, destination));
        self.call(frame, Some(key), now);
        Ok(())
    }

    /// STOMP 1.2, "UNSUBSCRIBE": the `id` header "MUST match the subscription identifier of an existing subscription."
    /// One that the server has ended is known only to the server, so it is accepted too.
    pub(super) fn unsubscribe(&mut self, mut frame: Frame, now: Instant) -> Result<(), Fault> {
        match self.subscriptions.find(&Name::of(&frame)) {
            Known::Live(key) => {
                if let Some(subscription) = self.remove(key) {
                    frame.headers.insert(header::DESTINATION, &subscription.destination);
                }
                self.call(frame, None, now);
            }
            Known::Retired => {
                self.subscriptions.forget(Name::of(&frame).text());
                self.receipt(frame.headers.share(header::RECEIPT));
            }
            Known::Never => {
                return Err(Fault::new("unknown-subscription", "There is no subscription of this id.").about(&frame));
            }
        }
        Ok(())
    }

    /// Ends a subscription from this side, and gives the id that the peer knows it by.
    pub(super) fn retire(&mut self, key: SubscriptionKey) -> Option<ByteString> {
        let Subscription { id, destination, .. } = self.remove(key)?;
        self.subscriptions.remember(id.clone().unwrap_or(destination));
        id
    }

    pub(super) fn unsubscribe_all(&mut self) {
        while let Some(subscription) = self.subscriptions.live.pop() {
            self.output.push_back(Output::Unsubscribed(subscription.key));
        }
    }

    fn remove(&mut self, key: SubscriptionKey) -> Option<Subscription> {
        let subscription = self.subscriptions.live.remove(self.subscriptions.position(key)?);
        self.output.push_back(Output::Unsubscribed(key));
        Some(subscription)
    }

    /// Destinations and ids are opaque, but not endless.
    pub(super) fn check_length(&self, name: &str, frame: &Frame) -> Result<(), Fault> {
        let limit = self.config.destination;
        match frame.headers.get(name) {
            Some(value) if value.len() > limit => {
                Err(Fault::new("too-large", format!("The header {name} has at most {limit} octets.")).about(frame))
            }
            _ => Ok(()),
        }
    }
}

/// A copy: what a subscription keeps must not keep the buffer alive that its frame was read into.
fn own(text: &str) -> ByteString {
    ByteString::from(text.to_owned())
}

/// `MESSAGE`, with the headers that are the same for all messages of a subscription.
fn prefix(version: Version, id: Option<&str>, destination: &str) -> Bytes {
    let encoder = Encoder::new(version);
    let mut out = BytesMut::new();
    encoder.command(Command::Message, &mut out);
    for (name, value) in [(header::SUBSCRIPTION, id), (header::DESTINATION, Some(destination))] {
        // These values came in frames of the same version, so it can express them.
        let written = value.map_or(Ok(()), |value| encoder.header(name, value, &mut out));
        debug_assert!(written.is_ok(), "{written:?}");
    }
    out.freeze()
}
