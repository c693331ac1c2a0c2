//! `SUBSCRIBE` and `UNSUBSCRIBE`.

use super::{
    Protocol, copied,
    error_reply::{ErrorReply, Quoted},
    output::IoOutput,
    state::{
        subscriptions::{Lookup, Subscription, SubscriptionName},
        unacked::SubscriptionUnacked,
    },
};
use crate::{
    destination::Destination,
    error::{ClientError, SubscribeError},
    id::SubscriptionKey,
    principal_share::SubscriptionPlace,
};
use bytestring::ByteString;
use std::{sync::Arc, time::Instant};
use stomp_frame::{AckMode, Frame, header};

/// Name of the header with the maximum of unacknowledged messages that a subscriber wants, as in RabbitMQ.
const PREFETCH_COUNT: &str = "prefetch-count";

/// Code of the error for a second subscription with the same id.
const DUPLICATE: &str = "duplicate-subscription";

/// Code of the error for more subscriptions than [`Config::max_subscriptions`](crate::Config::max_subscriptions).
const TOO_MANY: &str = "too-many-subscriptions";

/// Maximum of unacknowledged messages of a subscriber that asks for none, unless the configured maximum is smaller. Each
/// such message is one that no other consumer gets.
const DEFAULT_PREFETCH: usize = 256;

/// The maximum of unacknowledged messages that a `SUBSCRIBE` asks for.
struct Prefetch<'f> {
    mode: AckMode,
    /// The number in the header `prefetch-count`, and the header's text.
    asked: Option<(usize, &'f str)>,
}

impl Protocol {
    /// Handles `SUBSCRIBE`: adds a subscription and calls the service.
    ///
    /// STOMP 1.2, "SUBSCRIBE id Header": "Within the same connection, different subscriptions MUST use different
    /// subscription identifiers."
    pub(super) fn subscribe(&mut self, frame: Frame, now: Instant) -> Result<(), ErrorReply> {
        let destination = frame.headers.get(header::DESTINATION).unwrap_or_default();
        self.check_value_length(header::DESTINATION, destination, &frame)?;
        self.check_length(header::ID, &frame)?;
        let prefetch = parse_ack_headers(&frame).map_err(|reply| reply.with_receipt_of(&frame))?;
        let name = SubscriptionName::from(&frame);
        if let Lookup::Active(_) = self.subscriptions.find(&name) {
            let text = match name {
                SubscriptionName::Id(id) => {
                    format!("The subscription id {} is in use.", Quoted(id))
                }
                SubscriptionName::Destination(destination) => format!(
                    "There is a subscription to {} without an id already.",
                    Quoted(destination)
                ),
            };
            return Err(ErrorReply::new(DUPLICATE, text).with_receipt_of(&frame));
        }
        // An implicit subscription that this one replaces makes room for it.
        let is_replacing = || {
            let canonical = self.config.destinations.canonical(destination);
            let implicit = self.subscriptions.implicit_for(&name, &canonical);
            implicit.is_some()
        };
        if self.subscriptions.is_full() && !is_replacing() {
            let text = format!(
                "A session has at most {} subscriptions (max_subscriptions).",
                self.config.max_subscriptions
            );
            return Err(ErrorReply::new(TOO_MANY, text).with_receipt_of(&frame));
        }
        let id = frame.headers.get(header::ID).map(copied);
        let granted = self.parse_destination(destination).and_then(|known| {
            let destination = known.destination().clone();
            let place = self.take_place(&name, &destination)?;
            Ok((destination, self.grant(&prefetch)?, place))
        });
        let (destination, unacked, place) = match granted {
            Ok(granted) => granted,
            Err(error) => {
                // The client may unsubscribe from it, like from any subscription that was refused.
                let name = copied(name.text());
                self.subscriptions.remember_ended(name, true);
                let reply = ErrorReply::from(error).with_receipt_of(&frame);
                self.report_app_error(reply.with_subscription(id), now);
                return Ok(());
            }
        };
        let key = self.subscriptions.insert(
            id.clone(),
            destination.clone(),
            self.version,
            unacked,
            place,
        );
        self.push_io(IoOutput::Subscribed(key, id, destination.clone()));
        self.start_call(frame, destination, Some(key));
        Ok(())
    }

    /// Handles `UNSUBSCRIBE`: ends the subscription and calls the service.
    ///
    /// STOMP 1.2, "UNSUBSCRIBE": the `id` header "MUST match the subscription identifier of an existing subscription."
    /// A subscription that the server has ended is accepted too, because the peer may not know of its end yet.
    pub(super) fn unsubscribe(&mut self, mut frame: Frame) -> Result<(), ErrorReply> {
        let name = SubscriptionName::from(&frame);
        match self.subscriptions.find(&name) {
            Lookup::Active(key) | Lookup::Implicit(key) => {
                let subscription = self.remove_subscription(key, false);
                let destination = subscription
                    .map(|subscription| subscription.destination)
                    .unwrap_or_default();
                frame
                    .headers
                    .insert(header::DESTINATION, destination.as_str());
                self.start_call(frame, destination, None);
                Ok(())
            }
            Lookup::EndedByServer => {
                let name = copied(name.text());
                self.subscriptions.remember_ended(name, false);
                self.send_receipt(frame.headers.share(header::RECEIPT));
                Ok(())
            }
            Lookup::EndedByPeer | Lookup::Unknown => Err(unknown_subscription(&name, &frame)),
        }
    }

    /// Adds an implicit subscription, which a handle of the session has asked for. Returns `None` if the peer is not
    /// connected or has such a subscription already. Also returns `None`, and reports an error, if there is no room or
    /// the peer uses the id for another subscription. `place` is its place among the subscriptions of the principal, if
    /// these are limited.
    pub(crate) fn add_implicit_subscription(
        &mut self,
        destination: &Destination,
        place: Option<SubscriptionPlace>,
        now: Instant,
    ) -> Option<SubscriptionKey> {
        let is_connected = self.is_open() && self.is_peer_present();
        if !is_connected || self.subscriptions.has_destination(destination.canonical()) {
            return None;
        }
        let name = SubscriptionName::Id(destination.as_str());
        let error = if matches!(self.subscriptions.find(&name), Lookup::Active(_)) {
            ClientError::from(SubscribeError::DuplicateId)
        } else if self.subscriptions.is_full() {
            let max = self.config.max_subscriptions;
            ClientError::from(SubscribeError::TooManySubscriptions { max })
        } else {
            let destination = destination.clone();
            return Some(self.subscriptions.insert_implicit(
                destination,
                self.version,
                place.map(Arc::new),
            ));
        };
        self.report_app_error(ErrorReply::from(error), now);
        None
    }

    /// Ends the implicit subscriptions in whose place the service has accepted this one. Messages that they have not sent
    /// yet are left to it: the service has both streams until now.
    pub(super) fn replace_implicit_subscriptions(&mut self, accepted: SubscriptionKey) {
        while let Some(subscription) = self.subscriptions.get(accepted) {
            let id = subscription.id.as_deref().unwrap_or_default();
            let canonical = subscription.destination.canonical();
            let name = SubscriptionName::Id(id);
            let Some(replaced) = self.subscriptions.implicit_for(&name, canonical) else {
                return;
            };
            self.remove_subscription(replaced, true);
        }
    }

    /// Ends a subscription on behalf of the server. Returns the id that the peer gave to it, if any.
    pub(super) fn end_subscription(&mut self, key: SubscriptionKey) -> Option<ByteString> {
        let subscription = self.remove_subscription(key, true)?;
        let id = subscription.id.clone();
        self.lose_subscription(key, subscription);
        id
    }

    pub(super) fn end_all_subscriptions(&mut self) {
        for (key, mut subscription) in self.subscriptions.remove_all() {
            self.give_back(key, &mut subscription);
            self.lose_subscription(key, subscription);
        }
        self.push_io(IoOutput::AllUnsubscribed);
    }

    fn remove_subscription(
        &mut self,
        key: SubscriptionKey,
        by_server: bool,
    ) -> Option<Subscription> {
        let mut subscription = self.subscriptions.remove(key, by_server)?;
        self.give_back(key, &mut subscription);
        self.push_io(IoOutput::Unsubscribed(key));
        Some(subscription)
    }

    /// Gives back the deliveries of a subscription that was removed.
    fn give_back(&mut self, key: SubscriptionKey, subscription: &mut Subscription) {
        if let Some(mut unacked) = subscription.unacked.take() {
            self.detach_staged(key, &mut unacked);
            self.unacked.abandon(key, unacked);
        }
    }

    /// Takes a place among the subscriptions of the principal, if these are limited. If none is left, the subscription
    /// shares that of the implicit one that it replaces, if there is one.
    fn take_place(
        &self,
        name: &SubscriptionName<'_>,
        destination: &Destination,
    ) -> Result<Option<Arc<SubscriptionPlace>>, ClientError> {
        let Some(share) = &self.share else {
            return Ok(None);
        };
        share
            .places()
            .take()
            .map(Arc::new)
            .map(Some)
            .or_else(|max| {
                let canonical = destination.canonical();
                let replaced = self.subscriptions.implicit_for(name, canonical);
                let implicit = replaced.and_then(|key| self.subscriptions.get(key));
                match implicit {
                    Some(implicit) => Ok(implicit.place.clone()),
                    None => Err(ClientError::too_many_subscriptions(max)),
                }
            })
    }

    /// Grants the maximum of unacknowledged messages that a `SUBSCRIBE` asks for, or refuses the subscription. A client
    /// that got less than it asked for could wait for the rest before it acknowledges, and the session would stand
    /// still. `None` with `ack:auto`.
    fn grant(
        &mut self,
        prefetch: &Prefetch<'_>,
    ) -> Result<Option<SubscriptionUnacked>, ClientError> {
        let refuse = |text| Err(ClientError::new("prefetch-too-large", text));
        let (max, max_total) = (
            self.config.max_unacked_messages,
            self.config.max_total_unacked_messages,
        );
        let asked = prefetch.asked;
        let count = asked.map_or(max.min(DEFAULT_PREFETCH), |(count, _)| count);
        // The number may be larger than any `usize`, so errors quote the text.
        let quoted = || asked.map_or(count.to_string(), |(_, text)| Quoted(text).to_string());
        let Some(unacked) = SubscriptionUnacked::new(prefetch.mode, count) else {
            return Ok(None);
        };
        if count > max {
            return refuse(format!(
                "The header {PREFETCH_COUNT} is {}, but a subscription has at most {max} unacknowledged messages \
                 (max_unacked_messages).",
                quoted()
            ));
        }
        // Deliveries of ended subscriptions take no credit, so nothing else would bound them.
        let granted = self.unacked.granted() + self.detached.len();
        if count > max_total.saturating_sub(granted) {
            return refuse(format!(
                "The subscriptions of a session have at most {max_total} unacknowledged messages together \
                 (max_total_unacked_messages). The others may have {granted} already, and this one would have {} \
                 ({PREFETCH_COUNT}).",
                quoted()
            ));
        }
        self.unacked.grant(&unacked);
        Ok(Some(unacked))
    }

    /// The destination of a subscription, as the peer spelled it.
    pub(crate) fn destination(&self, subscription: SubscriptionKey) -> Option<&str> {
        let subscription = self.subscriptions.get(subscription)?;
        Some(subscription.destination.as_str())
    }

    /// Returns true if the peer has to acknowledge the messages of this subscription.
    pub(crate) fn needs_ack(&self, subscription: SubscriptionKey) -> bool {
        self.subscriptions
            .get(subscription)
            .is_some_and(|subscription| subscription.unacked.is_some())
    }

    /// Returns true if another message may be sent to this subscription.
    pub(crate) fn has_credit(&self, subscription: SubscriptionKey) -> bool {
        self.subscriptions
            .get(subscription)
            .and_then(|subscription| subscription.unacked.as_ref())
            .is_none_or(SubscriptionUnacked::has_credit)
    }
}

/// Parses the headers `ack` and `prefetch-count` of a `SUBSCRIBE`.
///
/// STOMP 1.0 defines only `auto` and `client`, but its clients send `client-individual` too, and it means the same.
fn parse_ack_headers(frame: &Frame) -> Result<Prefetch<'_>, ErrorReply> {
    let malformed = |text: String| ErrorReply::new("malformed-frame", text);
    let mode = frame
        .headers
        .get(header::ACK)
        .map_or(Ok(AckMode::Auto), str::parse);
    let mode = mode.map_err(|invalid| malformed(format!("{invalid}.")))?;
    let asked = frame
        .headers
        .get(PREFETCH_COUNT)
        .map(|value| match parse_number(value) {
            Some(count) if count > 0 => Ok((count, value)),
            _ => Err(malformed(format!(
                "The header {PREFETCH_COUNT} must be a number above 0, and not {}.",
                Quoted(value)
            ))),
        });
    Ok(Prefetch {
        mode,
        asked: asked.transpose()?,
    })
}

/// Parses digits, which spaces may surround, as in other headers with numbers. Numbers that are too large become
/// `usize::MAX`.
fn parse_number(text: &str) -> Option<usize> {
    let digits = text.trim_matches(' ');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Creates the `ERROR` for a frame that names an unknown subscription.
pub(super) fn unknown_subscription(name: &SubscriptionName<'_>, frame: &Frame) -> ErrorReply {
    let text = match name {
        SubscriptionName::Id(id) => format!("There is no subscription with the id {}.", Quoted(id)),
        SubscriptionName::Destination(destination) => format!(
            "There is no subscription to {} without an id.",
            Quoted(destination)
        ),
    };
    ErrorReply::new("unknown-subscription", text).with_receipt_of(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Config,
        id::SessionId,
        protocol::output::{CallOutput, Output},
    };
    use stomp_frame::Command;
    use stomp_socket::End;

    fn outputs(protocol: &mut Protocol) -> Vec<Output> {
        std::iter::from_fn(|| protocol.poll_output()).collect()
    }

    #[test]
    fn the_end_of_many_subscriptions_at_once_is_one_output() {
        const COUNT: usize = 100;
        let now = Instant::now();
        let config = Config::default().max_subscriptions(COUNT);
        let mut protocol = Protocol::new(Arc::new(config), SessionId::random(), true, now);
        let connect = Frame::new(Command::Connect).with_header("accept-version", "1.2");
        let subscribe = (0..COUNT).map(|id| {
            Frame::new(Command::Subscribe)
                .with_header("id", &id.to_string())
                .with_header("destination", "/a")
        });
        for frame in [connect].into_iter().chain(subscribe) {
            protocol.handle_frame(frame, now);
            // The service is called with the frame, and after `CONNECT` with `CONNECTED`.
            while protocol.take_request().is_some() {
                protocol.handle_call_started(false, now);
                protocol.handle_answer(Ok(None), now);
            }
            outputs(&mut protocol);
        }
        assert_eq!(protocol.subscriptions.len(), COUNT);
        protocol.handle_peer_ended(&End::Closed(None), 0, false, now);
        protocol.handle_end(&End::Closed(None), None, now);
        assert_eq!(protocol.subscriptions.len(), 0);
        let outputs = outputs(&mut protocol);
        let is_call = |output: &&Output| matches!(output, Output::Call(CallOutput::Start));
        assert_eq!(outputs.iter().filter(is_call).count(), 1, "{outputs:?}");
        assert!(outputs.len() < 10, "{outputs:?}");
    }
}
