//! `ACK` and `NACK`: what was sent and waits to be acknowledged.

use super::{Fault, Protocol, subscriptions::Known, transactions::Step};
use crate::{
    delivery::{Settle, Settlement},
    id::SubscriptionKey,
    staging::Settling,
};
use std::collections::VecDeque;
use stomp_frame::{AckMode, Command, Frame, Version, header};

/// What a session knows of all its deliveries; those that are unsettled stand in the [`Account`]s of their
/// subscriptions.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number of the last delivery.
    issued: u64,
    /// What all unsettled deliveries weigh.
    bytes: usize,
    /// The last deliveries that an `ACK` or `NACK` of their own has settled, the oldest first.
    acknowledged: VecDeque<u64>,
}

/// The unsettled deliveries of one subscription.
#[derive(Debug)]
pub(super) struct Account {
    is_cumulative: bool,
    /// How many deliveries may be unsettled.
    credit: usize,
    /// In the order of their numbers.
    unsettled: VecDeque<Unsettled>,
    /// Nothing more will be sent.
    is_ending: bool,
}

#[derive(Debug)]
struct Unsettled {
    number: u64,
    bytes: usize,
    settle: Settle,
    /// An open transaction has it.
    is_staged: bool,
}

impl Account {
    /// `None` where nothing is to be acknowledged.
    pub(super) fn new(mode: AckMode, credit: usize) -> Option<Account> {
        let is_cumulative = match mode {
            AckMode::Auto => return None,
            AckMode::Client => true,
            AckMode::ClientIndividual => false,
        };
        Some(Account {
            is_cumulative,
            credit,
            unsettled: VecDeque::new(),
            is_ending: false,
        })
    }

    fn is_done(&self) -> bool {
        self.is_ending && self.unsettled.is_empty()
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.unsettled
            .binary_search_by_key(&number, |delivery| delivery.number)
            .ok()
    }

    /// The deliveries that an `ACK` or `NACK` of `number` is about.
    ///
    /// STOMP 1.2, "SUBSCRIBE ack Header": with `client`, "the acknowledgment operates on the message specified in the
    /// `ACK` frame and all messages sent to the subscription before"; with `client-individual`, frames "are not
    /// cumulative".
    fn meant_by(&self, number: u64) -> Vec<u64> {
        if !self.is_cumulative {
            return vec![number];
        }
        let until = self
            .unsettled
            .iter()
            .take_while(|delivery| delivery.number <= number);
        until
            .filter(|delivery| !delivery.is_staged)
            .map(|delivery| delivery.number)
            .collect()
    }
}

impl Ledger {
    /// Enters a delivery, and gives its number.
    pub(super) fn enter(&mut self, account: &mut Account, bytes: usize, settle: Settle) -> u64 {
        self.issued += 1;
        self.bytes += bytes;
        let number = self.issued;
        account.unsettled.push_back(Unsettled {
            number,
            bytes,
            settle: settle.sent(),
            is_staged: false,
        });
        number
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self, account: &Account, bytes: usize) -> bool {
        account.unsettled.len() < account.credit && self.bytes < bytes
    }

    /// Ends a subscription: its deliveries can no longer be settled by the peer.
    ///
    /// STOMP 1.2, "SUBSCRIBE ack Header": "If the connection fails before a client sends an `ACK` frame for the message
    /// the server will assume the message has not been processed and MAY redeliver the message to another client."
    pub(super) fn close(&mut self, account: Account) {
        for delivery in account.unsettled {
            self.bytes -= delivery.bytes;
            delivery.settle.settle(Settlement::Abandoned);
        }
    }

    fn settle(&mut self, account: &mut Account, number: u64, settlement: Settlement) {
        let Some(delivery) = account
            .position(number)
            .and_then(|at| account.unsettled.remove(at))
        else {
            return;
        };
        self.bytes -= delivery.bytes;
        delivery.settle.settle(settlement);
    }

    /// Remembers the last few that were settled by name: to do so twice is an error.
    fn remember(&mut self, number: u64, limit: usize) {
        if self.acknowledged.len() >= limit {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(number);
    }
}

impl Protocol {
    /// `ACK` or `NACK`. In a transaction it is checked now and takes effect at its end.
    pub(super) fn acknowledge(&mut self, frame: &Frame) -> Result<(), Fault> {
        let transaction = self.transaction_of(frame)?;
        if let Some(settling) = self.settling_of(frame)? {
            match transaction {
                None => self.settle(&settling),
                Some(transaction) => {
                    self.mark_staged(&settling, true);
                    self.hold(transaction, Step::Settle(settling), frame)?;
                }
            }
        }
        self.receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    /// Handles an `ACK` or `NACK` before its turn, but for its receipt: what is acknowledged need not wait until a
    /// request is handled. Says whether it did; what is wrong, or part of a transaction, waits for its turn.
    pub(crate) fn acknowledge_ahead(&mut self, frame: &Frame) -> bool {
        let is_ack = matches!(frame.command, Command::Ack | Command::Nack);
        if !is_ack || !self.is_open() || frame.headers.contains(header::TRANSACTION) {
            return false;
        }
        let settling = frame
            .validate(self.version)
            .is_ok()
            .then(|| self.settling_of(frame));
        match settling {
            Some(Ok(settling)) => {
                settling.iter().for_each(|settling| self.settle(settling));
                true
            }
            _ => false,
        }
    }

    /// What an `ACK` or `NACK` settles, if anything.
    fn settling_of(&mut self, frame: &Frame) -> Result<Option<Settling>, Fault> {
        let Some((key, number)) = self.delivery_named_by(frame)? else {
            return Ok(None);
        };
        let settlement = if frame.command == Command::Ack {
            Settlement::Acked
        } else {
            Settlement::Nacked
        };
        let numbers = self
            .subscriptions
            .account(key)
            .map(|account| account.meant_by(number))
            .unwrap_or_default();
        Ok(Some(Settling {
            key,
            numbers,
            settlement,
        }))
    }

    /// The number of the delivery that is named by an `ACK` or `NACK`, and its subscription; `None` if it was settled
    /// otherwise: by a cumulative `ACK`, or by the end of its subscription, which the peer may not know of yet.
    fn delivery_named_by(
        &mut self,
        frame: &Frame,
    ) -> Result<Option<(SubscriptionKey, u64)>, Fault> {
        let unknown = |text: &'static str| Err(Fault::new("unknown-delivery", text).about(frame));
        let name = if self.version == Version::V1_2 {
            header::ID
        } else {
            header::MESSAGE_ID
        };
        let number = frame
            .headers
            .get(name)
            .and_then(number_of)
            .filter(|number| *number <= self.ledger.issued);
        let subscription = match frame
            .headers
            .get(header::SUBSCRIPTION)
            .filter(|_| self.version == Version::V1_1)
        {
            None => None,
            Some(id) => match self.subscriptions.find_id(id) {
                Known::Live(key) => Some(key),
                Known::Retired | Known::Left => return Ok(None),
                Known::Never => {
                    let fault = Fault::new(
                        "unknown-subscription",
                        "There is no subscription of this id.",
                    );
                    return Err(fault.about(frame));
                }
            },
        };
        let Some(number) = number else {
            return unknown("No message of this session has this id to be acknowledged.");
        };
        let again = || {
            Err(Fault::new("already-settled", "This message was acknowledged before.").about(frame))
        };
        match self
            .subscriptions
            .accounts()
            .find_map(|(key, account)| Some((key, account, account.position(number)?)))
        {
            Some((key, ..)) if subscription.is_some_and(|named| named != key) => {
                unknown("No message of this subscription has this id.")
            }
            Some((_, account, at))
                if account
                    .unsettled
                    .get(at)
                    .is_some_and(|delivery| delivery.is_staged) =>
            {
                again()
            }
            Some((key, ..)) => Ok(Some((key, number))),
            None if self.ledger.acknowledged.contains(&number) => again(),
            None => Ok(None),
        }
    }

    /// Settles those deliveries that are still unsettled. A subscription that gets no more ends with the last of them.
    pub(super) fn settle(
        &mut self,
        Settling {
            key,
            numbers,
            settlement,
        }: &Settling,
    ) {
        let Some(account) = self.subscriptions.account(*key) else {
            return;
        };
        numbers
            .iter()
            .for_each(|number| self.ledger.settle(account, *number, *settlement));
        // The last is the one that was named.
        if let Some(named) = numbers.last() {
            self.ledger
                .remember(*named, self.config.max_unacked_messages);
        }
        if account.is_done() {
            self.retire(*key);
        }
    }

    /// All streams of a subscription have ended. With something still to be acknowledged, it waits for that.
    pub(crate) fn handle_stream_end(&mut self, key: SubscriptionKey) {
        if let Some(account) = self.subscriptions.account(key) {
            account.is_ending = true;
            if !account.is_done() {
                return;
            }
        }
        self.retire(key);
    }

    /// Says whether an open transaction has these deliveries.
    pub(super) fn mark_staged(&mut self, settling: &Settling, is_staged: bool) {
        let Some(account) = self.subscriptions.account(settling.key) else {
            return;
        };
        for number in &settling.numbers {
            if let Some(delivery) = account
                .position(*number)
                .and_then(|at| account.unsettled.get_mut(at))
            {
                delivery.is_staged = is_staged;
            }
        }
    }
}

/// How a delivery is called on the wire.
pub(super) fn name_of(number: u64) -> String {
    format!("d{number}")
}

fn number_of(name: &str) -> Option<u64> {
    // A number has one name: without a sign or zeros before it.
    name.strip_prefix('d')
        .filter(|digits| digits.starts_with(|first| ('1'..='9').contains(&first)))?
        .parse()
        .ok()
}
