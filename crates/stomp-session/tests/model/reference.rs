//! The reference: a session's specified behaviour, written as simply as possible.
//!
//! The test reports each step of the client and the application to the reference, which then knows what both must see:
//! frames except `MESSAGE`, requests, and the events of deliveries and staged effects. The order in which subscriptions
//! are served is not specified, so messages are checked as they arrive.

use crate::{
    subscriptions::{DeliveryState, SentDelivery, Subscription},
    transactions::{Commit, Step},
};
use std::{
    collections::{BTreeMap, VecDeque},
    mem::take,
};
use stomp_frame::{Command, Frame, Version};

pub(crate) struct Reference {
    pub(crate) version: Version,
    errors_close: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) transactions: BTreeMap<String, Vec<Step>>,
    /// All deliveries that were sent and need an acknowledgment, settled or not. The first has the number 1.
    pub(crate) deliveries: Vec<SentDelivery>,
    /// Names of ended subscriptions. The value is true if the client has unsubscribed.
    pub(crate) ended: BTreeMap<String, bool>,
    /// The frame of the request that the application is handling.
    pub(crate) call: Option<Frame>,
    /// Frames that wait until the application has answered.
    pub(crate) inbox: VecDeque<Frame>,
    pub(crate) commit: Option<Commit>,
    has_client_ended: bool,
    /// True if the session sends nothing more.
    pub(crate) is_over: bool,
    disconnect_called: bool,
    reason: &'static str,
    /// The names of settled deliveries, each with the state of the last one that was settled.
    pub(crate) settled: BTreeMap<String, DeliveryState>,
    /// Frames that the client must receive by the end of this step.
    pub(crate) frames: Vec<String>,
    /// Requests that the application must receive by the end of this step.
    pub(crate) requests: Vec<String>,
    /// Events of deliveries and effects that must happen by the end of this step.
    pub(crate) log: Vec<String>,
    /// Situations that have occurred. The test checks that all of them occur often.
    pub(crate) events: Vec<&'static str>,
}

/// The error code of a protocol fault.
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
            has_client_ended: false,
            is_over: false,
            disconnect_called: false,
            reason: "",
            settled: BTreeMap::new(),
            frames: Vec::new(),
            requests: Vec::new(),
            log: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Handles a frame that the client has sent.
    pub(crate) fn client_sent(&mut self, frame: Frame) {
        self.events
            .extend(self.call.as_ref().map(|_| "a frame waits in the inbox"));
        if !self.acknowledge_ahead(&frame) {
            self.inbox.push_back(frame);
        }
        self.handle_inbox();
    }

    /// Settles an ACK or NACK that may overtake the waiting frames. Its receipt still waits for its turn.
    fn acknowledge_ahead(&mut self, frame: &Frame) -> bool {
        let is_ack = matches!(frame.command, Command::Ack | Command::Nack)
            && !frame.headers.contains("transaction");
        let overtakes = self
            .inbox
            .iter()
            .all(|waiting| matches!(waiting.command, Command::Send | Command::Receipt));
        if self.call.is_none() || !is_ack || !overtakes {
            return false;
        }
        self.settle_before_its_turn(frame)
    }

    fn settle_before_its_turn(&mut self, frame: &Frame) -> bool {
        let Ok(number) = self.find_delivery(frame) else {
            return false;
        };
        if let Some(number) = number {
            self.events.push("an ACK overtakes frames");
            self.settle_from(number, frame, "");
        }
        if let Some(receipt) = frame.headers.get("receipt") {
            self.inbox
                .push_back(Frame::new(Command::Receipt).with_header("receipt", receipt));
        }
        true
    }

    /// Notes that the client has ended its direction of the connection. Its subscriptions end at once, but its ACKs and
    /// NACKs that wait take effect before. Those behind a frame of a transaction keep their turn, and the deliveries wait
    /// for them.
    pub(crate) fn client_ended(&mut self) {
        self.has_client_ended = true;
        if !self.is_over {
            let waiting = take(&mut self.inbox);
            self.events.extend(
                (!waiting.is_empty()).then_some("a client ends before its frames are handled"),
            );
            let mut is_behind = false;
            for frame in waiting {
                if is_behind || !self.acknowledge_at_end(&frame) {
                    is_behind |=
                        frame.command != Command::Send && frame.headers.contains("transaction");
                    self.inbox.push_back(frame);
                }
            }
            self.drop_streams();
            self.end_retired_subscriptions();
        }
        self.handle_inbox();
    }

    /// Ends the subscriptions of a client that has ended its direction, unless a frame waits that may settle deliveries.
    fn end_retired_subscriptions(&mut self) {
        let may_settle = |frame: &Frame| match frame.command {
            Command::Ack | Command::Nack => !frame.headers.contains("transaction"),
            command => command == Command::Commit,
        };
        if !self.has_client_ended || self.commit.is_some() || self.is_over {
            return;
        }
        if self.inbox.iter().any(may_settle) {
            self.events.push("deliveries wait for the last frames");
        } else {
            self.end_lost_subscriptions();
        }
    }

    /// Ends all subscriptions. No transaction covers their deliveries any more.
    fn end_lost_subscriptions(&mut self) {
        let is_held = |sent: &&mut SentDelivery| {
            matches!(sent.state, DeliveryState::Staged | DeliveryState::Detached)
        };
        for sent in self.deliveries.iter_mut().filter(is_held) {
            if sent.state == DeliveryState::Detached {
                self.log.push(format!("{} Abandoned", sent.body));
                sent.state = DeliveryState::Settled;
            } else {
                sent.state = DeliveryState::Pending;
            }
        }
        self.end_all_subscriptions();
    }

    fn acknowledge_at_end(&mut self, frame: &Frame) -> bool {
        let is_ack = matches!(frame.command, Command::Ack | Command::Nack)
            && !frame.headers.contains("transaction");
        is_ack && self.settle_before_its_turn(frame)
    }

    fn handle_inbox(&mut self) {
        while self.call.is_none() && !self.is_over {
            let Some(frame) = self.inbox.pop_front() else {
                break;
            };
            if let Err(code) = self.handle(&frame) {
                self.events.push(code);
                self.frames
                    .push(error(code, frame.headers.get("receipt"), None));
                self.end("Fault");
            }
            self.end_retired_subscriptions();
        }
        if self.has_client_ended && self.call.is_none() {
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
            Command::Send if transaction.is_empty() => self.call_application(frame),
            Command::Send => {
                self.hold(transaction, Step::Send(frame.clone()));
                self.receipt(header("receipt"));
            }
            // The rest of an ACK or NACK that was settled before its turn.
            Command::Receipt => self.receipt(header("receipt")),
            Command::Subscribe => self.subscribe(frame)?,
            Command::Unsubscribe => self.unsubscribe(frame)?,
            Command::Ack | Command::Nack => self.acknowledge(frame, transaction)?,
            Command::Abort => {
                let steps = self.transactions.remove(transaction).unwrap();
                self.events.push("an abort");
                self.release_steps(steps);
                self.receipt(header("receipt"));
            }
            Command::Commit => {
                let left = self.transactions.remove(transaction).unwrap().into();
                let receipt = header("receipt").map(str::to_owned);
                self.commit = Some(Commit {
                    receipt,
                    left,
                    accepted: Vec::new(),
                });
                self.continue_commit();
            }
            Command::Disconnect => {
                self.reason = "Requested";
                self.abandon_all();
                self.call_application(frame);
            }
            command => panic!("{command} is not in the model"),
        }
        Ok(())
    }

    /// Notes that the application must receive this request.
    pub(crate) fn call_application(&mut self, frame: &Frame) {
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
                self.events.push(self.reason);
            }
            _ => {}
        }
        self.requests.push(request);
        self.call = Some(frame.clone());
    }

    /// Handles the application's answer to its request.
    pub(crate) fn application_answered(&mut self, answer: Result<(), &'static str>) {
        let frame = self.call.take().unwrap();
        let receipt = frame.headers.get("receipt");
        match (frame.command, answer) {
            _ if self.is_over => {
                self.call_disconnect();
            }
            (Command::Disconnect, answer) => {
                match answer {
                    Ok(_) => self.receipt(receipt),
                    Err(code) => self.frames.push(error(code, receipt, None)),
                }
                self.is_over = true;
            }
            (Command::Send, answer) if self.commit.is_some() => self.answer_in_commit(answer),
            (_, Ok(_)) => {
                self.receipt(receipt);
                if let Some(serial) = self.asked_for(&frame).filter(|_| !self.has_client_ended) {
                    self.subscription(serial).unwrap().is_accepted = true;
                }
            }
            (_, Err(code)) => {
                let mut id = None;
                if let Some(serial) = self.asked_for(&frame) {
                    id = self.end_subscription(serial, false);
                    self.events.push("a subscription is refused");
                }
                self.refuse(error(code, receipt, id));
            }
        }
        self.end_retired_subscriptions();
        self.handle_inbox();
    }

    /// The subscription that this SUBSCRIBE asks for, unless it has ended.
    fn asked_for(&mut self, frame: &Frame) -> Option<usize> {
        let serial = frame.headers.get("serial")?.parse().unwrap();
        let is_active = frame.command == Command::Subscribe && self.subscription(serial).is_some();
        is_active.then_some(serial)
    }

    /// Notes that the application has sent an error through the handle of the session. This has no effect once the end
    /// of the session has begun.
    pub(crate) fn error_of_handle(&mut self, code: &str) {
        if self.reason.is_empty() {
            self.refuse(error(code, None, None));
        }
    }

    /// Notes that an error of the application must reach the client.
    pub(crate) fn refuse(&mut self, error: String) {
        if self.is_over {
            return;
        }
        self.frames.push(error);
        self.events.push(if self.errors_close {
            "an error closes the session"
        } else {
            "an error leaves the session open"
        });
        if self.errors_close {
            self.end("Error");
        }
    }

    /// Ends the session and calls DISCONNECT with this reason.
    pub(crate) fn end(&mut self, reason: &'static str) {
        if !self.is_over {
            self.is_over = true;
            self.reason = reason;
            self.abandon_all();
            self.call_disconnect();
        }
    }

    /// Ends the session without DISCONNECT, because the connection was dropped.
    pub(crate) fn connection_dropped(&mut self) {
        self.is_over = true;
        self.end_lost_subscriptions();
        self.abandon_all();
        self.call = None;
    }

    fn end_all_subscriptions(&mut self) {
        while let Some(subscription) = self.subscriptions.first() {
            self.end_subscription(subscription.serial, false);
        }
    }

    pub(crate) fn abandon_all(&mut self) {
        let transactions = take(&mut self.transactions);
        self.events
            .extend((!transactions.is_empty()).then_some("a transaction is open at the end"));
        let commit = self.commit.take();
        let steps = commit
            .into_iter()
            .flat_map(|commit| commit.accepted.into_iter().chain(commit.left));
        self.release_steps(
            transactions
                .into_values()
                .flatten()
                .chain(steps)
                .collect::<Vec<_>>(),
        );
        self.end_all_subscriptions();
    }

    fn call_disconnect(&mut self) {
        if self.call.is_none() && !self.disconnect_called {
            self.call_application(&Frame::new(Command::Disconnect));
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
