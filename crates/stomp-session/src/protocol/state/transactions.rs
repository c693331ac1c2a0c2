//! The open transactions of a session, and the one that is being committed.

use crate::staging::{Acknowledgment, Staging};
use bytestring::ByteString;
use std::collections::VecDeque;
use stomp_frame::Frame;

/// The transactions that the peer has begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    open: Vec<Transaction>,
}

#[derive(Debug)]
struct Transaction {
    id: ByteString,
    steps: VecDeque<Step>,
    /// Approximate memory of the steps.
    bytes: usize,
}

/// One frame of a transaction.
#[derive(Debug)]
pub(crate) enum Step {
    Send(Frame),
    Acknowledge(Acknowledgment),
}

/// The bound that another frame of a transaction would exceed.
#[derive(Debug)]
pub(crate) enum TransactionFull {
    Frames,
    Bytes,
}

/// A transaction that is being committed.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) receipt: Option<ByteString>,
    /// Steps that are not staged yet.
    pub(crate) steps: VecDeque<Step>,
    pub(crate) staging: Staging,
}

impl Transactions {
    /// Number of open transactions.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// The index of the open transaction with this id.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.open
            .iter()
            .position(|transaction| *transaction.id == *id)
    }

    pub(crate) fn insert(&mut self, id: ByteString) {
        self.open.push(Transaction {
            id,
            steps: VecDeque::new(),
            bytes: 0,
        });
    }

    /// Ends a transaction and returns its steps.
    pub(crate) fn remove(&mut self, index: usize) -> VecDeque<Step> {
        self.open.remove(index).steps
    }

    /// Adds a step of `bytes` to a transaction. `max_bytes` bounds all open transactions together, but the first step
    /// always fits.
    pub(crate) fn push(
        &mut self,
        index: usize,
        step: Step,
        bytes: usize,
        max_frames: usize,
        max_bytes: usize,
    ) -> Result<(), TransactionFull> {
        let held: usize = self.open.iter().map(|transaction| transaction.bytes).sum();
        let Some(transaction) = self.open.get_mut(index) else {
            return Ok(());
        };
        if transaction.steps.len() >= max_frames {
            return Err(TransactionFull::Frames);
        }
        if held > 0 && held + bytes > max_bytes {
            return Err(TransactionFull::Bytes);
        }
        transaction.bytes += bytes;
        transaction.steps.push_back(step);
        Ok(())
    }
}
