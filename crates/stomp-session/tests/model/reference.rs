//! The reference: what a session should do, written down as plainly as can be.
//!
//! It is told what client and application do, one thing after the other, and says what each must then see: the frames
//! but for messages, the requests, what becomes of deliveries and of staged effects. Which subscription is served first
//! is not prescribed, so messages are looked at as they come.

use crate::{
    subscriptions::{Delivered, Subscription},
    transactions::{Commit, Step},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem::take,
};
use stomp_frame::{Command, Frame, Version};

pub(crate) struct Reference {
    pub(crate) version: Version,
    errors_close: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) transactions: BTreeMap<String, Vec<Step>>,
    /// All that have a number, from 1 on.
    pub(crate) deliveries: Vec<Delivered>,
    /// Names of subscriptions that are no more, and whether the client has said so.
    pub(crate) ended: BTreeMap<String, bool>,
    /// The frame that the application is asked, and those that wait for it.
    pub(crate) call: Option<Frame>,
    pub(crate) inbox: VecDeque<Frame>,
    pub(crate) commit: Option<Commit>,
    has_left: bool,
    /// Nothing more is said to the client.
    pub(crate) is_over: bool,
    disconnect_called: bool,
    reason: &'static str,
    pub(crate) message_ids: BTreeSet<String>,
    /// What must be seen by now.
    pub(crate) frames: Vec<String>,
    pub(crate) requests: Vec<String>,
    pub(crate) log: Vec<String>,
    /// What has happened, for the test to see that it does.
    pub(crate) seen: Vec<&'static str>,
}

/// What is wrong with a frame.
pub(crate) type Fault = &'static str;

impl Reference {
    pub(crate) fn new(version: Version, errors_close: bool) -> Reference {
        Reference {
            version,
            errors_close,
            subscriptions: Vec::new(),
            transactions: BTreeMap::new(),
            deliveries: Vec::new(),
            ended: BTreeMap::new(),
            call: None,
            inbox: VecDeque::new(),
            commit: None,
            has_left: false,
            is_over: false,
            disconnect_called: false,
            reason: "",
            message_ids: BTreeSet::new(),
            frames: Vec::new(),
            requests: Vec::new(),
            log: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// The client has sent a frame.
    pub(crate) fn receives(&mut self, frame: Frame) {
        self.seen
            .extend(self.call.as_ref().map(|_| "a frame waits"));
        if !self.acknowledges_ahead(&frame) {
            self.inbox.push_back(frame);
        }
        self.go_on();
    }

    /// An ACK or NACK may overtake what waits, but for its receipt.
    fn acknowledges_ahead(&mut self, frame: &Frame) -> bool {
        let is_ack = matches!(frame.command, Command::Ack | Command::Nack)
            && !frame.headers.contains("transaction");
        let overtakes = self
            .inbox
            .iter()
            .all(|waiting| matches!(waiting.command, Command::Send | Command::Receipt));
        if self.call.is_none() || !is_ack || !overtakes {
            return false;
        }
        let Ok(number) = self.named_by(frame) else {
            return false;
        };
        if let Some(number) = number {
            self.seen.push("an ACK overtakes");
            self.settle_named(number, frame, "");
        }
        if let Some(receipt) = frame.headers.get("receipt") {
            self.inbox
                .push_back(Frame::new(Command::Receipt).with_header("receipt", receipt));
        }
        true
    }

    /// The client has ended its side.
    pub(crate) fn is_left(&mut self) {
        self.has_left = true;
        self.go_on();
    }

    fn go_on(&mut self) {
        while self.call.is_none() && !self.is_over {
            let Some(frame) = self.inbox.pop_front() else {
                break;
            };
            if let Err(code) = self.handle(&frame) {
                self.seen.push(code);
                self.frames
                    .push(error(code, frame.headers.get("receipt"), None));
                self.end("Fault");
            }
        }
        if self.has_left && self.call.is_none() {
            self.end("Closed");
        }
    }

    fn handle(&mut self, frame: &Frame) -> Result<(), Fault> {
        let header = |name| frame.headers.get(name);
        let transaction = header("transaction").unwrap_or_default();
        if frame.command == Command::Begin {
            return self.begin(frame, transaction);
        }
        if header("transaction").is_some() && !self.transactions.contains_key(transaction) {
            return Err("unknown-transaction");
        }
        match frame.command {
            Command::Send if transaction.is_empty() => self.ask(frame),
            Command::Send => {
                self.hold(transaction, Step::Send(frame.clone()));
                self.receipt(header("receipt"));
            }
            // What is left of one that was handled before its turn.
            Command::Receipt => self.receipt(header("receipt")),
            Command::Subscribe => self.subscribe(frame)?,
            Command::Unsubscribe => self.unsubscribe(frame)?,
            Command::Ack | Command::Nack => self.acknowledge(frame, transaction)?,
            Command::Abort => {
                let steps = self.transactions.remove(transaction).unwrap();
                self.seen.push("an abort");
                self.give_back(steps);
                self.receipt(header("receipt"));
            }
            Command::Commit => {
                let left = self.transactions.remove(transaction).unwrap().into();
                let receipt = header("receipt").map(str::to_owned);
                self.commit = Some(Commit {
                    receipt,
                    left,
                    agreed: Vec::new(),
                });
                self.go_on_with_commit();
            }
            Command::Disconnect => {
                self.reason = "Requested";
                self.give_all_back();
                self.ask(frame);
            }
            command => panic!("{command} is not in the model"),
        }
        Ok(())
    }

    /// The application is asked.
    pub(crate) fn ask(&mut self, frame: &Frame) {
        let mut request = format!(
            "{} {}",
            frame.command,
            frame.headers.get("destination").unwrap_or_default()
        );
        match frame.command {
            Command::Send => {
                let is_held = if self.commit.is_some() {
                    "held"
                } else {
                    "at once"
                };
                request = format!("{request} {} {is_held}", text(&frame.body));
            }
            Command::Disconnect => {
                self.disconnect_called = true;
                request += self.reason;
                self.seen.push(self.reason);
            }
            _ => {}
        }
        self.requests.push(request);
        self.call = Some(frame.clone());
    }

    /// The application has answered.
    pub(crate) fn is_answered(&mut self, answer: Result<(), &'static str>) {
        let frame = self.call.take().unwrap();
        let receipt = frame.headers.get("receipt");
        match (frame.command, answer) {
            _ if self.is_over => {
                self.say_goodbye();
            }
            (Command::Disconnect, answer) => {
                match answer {
                    Ok(_) => self.receipt(receipt),
                    Err(code) => self.frames.push(error(code, receipt, None)),
                }
                self.is_over = true;
            }
            (Command::Send, answer) if self.commit.is_some() => self.is_answered_in_commit(answer),
            (command, Ok(_)) => {
                self.receipt(receipt);
                if command == Command::Subscribe {
                    self.subscriptions.last_mut().unwrap().is_agreed = true;
                }
            }
            (command, Err(code)) => {
                let mut id = None;
                if command == Command::Subscribe {
                    let serial = self.subscriptions.last().unwrap().serial;
                    id = self.end_subscription(serial, false);
                    self.seen.push("a subscription is refused");
                }
                self.refuse(error(code, receipt, id));
            }
        }
        self.go_on();
    }

    /// An error of the application.
    pub(crate) fn refuse(&mut self, error: String) {
        if self.is_over {
            return;
        }
        self.frames.push(error);
        self.seen.push(if self.errors_close {
            "an error closes"
        } else {
            "an error leaves open"
        });
        if self.errors_close {
            self.end("Error");
        }
    }

    /// The session ends: at once, or (`None`) the connection is dropped.
    pub(crate) fn end(&mut self, reason: &'static str) {
        if !self.is_over {
            self.is_over = true;
            self.reason = reason;
            self.give_all_back();
            self.say_goodbye();
        }
    }

    /// The connection is gone, and nobody is told.
    pub(crate) fn vanish(&mut self) {
        self.is_over = true;
        self.give_all_back();
        self.call = None;
    }

    pub(crate) fn give_all_back(&mut self) {
        while let Some(subscription) = self.subscriptions.first() {
            self.end_subscription(subscription.serial, false);
        }
        let transactions = take(&mut self.transactions);
        self.seen
            .extend((!transactions.is_empty()).then_some("a transaction is open at the end"));
        let commit = self.commit.take();
        let agreed = commit.into_iter().flat_map(|commit| commit.agreed);
        self.give_back(
            transactions
                .into_values()
                .flatten()
                .chain(agreed)
                .collect::<Vec<_>>(),
        );
    }

    fn say_goodbye(&mut self) {
        if self.call.is_none() && !self.disconnect_called {
            self.ask(&Frame::new(Command::Disconnect));
        }
    }

    pub(crate) fn receipt(&mut self, receipt: Option<&str>) {
        self.frames
            .extend(receipt.map(|receipt| format!("RECEIPT {receipt}")));
    }
}

pub(crate) fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

pub(crate) fn error(code: &str, receipt: Option<&str>, subscription: Option<String>) -> String {
    format!("ERROR {code} receipt:{receipt:?} subscription:{subscription:?}")
}
