//! The reference's subscriptions, and what was sent to them.

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
    pub(crate) is_agreed: bool,
    /// What was delivered and is not sent.
    pub(crate) queue: VecDeque<Item>,
    /// Nothing more is delivered.
    pub(crate) has_ended: bool,
    /// The session has seen that.
    is_ending: bool,
}

pub(crate) struct Item {
    pub(crate) body: String,
    pub(crate) is_redelivered: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Auto,
    Client,
    Individual,
}

pub(crate) struct Delivered {
    pub(crate) serial: usize,
    pub(crate) body: String,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Pending,
    /// An open transaction has it.
    Staged,
    /// Its own ACK or NACK has settled it.
    Named,
    /// Something else has.
    Settled,
}

impl Subscription {
    fn name(&self) -> &str {
        self.id.as_ref().unwrap_or(&self.destination)
    }
}

impl Reference {
    /// Something that the application does.
    pub(crate) fn deliver(&mut self, serial: usize, item: Item) {
        self.subscription(serial).unwrap().queue.push_back(item);
    }

    pub(crate) fn end_stream(&mut self, serial: usize) {
        self.subscription(serial).unwrap().has_ended = true;
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
        let is_unsettled = |delivered: &&Delivered| {
            delivered.serial == serial && matches!(delivered.fate, Fate::Pending | Fate::Staged)
        };
        self.deliveries.iter().filter(is_unsettled).count()
    }

    /// The client has got a message.
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
            .ok_or("nobody is subscribed")?;
        let (serial, mode) = (subscription.serial, subscription.mode);
        if !self.has_credit(subscription) {
            return Err("there is no credit for it".into());
        }
        let item = self
            .subscription(serial)
            .unwrap()
            .queue
            .pop_front()
            .ok_or("it was not delivered")?;
        if frame.body != item.body || (header("redelivered") == Some("true")) != item.is_redelivered
        {
            return Err(format!("it should be {}", item.body));
        }
        if !self
            .message_ids
            .insert(header("message-id").unwrap_or_default().to_owned())
        {
            return Err("its id is another's".into());
        }
        if mode == Mode::Auto {
            self.log.push(format!("{} Acked", item.body));
            return if header("ack").is_none() {
                Ok(())
            } else {
                Err("it is acknowledged already".into())
            };
        }
        self.deliveries.push(Delivered {
            serial,
            body: item.body,
            fate: Fate::Pending,
        });
        let name = format!("d{}", self.deliveries.len());
        let is_1_2 = self.version == Version::V1_2;
        let named = header(if is_1_2 { "ack" } else { "message-id" });
        if named == Some(&name) && (is_1_2 || header("ack").is_none()) {
            Ok(())
        } else {
            Err(format!("not {name}"))
        }
    }

    /// All messages have been looked at.
    pub(crate) fn settle_down(&mut self) {
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
            assert!(!is_stuck, "{} is not sent", subscription.queue[0].body);
            self.seen
                .extend((!subscription.queue.is_empty()).then_some("a stream rests"));
        }
    }

    /// With something still to be acknowledged, a subscription whose stream has ended waits for that.
    fn end_if_done(&mut self, serial: usize) {
        if self
            .subscription(serial)
            .is_none_or(|known| !known.is_ending)
        {
            return;
        }
        if self.unsettled(serial) > 0 {
            return self.seen.push("an ended stream waits to be acknowledged");
        }
        self.seen.push("a stream ends");
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
            is_agreed: false,
            queue,
            has_ended: false,
            is_ending: false,
        };
        self.ended.remove(new.name());
        self.subscriptions.push(new);
        self.ask(frame);
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
            self.ask(&frame);
        } else if self.ended.get(name) == Some(&false) {
            self.seen.push("what the server ended is unsubscribed from");
            self.ended.insert(name.to_owned(), true);
            self.receipt(frame.headers.get("receipt"));
        } else {
            return Err("unknown-subscription");
        }
        Ok(())
    }

    /// Ends a subscription: what it was sent is unsettled, what it was not is unsent.
    pub(crate) fn end_subscription(&mut self, serial: usize, by_client: bool) -> Option<String> {
        let at = self
            .subscriptions
            .iter()
            .position(|known| known.serial == serial)
            .unwrap();
        let subscription = self.subscriptions.remove(at);
        for delivered in self
            .deliveries
            .iter_mut()
            .filter(|delivered| delivered.serial == serial)
        {
            if matches!(delivered.fate, Fate::Pending | Fate::Staged) {
                self.seen.push(if delivered.fate == Fate::Staged {
                    "a staged one is unsettled"
                } else {
                    "unsettled"
                });
                delivered.fate = Fate::Settled;
                self.log.push(format!("{} Abandoned", delivered.body));
            }
        }
        for Item { body, .. } in &subscription.queue {
            self.seen.push("unsent");
            self.log.push(format!("{body} Unsent"));
        }
        self.ended.insert(subscription.name().to_owned(), by_client);
        subscription.id
    }

    pub(crate) fn acknowledge(&mut self, frame: &Frame, transaction: &str) -> Result<(), Fault> {
        if let Some(number) = self.named_by(frame)? {
            self.settle_named(number, frame, transaction);
        }
        self.receipt(frame.headers.get("receipt"));
        Ok(())
    }

    pub(crate) fn settle_named(&mut self, number: usize, frame: &Frame, transaction: &str) {
        let serial = self.deliveries[number].serial;
        let mode = self.subscription(serial).unwrap().mode;
        let is_meant = |&other: &usize| {
            let Delivered {
                serial: of, fate, ..
            } = self.deliveries[other];
            other == number || (mode == Mode::Client && of == serial && fate == Fate::Pending)
        };
        let skipped = self.deliveries[..number]
            .iter()
            .any(|one| one.serial == serial && one.fate == Fate::Staged);
        let numbers: Vec<_> = (0..=number).filter(is_meant).collect();
        self.seen
            .extend((numbers.len() > 1).then_some("one ACK is for many"));
        self.seen.extend(
            (mode == Mode::Client && skipped).then_some("an ACK leaves out what is staged"),
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
                .for_each(|number| self.deliveries[*number].fate = Fate::Staged);
            self.hold(transaction, Step::Settle(numbers, settlement));
        }
    }

    /// Which delivery is named, if it is of any interest still.
    pub(crate) fn named_by(&mut self, frame: &Frame) -> Result<Option<usize>, Fault> {
        let named = frame
            .headers
            .get(if self.version == Version::V1_2 {
                "id"
            } else {
                "message-id"
            })
            .unwrap();
        let number: Option<usize> = named
            .strip_prefix('d')
            .map(|number| number.parse().unwrap());
        let number = number
            .filter(|number| (1..=self.deliveries.len()).contains(number))
            .map(|number| number - 1);
        let mut serial = None;
        if self.version == Version::V1_1 {
            let id = frame.headers.get("subscription").map(str::to_owned);
            match self.subscriptions.iter().find(|known| known.id == id) {
                Some(known) => serial = Some(known.serial),
                None if self.ended.contains_key(&id.unwrap()) => {
                    self.seen.push("an ACK comes after its subscription");
                    return Ok(None);
                }
                None => return Err("unknown-subscription"),
            }
        }
        let number = number.ok_or("unknown-delivery")?;
        let delivered = &self.deliveries[number];
        match delivered.fate {
            Fate::Pending | Fate::Staged
                if serial.is_some_and(|serial| serial != delivered.serial) =>
            {
                Err("unknown-delivery")
            }
            Fate::Pending => Ok(Some(number)),
            Fate::Staged | Fate::Named => Err("already-settled"),
            Fate::Settled => {
                self.seen.push("an ACK comes too late");
                Ok(None)
            }
        }
    }

    pub(crate) fn settle(&mut self, numbers: &[usize], settlement: &str) {
        let Some(&named) = numbers.last() else { return };
        for number in numbers {
            let delivered = &mut self.deliveries[*number];
            if matches!(delivered.fate, Fate::Pending | Fate::Staged) {
                delivered.fate = if *number == named {
                    Fate::Named
                } else {
                    Fate::Settled
                };
                self.log.push(format!("{} {settlement}", delivered.body));
            }
        }
        self.end_if_done(self.deliveries[named].serial);
    }
}
