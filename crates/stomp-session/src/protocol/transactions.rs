//! `BEGIN`, `COMMIT` and `ABORT`: frames that take effect together.

use super::{Fault, Protocol};
use crate::{
    error::ClientError,
    staging::{self, Effect, Settling, Staging},
    weight::weight,
};
use bytes::Bytes;
use bytestring::ByteString;
use std::{collections::VecDeque, time::Instant};
use stomp_frame::{Frame, header};

/// The transactions that a session has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: Vec<Transaction>,
}

#[derive(Debug)]
struct Transaction {
    id: ByteString,
    steps: VecDeque<Step>,
    /// What the steps weigh.
    bytes: usize,
}

/// One frame of a transaction.
#[derive(Debug)]
pub(super) enum Step {
    Send(Frame),
    Settle(Settling),
}

/// A transaction that is being committed.
#[derive(Debug)]
pub(super) struct Commit {
    receipt: Option<ByteString>,
    /// What the service has not agreed to yet.
    steps: VecDeque<Step>,
    staging: Staging,
}

impl Commit {
    pub(super) fn staging(&self) -> &Staging {
        &self.staging
    }

    pub(super) fn into_receipt(self) -> Option<ByteString> {
        self.receipt
    }
}

impl Protocol {
    /// STOMP 1.2, "BEGIN": "Within the same connection, different transactions MUST use different transaction
    /// identifiers."
    pub(super) fn begin(&mut self, frame: &Frame) -> Result<(), Fault> {
        self.check_length(header::TRANSACTION, frame)?;
        let id = frame.headers.get(header::TRANSACTION).unwrap_or_default();
        if self
            .transactions
            .open
            .iter()
            .any(|transaction| *transaction.id == *id)
        {
            return Err(Fault::new(
                "duplicate-transaction",
                "A transaction of this name is open.",
            )
            .about(frame));
        }
        if self.transactions.open.len() >= self.config.max_transactions {
            let text = format!(
                "A session has at most {} open transactions.",
                self.config.max_transactions
            );
            return Err(Fault::new("too-many-transactions", text).about(frame));
        }
        let id = ByteString::from(id.to_owned());
        self.transactions.open.push(Transaction {
            id,
            steps: VecDeque::new(),
            bytes: 0,
        });
        self.receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    pub(super) fn abort(&mut self, frame: &Frame) -> Result<(), Fault> {
        let steps = self.end_transaction(frame)?;
        self.release(steps);
        self.receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    /// Asks the service for each held `SEND`, one after the other; when it has agreed to all, they take effect.
    pub(super) fn commit(&mut self, frame: &Frame, now: Instant) -> Result<(), Fault> {
        let steps = self.end_transaction(frame)?;
        let receipt = frame.headers.share(header::RECEIPT);
        self.commit = Some(Commit {
            receipt,
            steps,
            staging: Staging::new(),
        });
        self.go_on_with_commit(now);
        Ok(())
    }

    /// Goes on to the next `SEND`, or to the end.
    pub(super) fn go_on_with_commit(&mut self, now: Instant) {
        while let Some(commit) = &mut self.commit {
            match commit.steps.pop_front() {
                Some(Step::Settle(settling)) => commit.staging.push(Effect::Settle(settling)),
                Some(Step::Send(frame)) => return self.call(frame, None, now),
                None => return self.finish_commit(),
            }
        }
    }

    fn finish_commit(&mut self) {
        let Some(Commit {
            receipt, staging, ..
        }) = self.commit.take()
        else {
            return;
        };
        for effect in staging.close() {
            match effect {
                Effect::Run(effect) => staging::run(effect),
                Effect::Settle(settling) => self.settle(&settling),
            }
        }
        self.receipt(receipt);
    }

    /// The service has agreed to a `SEND`, or refused it and with it the whole transaction.
    pub(super) fn handle_answer_in_commit(
        &mut self,
        answer: Result<(), ClientError>,
        now: Instant,
    ) {
        let Err(error) = answer else {
            return self.go_on_with_commit(now);
        };
        let Some(Commit {
            receipt,
            steps,
            staging,
        }) = self.commit.take()
        else {
            return;
        };
        self.release(steps);
        for effect in staging.close() {
            if let Effect::Settle(settling) = effect {
                self.mark_staged(&settling, false);
            }
        }
        self.refuse(
            Fault {
                receipt,
                ..Fault::from(error)
            },
            now,
        );
    }

    /// The transaction that a frame is to be part of, if any.
    pub(super) fn transaction_of(&self, frame: &Frame) -> Result<Option<usize>, Fault> {
        let Some(id) = frame.headers.get(header::TRANSACTION) else {
            return Ok(None);
        };
        match self
            .transactions
            .open
            .iter()
            .position(|transaction| *transaction.id == *id)
        {
            Some(at) => Ok(Some(at)),
            None => Err(Fault::new(
                "unknown-transaction",
                "No transaction of this name is open.",
            )
            .about(frame)),
        }
    }

    /// Keeps a frame until its transaction ends.
    pub(super) fn hold(
        &mut self,
        transaction: usize,
        step: Step,
        frame: &Frame,
    ) -> Result<(), Fault> {
        let held: usize = self
            .transactions
            .open
            .iter()
            .map(|transaction| transaction.bytes)
            .sum();
        let bytes = weight(frame);
        let Some(transaction) = self.transactions.open.get_mut(transaction) else {
            return Ok(());
        };
        let fault = |text: String| Err(Fault::new("transaction-too-large", text).about(frame));
        if transaction.steps.len() >= self.config.max_transaction_frames {
            return fault(format!(
                "A transaction has at most {} frames.",
                self.config.max_transaction_frames
            ));
        }
        // One frame always fits.
        if held > 0 && held + bytes > self.config.max_transaction_bytes {
            return fault(format!(
                "Open transactions have at most {} bytes.",
                self.config.max_transaction_bytes
            ));
        }
        transaction.bytes += bytes;
        transaction.steps.push_back(step);
        Ok(())
    }

    /// A `SEND` inside a transaction. It is processed when it is held, so that is when its receipt is sent.
    pub(super) fn hold_send(&mut self, transaction: usize, frame: &Frame) -> Result<(), Fault> {
        self.hold(transaction, Step::Send(own(frame)), frame)?;
        self.receipt(frame.headers.share(header::RECEIPT));
        Ok(())
    }

    fn end_transaction(&mut self, frame: &Frame) -> Result<VecDeque<Step>, Fault> {
        let steps = self
            .transaction_of(frame)?
            .map(|at| self.transactions.open.remove(at).steps);
        Ok(steps.unwrap_or_default())
    }

    /// Drops what was held: messages can be acknowledged again.
    fn release(&mut self, steps: VecDeque<Step>) {
        for step in steps {
            if let Step::Settle(settling) = step {
                self.mark_staged(&settling, false);
            }
        }
    }

    /// STOMP 1.2, "BEGIN": "Any started transactions which have not been committed will be implicitly aborted if the
    /// client sends a `DISCONNECT` frame or if the TCP connection fails for any reason."
    pub(super) fn abort_all(&mut self) {
        self.commit = None;
        self.transactions = Transactions::default();
    }
}

/// A copy: what is held must not keep the buffer alive that its frame was read into. A receipt is given only once.
fn own(frame: &Frame) -> Frame {
    let headers = frame
        .headers
        .iter()
        .filter(|(name, _)| *name != header::RECEIPT)
        .collect();
    Frame {
        command: frame.command,
        headers,
        body: Bytes::copy_from_slice(&frame.body),
    }
}
