//! `SUBSCRIBE` and `UNSUBSCRIBE`: what the peer gets messages of.

use super::{Fault, Output, Protocol, deliveries, ledger::Account};
use crate::id::SubscriptionKey;
use bytes::Bytes;
use bytestring::ByteString;
use std::{borrow::Cow, collections::VecDeque, time::Instant};
use stomp_frame::{AckMode, Frame, Version, header};
use stomp_socket::CloseCode;

/// All subscriptions of a session.
#[derive(Debug)]
pub(super) struct Subscriptions {
    limit: usize,
    next: u64,
    /// In the order of their keys.
    live: Vec<Subscription>,
    /// The last ids that are no longer in use, the oldest first.
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Subscription {
    key: SubscriptionKey,
    /// In STOMP 1.0 it may be missing, and the destination stands for it.
    id: Option<ByteString>,
    destination: ByteString,
    /// How each of its messages begins.
    prefix: Bytes,
    /// What waits to be acknowledged, unless nothing has to be.
    account: Option<Account>,
}

#[derive(Debug)]
struct Ended {
    name: ByteString,
    /// The peer may not know that it has ended, and may yet unsubscribe.
    by_server: bool,
}

/// What is known of an id.
pub(super) enum Known {
    Live(SubscriptionKey),
    /// The server has ended it. Clients unsubscribe from these as well.
    Retired,
    /// The peer has ended it.
    Left,
    Never,
}

impl Subscriptions {
    pub(super) fn new(limit: usize) -> Subscriptions {
        Subscriptions {
            limit,
            next: 0,
            live: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    pub(super) fn is_live(&self, key: SubscriptionKey) -> bool {
        self.position(key).is_some()
    }

    fn position(&self, key: SubscriptionKey) -> Option<usize> {
        self.live
            .binary_search_by_key(&key, |subscription| subscription.key)
            .ok()
    }

    fn get(&self, key: SubscriptionKey) -> Option<&Subscription> {
        self.live.get(self.position(key)?)
    }

    /// How a message that was sent to `destination` begins for a subscription, and what of it waits to be acknowledged.
    pub(super) fn receiver(
        &mut self,
        key: SubscriptionKey,
        destination: Option<&str>,
        version: Version,
    ) -> Option<(Cow<'_, [u8]>, Option<&mut Account>)> {
        let position = self.position(key)?;
        let Subscription {
            id,
            destination: own,
            prefix,
            account,
            ..
        } = self.live.get_mut(position)?;
        // Not every version can express all destinations; these are not worth an exception.
        let is_told = |sent_to: &&str| **sent_to != **own && !sent_to.contains(['\r', '\n', '\0']);
        let prefix = match destination.filter(is_told) {
            None => Cow::Borrowed(&prefix[..]),
            Some(destination) => {
                Cow::Owned(deliveries::prefix(version, id.as_deref(), destination).into())
            }
        };
        Some((prefix, account.as_mut()))
    }

    pub(super) fn account(&mut self, key: SubscriptionKey) -> Option<&mut Account> {
        let position = self.position(key)?;
        self.live.get_mut(position)?.account.as_mut()
    }

    /// All subscriptions whose messages are to be acknowledged.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (SubscriptionKey, &Account)> {
        self.live
            .iter()
            .filter_map(|subscription| Some((subscription.key, subscription.account.as_ref()?)))
    }

    pub(super) fn find_id(&self, id: &str) -> Known {
        self.find(&Name::Id(id))
    }

    fn find(&self, name: &Name<'_>) -> Known {
        let live = self.live.iter().find(|subscription| match name {
            Name::Id(id) => subscription.id.as_deref() == Some(*id),
            Name::Destination(destination) => {
                subscription.id.is_none() && *subscription.destination == **destination
            }
        });
        match (
            live,
            self.ended.iter().find(|ended| *ended.name == *name.text()),
        ) {
            (Some(subscription), _) => Known::Live(subscription.key),
            (
                None,
                Some(Ended {
                    by_server: true, ..
                }),
            ) => Known::Retired,
            (None, Some(_)) => Known::Left,
            (None, None) => Known::Never,
        }
    }

    fn insert(
        &mut self,
        id: Option<ByteString>,
        destination: ByteString,
        prefix: Bytes,
        account: Option<Account>,
    ) -> SubscriptionKey {
        let key = SubscriptionKey(self.next);
        self.next += 1;
        self.live.push(Subscription {
            key,
            id,
            destination,
            prefix,
            account,
        });
        key
    }

    fn remember(&mut self, name: ByteString, by_server: bool) {
        self.ended.retain(|ended| ended.name != name);
        if self.ended.len() >= self.limit {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { name, by_server });
    }
}

impl Subscription {
    /// How the peer names it.
    fn name(&self) -> &ByteString {
        self.id.as_ref().unwrap_or(&self.destination)
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
        let account = self
            .account_for(&frame)
            .map_err(|fault| fault.about(&frame))?;
        if matches!(self.subscriptions.find(&Name::of(&frame)), Known::Live(_)) {
            return Err(
                Fault::new("duplicate-subscription", "This id is in use already.").about(&frame),
            );
        }
        if self.subscriptions.live.len() >= self.subscriptions.limit {
            let text = format!(
                "A session has at most {} subscriptions.",
                self.subscriptions.limit
            );
            return Err(Fault::new("too-many-subscriptions", text).about(&frame));
        }
        let id = frame.headers.share(header::ID).map(|id| own(&id));
        let destination = own(frame.headers.get(header::DESTINATION).unwrap_or_default());
        let prefix = deliveries::prefix(self.version, id.as_deref(), &destination);
        let key = self
            .subscriptions
            .insert(id, destination.clone(), prefix, account);
        self.output.push_back(Output::Subscribed(key, destination));
        self.call(frame, Some(key), now);
        Ok(())
    }

    /// STOMP 1.2, "UNSUBSCRIBE": the `id` header "MUST match the subscription identifier of an existing subscription."
    /// One that the server has ended is known only to the server, so it is accepted too.
    pub(super) fn unsubscribe(&mut self, mut frame: Frame, now: Instant) -> Result<(), Fault> {
        let known = self.subscriptions.find(&Name::of(&frame));
        match known {
            Known::Live(key) => {
                if let Some(subscription) = self.remove(key, false) {
                    frame
                        .headers
                        .insert(header::DESTINATION, &subscription.destination);
                }
                self.call(frame, None, now);
            }
            Known::Retired => {
                let name = own(Name::of(&frame).text());
                self.subscriptions.remember(name, false);
                self.receipt(frame.headers.share(header::RECEIPT));
            }
            Known::Left | Known::Never => {
                return Err(Fault::new(
                    "unknown-subscription",
                    "There is no subscription of this id.",
                )
                .about(&frame));
            }
        }
        Ok(())
    }

    /// Ends a subscription from this side, and gives the id that the peer knows it by.
    pub(super) fn retire(&mut self, key: SubscriptionKey) -> Option<ByteString> {
        self.remove(key, true)?.id
    }

    pub(super) fn unsubscribe_all(&mut self) {
        while let Some(subscription) = self.subscriptions.live.first() {
            self.remove(subscription.key, true);
        }
    }

    fn remove(&mut self, key: SubscriptionKey, by_server: bool) -> Option<Subscription> {
        let mut subscription = self
            .subscriptions
            .live
            .remove(self.subscriptions.position(key)?);
        if let Some(account) = subscription.account.take() {
            self.ledger.close(account);
        }
        self.subscriptions
            .remember(subscription.name().clone(), by_server);
        self.output.push_back(Output::Unsubscribed(key));
        Some(subscription)
    }

    /// What a `SUBSCRIBE` says of acknowledgments: its `ack`, and in `prefetch-count` how many messages it wants to have
    /// unacknowledged at most.
    fn account_for(&self, frame: &Frame) -> Result<Option<Account>, Fault> {
        let malformed = |text: String| Fault::new("malformed-frame", text);
        let mode = frame
            .headers
            .get(header::ACK)
            .map_or(Ok(AckMode::Auto), str::parse);
        let mode = mode.map_err(|invalid| malformed(format!("{invalid}.")))?;
        if mode == AckMode::ClientIndividual && self.version == Version::V1_0 {
            return Err(malformed(
                "STOMP 1.0 has no ack:client-individual.".to_owned(),
            ));
        }
        let credit = match frame.headers.get(PREFETCH_COUNT).map(str::parse::<usize>) {
            None => self.config.max_unacked_messages,
            Some(Ok(count)) if count > 0 => count.min(self.config.max_unacked_messages),
            Some(_) => {
                return Err(malformed(format!(
                    "The header {PREFETCH_COUNT} is a number above 0."
                )));
            }
        };
        Ok(Account::new(mode, credit))
    }

    /// Whether messages of this subscription are to be acknowledged.
    pub(crate) fn has_account(&self, key: SubscriptionKey) -> bool {
        self.subscriptions
            .get(key)
            .is_some_and(|subscription| subscription.account.is_some())
    }

    /// Whether one more message may be sent to this subscription.
    pub(crate) fn has_credit(&self, key: SubscriptionKey) -> bool {
        let account = self
            .subscriptions
            .get(key)
            .and_then(|subscription| subscription.account.as_ref());
        account.is_none_or(|account| self.ledger.has_room(account, self.config.max_unacked_bytes))
    }

    /// Destinations and ids are opaque, but not endless.
    pub(super) fn check_length(&self, name: &str, frame: &Frame) -> Result<(), Fault> {
        let limit = self.config.max_destination_bytes;
        match frame.headers.get(name) {
            Some(value) if value.len() > limit => {
                let fault = Fault::new(
                    "too-large",
                    format!("The header {name} has at most {limit} bytes."),
                );
                Err(Fault {
                    code_of_close: CloseCode::TooBig,
                    ..fault.about(frame)
                })
            }
            _ => Ok(()),
        }
    }
}

/// A copy: what a subscription keeps must not keep the buffer alive that its frame was read into.
fn own(text: &str) -> ByteString {
    ByteString::from(text.to_owned())
}

/// How many messages a subscriber wants to have unacknowledged at most; as RabbitMQ calls it.
const PREFETCH_COUNT: &str = "prefetch-count";
