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
    error::ClientError,
    id::SubscriptionKey,
    staging::{self, Effect, Staging},
};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::Instant,
};
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
        self.commit = Some(Commit {
            receipt: frame.headers.share(header::RECEIPT),
            steps,
            staging: Staging::new(),
            is_decided: false,
            detached: BTreeMap::new(),
        });
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
                    return self.start_call(frame, destination, None, now);
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
    /// If the session, or a subscription, has ended while the futures of the transaction ran, the effects still run and
    /// the deliveries are still settled: what the futures have committed belongs to them.
    fn finish_commit(&mut self) {
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        for effect in commit.staging.close() {
            match effect {
                Effect::Run(effect) => staging::run(effect),
                Effect::Acknowledge(acknowledgment) => {
                    commit.settle_detached(&acknowledgment);
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
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        self.unstage_steps(mem::take(&mut commit.steps));
        for effect in commit.staging.close() {
            if let Effect::Acknowledge(acknowledgment) = effect {
                self.set_staged(&acknowledgment, false);
            }
        }
        if self.is_open() {
            let reply = ErrorReply::from(error).with_receipt(commit.receipt.take());
            self.report_app_error(reply, now);
        }
    }

    /// Returns the index of the open transaction to which a frame belongs, if any. Returns an error if it names a
    /// transaction that is not open.
    pub(super) fn transaction_of(&self, frame: &Frame) -> Result<Option<usize>, ErrorReply> {
        let Some(id) = frame.headers.get(header::TRANSACTION) else {
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

    /// Holds `step`, which was made from `frame`, until the transaction ends. Returns an error if the transaction is
    /// too large.
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
        added.map_err(|full| {
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
        })
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

    /// Drops the steps of a transaction, so that the deliveries which they cover can be acknowledged again.
    fn unstage_steps(&mut self, steps: VecDeque<Step>) {
        for step in steps {
            if let Step::Acknowledge(acknowledgment) = step {
                self.set_staged(&acknowledgment, false);
            }
        }
    }

    /// Moves the deliveries of an ending subscription which a decided commit acknowledges into that commit: its result
    /// settles them. If they were abandoned now, another consumer would do their work again, although the commit may
    /// publish the result of that work.
    pub(super) fn detach_for_commit(
        &mut self,
        subscription: SubscriptionKey,
        unacked: &mut SubscriptionUnacked,
    ) {
        let Some(commit) = self.commit.as_mut().filter(|commit| commit.is_decided) else {
            return;
        };
        for tag in commit.staging.acknowledged_tags(subscription) {
            if let Some(on_settled) = self.unacked.detach(subscription, unacked, tag, false) {
                commit.detached.insert(tag, on_settled);
            }
        }
    }

    /// Aborts all transactions, including the one that is being committed.
    ///
    /// STOMP 1.2, "BEGIN": "Any started transactions which have not been committed will be implicitly aborted if the
    /// client sends a `DISCONNECT` frame or if the TCP connection fails for any reason."
    ///
    /// Once the futures of a transaction run, only their result decides if it takes effect.
    pub(super) fn abort_all_transactions(&mut self) {
        self.commit = self.commit.take().filter(|commit| commit.is_decided);
        self.transactions = Transactions::default();
    }
}
