//! The subscriptions of the reference, and their deliveries.

use crate::{
    reference::{Fault, Reference, error},
    transactions::Step,
};
use std::collections::VecDeque;
use stomp_frame::{Command, Frame, Version};

pub(crate) struct Subscription {
    pub(crate) serial: usize,
    pub(crate) id: Option<String>,
    pub(crate) destination: String,
    mode: Mode,
    credit: usize,
    pub(crate) is_accepted: bool,
    /// Deliveries of the application that the client has not received yet.
    pub(crate) queue: VecDeque<Item>,
    /// True if the application has ended the stream.
    pub(crate) has_ended: bool,
    /// True if the session has noticed the end of the stream.
    is_ending: bool,
}

pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) is_redelivered: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Auto,
    Client,
    Individual,
}

pub(crate) struct SentDelivery {
    pub(crate) serial: usize,
    /// The header of the message that an ACK names: `ack`, or `message-id` before 1.2. Several deliveries may have the
    /// same `message-id`.
    pub(crate) name: String,
    pub(crate) body: String,
    pub(crate) state: DeliveryState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum DeliveryState {
    Pending,
    /// An ACK or NACK in an open transaction covers the delivery.
    Staged,
    /// Likewise, but its subscription has ended.
    Detached,
    /// An ACK or NACK that names the delivery has settled it.
    Named,
    /// Something else has settled the delivery.
    Settled,
}

impl Subscription {
    fn name(&self) -> &str {
        self.id.as_ref().unwrap_or(&self.destination)
    }
}

impl Reference {
    /// Notes a message that the application delivers.
    pub(crate) fn deliver(&mut self, serial: usize, item: Item) {
        self.subscription(serial).unwrap().queue.push_back(item);
    }

    pub(crate) fn end_stream(&mut self, serial: usize) {
        self.subscription(serial).unwrap().has_ended = true;
    }

    /// Drops all streams with what the client has not received yet.
    pub(crate) fn drop_streams(&mut self) {
        for subscription in &mut self.subscriptions {
            subscription.has_ended = false;
            for Item { body, .. } in subscription.queue.drain(..) {
                self.events.push("a delivery is unsent");
                self.log.push(format!("{body} Unsent"));
            }
        }
    }

    pub(crate) fn fail_stream(&mut self, serial: usize, code: &'static str) {
        let id = self.end_subscription(serial, false);
        self.refuse(error(code, None, id));
    }

    pub(crate) fn subscription(&mut self, serial: usize) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|known| known.serial == serial)
    }

    pub(crate) fn has_credit(&self, subscription: &Subscription) -> bool {
        subscription.mode == Mode::Auto || self.unsettled(subscription.serial) < subscription.credit
    }

    fn unsettled(&self, serial: usize) -> usize {
        let is_unsettled = |sent: &&SentDelivery| {
            sent.serial == serial
                && matches!(sent.state, DeliveryState::Pending | DeliveryState::Staged)
        };
        self.deliveries.iter().filter(is_unsettled).count()
    }

    /// Checks a message that the client has received.
    pub(crate) fn message(&mut self, frame: &Frame) -> Result<(), String> {
        let header = |name| frame.headers.get(name);
        let is_receiver = |known: &&Subscription| {
            known.id.as_deref() == header("subscription")
                && Some(&*known.destination) == header("destination")
        };
        let subscription = self
            .subscriptions
            .iter()
            .find(is_receiver)
            .ok_or("there is no such subscription")?;
        let (serial, mode) = (subscription.serial, subscription.mode);
        if !self.has_credit(subscription) {
            return Err("the subscription has no credit".into());
        }
        let item = self
            .subscription(serial)
            .unwrap()
            .queue
            .pop_front()
            .ok_or("the application has not delivered it")?;
        if frame.body != item.body || (header("redelivered") == Some("true")) != item.is_redelivered
        {
            return Err(format!("expected {}", item.body));
        }
        if header("message-id") != Some(&item.id) {
            return Err("it has another message-id".into());
        }
        if mode == Mode::Auto {
            self.log.push(format!("{} Acked", item.body));
            return if header("ack").is_none() {
                Ok(())
            } else {
                Err("it has an ack header in the mode auto".into())
            };
        }
        let is_1_2 = self.version == Version::V1_2;
        if is_1_2 != header("ack").is_some() {
            return Err("STOMP 1.2 alone has the header ack".into());
        }
        let name = header(if is_1_2 { "ack" } else { "message-id" }).unwrap_or_default();
        if self.deliveries.iter().any(|sent| sent.name == name) {
            if is_1_2 {
                return Err("its ack is not unique".into());
            }
            self.events.push("a message is delivered again");
        }
        self.deliveries.push(SentDelivery {
            serial,
            name: name.to_owned(),
            body: item.body,
            state: DeliveryState::Pending,
        });
        Ok(())
    }

    /// Ends streams that must have ended by now, and checks that no message is missing. All messages that the client
    /// has received must be reported before.
    pub(crate) fn check_streams(&mut self) {
        let is_ending = |known: &Subscription| {
            known.has_ended && known.queue.is_empty() && self.has_credit(known)
        };
        let ending: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|known| is_ending(known))
            .map(|known| known.serial)
            .collect();
        for serial in ending {
            self.subscription(serial).unwrap().is_ending = true;
            self.end_if_done(serial);
        }
        for subscription in &self.subscriptions {
            let is_stuck = !subscription.queue.is_empty() && self.has_credit(subscription);
            assert!(!is_stuck, "{} was not sent", subscription.queue[0].body);
            self.events
                .extend((!subscription.queue.is_empty()).then_some("a stream waits for credit"));
        }
    }

    /// Ends a subscription whose stream has ended, unless deliveries still wait for acknowledgements.
    fn end_if_done(&mut self, serial: usize) {
        if self
            .subscription(serial)
            .is_none_or(|known| !known.is_ending)
        {
            return;
        }
        if self.unsettled(serial) > 0 {
            return self
                .events
                .push("an ended stream waits for acknowledgements");
        }
        self.events.push("a stream ends");
        self.end_subscription(serial, false);
    }

    pub(crate) fn subscribe(&mut self, frame: &Frame) -> Result<(), Fault> {
        let header = |name| frame.headers.get(name);
        let (id, destination) = (
            header("id").map(str::to_owned),
            header("destination").unwrap().to_owned(),
        );
        let mode = match header("ack") {
            None | Some("auto") => Mode::Auto,
            Some("client") => Mode::Client,
            _ => Mode::Individual,
        };
        if self
            .subscriptions
            .iter()
            .any(|known| known.id == id && (id.is_some() || known.destination == destination))
        {
            return Err("duplicate-subscription");
        }
        let credit = header("prefetch-count").map_or(256, |count| count.parse().unwrap());
        let serial = frame.headers.get("serial").unwrap().parse().unwrap();
        let queue = VecDeque::new();
        let new = Subscription {
            serial,
            id,
            destination,
            mode,
            credit,
            is_accepted: false,
            queue,
            has_ended: false,
            is_ending: false,
        };
        self.ended.remove(new.name());
        self.subscriptions.push(new);
        self.call_application(frame);
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, frame: &Frame) -> Result<(), Fault> {
        let (id, destination) = (frame.headers.get("id"), frame.headers.get("destination"));
        let is_meant = |known: &&Subscription| match id {
            Some(id) => known.id.as_deref() == Some(id),
            None => known.id.is_none() && Some(&*known.destination) == destination,
        };
        let name = id.or(destination).unwrap();
        if let Some(Subscription {
            serial,
            destination,
            ..
        }) = self.subscriptions.iter().find(is_meant)
        {
            let (serial, destination) = (*serial, destination.clone());
            self.end_subscription(serial, true);
            let mut frame = frame.clone();
            frame.headers.insert("destination", &destination);
            self.call_application(&frame);
        } else if self.ended.get(name) == Some(&false) {
            self.events
                .push("a client unsubscribes from an ended subscription");
            self.ended.insert(name.to_owned(), true);
            self.receipt(frame.headers.get("receipt"));
        } else {
            return Err("unknown-subscription");
        }
        Ok(())
    }

    /// Ends a subscription: sent deliveries are abandoned, unless a transaction covers them, and queued deliveries are
    /// unsent.
    pub(crate) fn end_subscription(&mut self, serial: usize, by_client: bool) -> Option<String> {
        let at = self
            .subscriptions
            .iter()
            .position(|known| known.serial == serial)
            .unwrap();
        let subscription = self.subscriptions.remove(at);
        for sent in self
            .deliveries
            .iter_mut()
            .filter(|sent| sent.serial == serial)
        {
            sent.state = match sent.state {
                DeliveryState::Pending => {
                    self.events.push("a delivery is abandoned");
                    self.log.push(format!("{} Abandoned", sent.body));
                    DeliveryState::Settled
                }
                DeliveryState::Staged => {
                    self.events.push("a staged delivery loses its subscription");
                    DeliveryState::Detached
                }
                _ => continue,
            };
            // The client may acknowledge it once more, because it may not know of the end.
            self.settled
                .insert(sent.name.clone(), DeliveryState::Settled);
        }
        for Item { body, .. } in &subscription.queue {
            self.events.push("a delivery is unsent");
            self.log.push(format!("{body} Unsent"));
        }
        self.ended.insert(subscription.name().to_owned(), by_client);
        subscription.id
    }

    pub(crate) fn acknowledge(&mut self, frame: &Frame, transaction: &str) -> Result<(), Fault> {
        if let Some(number) = self.find_delivery(frame)? {
            self.settle_from(number, frame, transaction);
        }
        self.receipt(frame.headers.get("receipt"));
        Ok(())
    }

    pub(crate) fn settle_from(&mut self, number: usize, frame: &Frame, transaction: &str) {
        let serial = self.deliveries[number].serial;
        let mode = self.subscription(serial).unwrap().mode;
        let is_meant = |&other: &usize| {
            let SentDelivery {
                serial: of, state, ..
            } = self.deliveries[other];
            other == number
                || (mode == Mode::Client && of == serial && state == DeliveryState::Pending)
        };
        let skipped = self.deliveries[..number]
            .iter()
            .any(|one| one.serial == serial && one.state == DeliveryState::Staged);
        let numbers: Vec<_> = (0..=number).filter(is_meant).collect();
        self.events
            .extend((numbers.len() > 1).then_some("an ACK settles several deliveries"));
        self.events.extend(
            (mode == Mode::Client && skipped).then_some("an ACK leaves out staged deliveries"),
        );
        let settlement = if frame.command == Command::Ack {
            "Acked"
        } else {
            "Nacked"
        };
        if transaction.is_empty() {
            self.settle(&numbers, settlement);
        } else {
            numbers
                .iter()
                .for_each(|number| self.deliveries[*number].state = DeliveryState::Staged);
            self.hold(transaction, Step::Settle(numbers, settlement));
        }
    }

    /// The delivery that an ACK or NACK names; `None` if the frame must be ignored.
    pub(crate) fn find_delivery(&mut self, frame: &Frame) -> Result<Option<usize>, Fault> {
        let named = frame
            .headers
            .get(if self.version == Version::V1_2 {
                "id"
            } else {
                "message-id"
            })
            .unwrap();
        let mut serial = None;
        if self.version == Version::V1_1 {
            let id = frame.headers.get("subscription").map(str::to_owned);
            match self.subscriptions.iter().find(|known| known.id == id) {
                Some(known) => serial = Some(known.serial),
                None if self.ended.contains_key(&id.unwrap()) => {
                    self.events
                        .push("an ACK arrives after its subscription ended");
                    return Ok(None);
                }
                None => return Err("unknown-subscription"),
            }
        }
        // Of several deliveries of a message, the one in the oldest subscription is meant, and there the oldest.
        let mut found: Vec<_> = (0..self.deliveries.len())
            .filter(|number| self.deliveries[*number].name == named)
            .filter(|number| serial.is_none_or(|serial| serial == self.deliveries[*number].serial))
            .collect();
        found.sort_by_key(|number| self.deliveries[*number].serial);
        let first = |state| {
            let is_first = |number: &&usize| self.deliveries[**number].state == state;
            found.iter().find(is_first).copied()
        };
        if let Some(number) = first(DeliveryState::Pending) {
            return Ok(Some(number));
        }
        if first(DeliveryState::Staged).is_some() {
            return Err("already-settled");
        }
        match self.settled.get(named) {
            Some(DeliveryState::Settled) => {
                self.events.push("an ACK names a settled delivery");
                Ok(None)
            }
            Some(_) => Err("already-settled"),
            None => Err("unknown-delivery"),
        }
    }

    pub(crate) fn settle(&mut self, numbers: &[usize], settlement: &str) {
        let Some(&named) = numbers.last() else { return };
        for number in numbers {
            let sent = &mut self.deliveries[*number];
            if sent.state == DeliveryState::Detached {
                sent.state = DeliveryState::Settled;
                self.log.push(format!("{} {settlement}", sent.body));
            }
            if matches!(sent.state, DeliveryState::Pending | DeliveryState::Staged) {
                sent.state = if *number == named {
                    DeliveryState::Named
                } else {
                    DeliveryState::Settled
                };
                self.settled.insert(sent.name.clone(), sent.state);
                self.log.push(format!("{} {settlement}", sent.body));
            }
        }
        self.end_if_done(self.deliveries[named].serial);
    }
}
