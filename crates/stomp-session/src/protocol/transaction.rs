//! `BEGIN`, `COMMIT` and `ABORT`: transactions, whose frames take effect together.

use super::{
    Protocol, copied,
    error_reply::{ErrorReply, Quoted},
    state::{
        timers::Timer,
        transactions::{Commit, Step, TransactionFull, Transactions},
        unacked::SubscriptionUnacked,
    },
};
use crate::{
    delivery::Settlement,
    error::ClientError,
    id::{DeliveryTag, SubscriptionKey},
    routed::Target,
    staging::{self, Acknowledgment, Effect, Staging},
};
use bytestring::ByteString;
use std::{collections::VecDeque, mem, time::Instant};
use stomp_frame::{Frame, header};

impl Protocol {
    /// Handles `BEGIN`: opens a transaction.
    ///
    /// STOMP 1.2, "BEGIN": "Within the same connection, different transactions MUST use different transaction
    /// identifiers."
    pub(super) fn begin(&mut self, frame: &Frame) -> Result<(), ErrorReply> {
        self.check_length(header::TRANSACTION, frame)?;
        let id = frame.headers.get(header::TRANSACTION).unwrap_or_default();
        if self.transactions.find(id).is_some() {
            let text = format!("The transaction {} is open already.", Quoted(id));
            return Err(ErrorReply::new("duplicate-transaction", text).with_receipt_of(frame));
        }
        let max = self.config.max_transactions;
        if self.transactions.len() >= max {
            let text = format!("A session has at most {max} open transactions (max_transactions).");
            return Err(ErrorReply::new("too-many-transactions", text).with_receipt_of(frame));
        }
        self.transactions.insert(copied(id));
        self.send_receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    /// Handles `ABORT`: drops the held frames of a transaction, so that none of them takes effect.
    pub(super) fn abort(&mut self, frame: &Frame) -> Result<(), ErrorReply> {
        let (steps, _) = self.end_transaction(frame)?;
        self.unstage_steps(steps);
        self.send_receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    /// Handles `COMMIT`: calls the service with each held `SEND`, one after the other. If all succeed, the futures and
    /// effects that they staged run.
    ///
    /// If a `SEND` was refused when it arrived, the whole transaction is refused. The client may have sent the `COMMIT`
    /// before it saw the `ERROR`, and either all frames of a transaction take effect, or none.
    pub(super) fn commit(&mut self, frame: &Frame, now: Instant) -> Result<(), ErrorReply> {
        let (steps, refused) = self.end_transaction(frame)?;
        if let Some(error) = refused {
            self.unstage_steps(steps);
            self.report_app_error(ErrorReply::from(error).with_receipt_of(frame), now);
            return Ok(());
        }
        self.commit = Some(Box::new(Commit {
            receipt: frame.headers.share(header::RECEIPT),
            steps,
            staging: Staging::new(),
            is_decided: false,
        }));
        self.continue_commit(now);
        Ok(())
    }

    /// Calls the service with the next `SEND`. After the last one, runs the futures of the transaction, or finishes the
    /// commit if there are none.
    fn continue_commit(&mut self, now: Instant) {
        while let Some(commit) = &mut self.commit {
            match commit.steps.pop_front() {
                Some(Step::Acknowledge(acknowledgment)) => {
                    commit.staging.push(Effect::Acknowledge(acknowledgment));
                }
                Some(Step::Send(frame, destination)) => {
                    // Its receipt was sent when it was held.
                    let target = Target::Known(destination);
                    return self.start_call_with_receipt(frame, target, None, None);
                }
                None => match commit.staging.begin_commit() {
                    Some(future) => {
                        commit.is_decided = true;
                        return self.start_commit(future, now);
                    }
                    None => return self.finish_commit(),
                },
            }
        }
    }

    /// Runs the effects of the transaction, settles the deliveries of its `ACK`s and `NACK`s, and sends the receipt.
    ///
    /// The deliveries of subscriptions that have ended are settled too: the transaction may have published the results of
    /// the client's work on them. If the session has ended while the futures of the transaction ran, the effects still
    /// run: what the futures have committed belongs to them.
    fn finish_commit(&mut self) {
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        for effect in commit.staging.close() {
            match effect {
                Effect::Run(effect) => staging::run(effect),
                Effect::Acknowledge(acknowledgment) => {
                    self.settle_detached(&acknowledgment.tags, acknowledgment.settlement);
                    self.apply_acknowledgment(&acknowledgment);
                }
            }
        }
        if self.is_open() {
            self.send_receipt(commit.receipt.take());
        }
    }

    /// Handles the result of the futures of a transaction.
    pub(crate) fn handle_committed(&mut self, result: Result<(), ClientError>, now: Instant) {
        self.call = None;
        self.timers.clear(Timer::Handler);
        match result {
            Ok(()) => self.finish_commit(),
            Err(error) => self.refuse_commit(error, now),
        }
        self.end_retired_subscriptions();
        self.call_next(now);
    }

    /// Handles the answer of the service to a `SEND` of the transaction. An error refuses the whole transaction.
    pub(super) fn handle_answer_in_commit(
        &mut self,
        answer: Result<(), ClientError>,
        now: Instant,
    ) {
        match answer {
            Ok(()) => self.continue_commit(now),
            Err(error) => self.refuse_commit(error, now),
        }
        self.end_retired_subscriptions();
    }

    /// Drops the effects, and lets the deliveries be acknowledged again. Deliveries of subscriptions that have ended are
    /// abandoned.
    fn refuse_commit(&mut self, error: ClientError, now: Instant) {
        let receipt = self.drop_commit();
        if self.is_open() {
            let reply = ErrorReply::from(error).with_receipt(receipt);
            self.report_app_error(reply, now);
        }
    }

    /// Drops the commit without effect. Returns the receipt that its client wants.
    fn drop_commit(&mut self) -> Option<ByteString> {
        let mut commit = self.commit.take()?;
        self.unstage_steps(mem::take(&mut commit.steps));
        for effect in commit.staging.close() {
            if let Effect::Acknowledge(acknowledgment) = effect {
                self.unstage(&acknowledgment);
            }
        }
        commit.receipt.take()
    }

    /// Returns the index of the open transaction to which a frame belongs, if any. Returns an error if it names a
    /// transaction that is not open.
    pub(super) fn transaction_of(&self, frame: &Frame) -> Result<Option<usize>, ErrorReply> {
        self.find_transaction(frame.headers.get(header::TRANSACTION), frame)
    }

    /// Looks up the open transaction with this id, which is the header `transaction` of `frame`.
    pub(super) fn find_transaction(
        &self,
        id: Option<&str>,
        frame: &Frame,
    ) -> Result<Option<usize>, ErrorReply> {
        let Some(id) = id else {
            return Ok(None);
        };
        match self.transactions.find(id) {
            Some(transaction) => Ok(Some(transaction)),
            None => {
                let text = format!("The transaction {} is not open.", Quoted(id));
                Err(ErrorReply::new("unknown-transaction", text).with_receipt_of(frame))
            }
        }
    }

    /// Holds `step`, which was made from `frame`, until the transaction ends, and marks the deliveries that it covers.
    /// Returns an error if the transaction is too large.
    pub(super) fn add_step(
        &mut self,
        transaction: usize,
        step: Step,
        bytes: usize,
        frame: &Frame,
    ) -> Result<(), ErrorReply> {
        let (max_frames, max_bytes) = (
            self.config.max_transaction_frames,
            self.config.max_transaction_bytes,
        );
        let added = self
            .transactions
            .push(transaction, step, bytes, max_frames, max_bytes);
        let added = added.map_err(|full| {
            let text = match full {
                TransactionFull::Frames => format!(
                    "A transaction has at most {max_frames} frames (max_transaction_frames)."
                ),
                TransactionFull::Bytes => format!(
                    "All open transactions together have at most {max_bytes} bytes \
                     (max_transaction_bytes)."
                ),
            };
            ErrorReply::new("transaction-too-large", text).with_receipt_of(frame)
        })?;
        if let Some(Step::Acknowledge(acknowledgment)) = added {
            let Acknowledgment {
                subscription, tags, ..
            } = acknowledgment;
            if let Some(unacked) = self.subscriptions.unacked_mut(*subscription) {
                unacked.set_staged(tags, true);
            }
        }
        Ok(())
    }

    /// Ends the transaction that `frame` names. Returns its steps, and the error if one of its `SEND`s was refused.
    fn end_transaction(
        &mut self,
        frame: &Frame,
    ) -> Result<(VecDeque<Step>, Option<ClientError>), ErrorReply> {
        let steps = self
            .transaction_of(frame)?
            .map(|transaction| self.transactions.remove(transaction));
        Ok(steps.unwrap_or_default())
    }

    /// Drops the steps of a transaction.
    fn unstage_steps(&mut self, steps: VecDeque<Step>) {
        for step in steps {
            if let Step::Acknowledge(acknowledgment) = step {
                self.unstage(&acknowledgment);
            }
        }
    }

    /// Drops an acknowledgment of a transaction, so that its deliveries can be acknowledged again. Those of subscriptions
    /// that have ended are abandoned.
    fn unstage(&mut self, acknowledgment: &Acknowledgment) {
        let unacked = self.subscriptions.unacked_mut(acknowledgment.subscription);
        if let Some(unacked) = unacked {
            unacked.set_staged(&acknowledgment.tags, false);
        }
        self.settle_detached(&acknowledgment.tags, Settlement::Abandoned);
    }

    /// Keeps the deliveries of an ending subscription that a transaction acknowledges: the end of the transaction settles
    /// them. If they were abandoned now, another consumer would do their work again, although the transaction may publish
    /// the result of that work.
    pub(super) fn detach_staged(
        &mut self,
        subscription: SubscriptionKey,
        unacked: &mut SubscriptionUnacked,
    ) {
        for tag in unacked.staged() {
            if let Some(on_settled) = self.unacked.detach(subscription, unacked, tag, false) {
                self.detached.insert(tag, on_settled);
            }
        }
    }

    /// Settles those of the deliveries whose subscriptions have ended.
    fn settle_detached(&mut self, tags: &[DeliveryTag], settlement: Settlement) {
        for tag in tags {
            if let Some(on_settled) = self.detached.remove(tag) {
                on_settled.call(settlement);
            }
        }
    }

    /// Drops the acknowledgments of all open transactions, which can no longer be committed. The transactions stay open,
    /// so that their later frames are no errors.
    pub(super) fn unstage_open_transactions(&mut self) {
        let transactions = mem::take(&mut self.transactions);
        for acknowledgment in transactions.acknowledgments() {
            self.unstage(acknowledgment);
        }
        self.transactions = transactions;
    }

    /// Aborts all transactions, including the one that is being committed.
    ///
    /// STOMP 1.2, "BEGIN": "Any started transactions which have not been committed will be implicitly aborted if the
    /// client sends a `DISCONNECT` frame or if the TCP connection fails for any reason."
    ///
    /// Once the futures of a transaction run, only their result decides if it takes effect.
    pub(super) fn abort_all_transactions(&mut self) {
        self.unstage_open_transactions();
        self.transactions = Transactions::default();
        if self
            .commit
            .as_ref()
            .is_some_and(|commit| !commit.is_decided)
        {
            self.drop_commit();
        }
    }
}
