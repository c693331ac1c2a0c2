//! The open transactions of a session, and the one that is being committed.

use crate::{
    error::ClientError,
    routed::Known,
    staging::{Acknowledgment, Staging},
};
use bytestring::ByteString;
use std::{collections::VecDeque, sync::Arc};
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
    /// Approximate bytes that the steps occupy in memory.
    bytes: usize,
    /// The error for the first refused `SEND` of the transaction, if any. Refused `SEND`s are not held.
    refused: Option<ClientError>,
}

/// One frame that is held for a transaction.
#[derive(Debug)]
pub(crate) enum Step {
    Send(Frame, Arc<Known>),
    Acknowledge(Acknowledgment),
}

/// Error: another frame would exceed this bound of transactions.
#[derive(Debug)]
pub(crate) enum TransactionFull {
    Frames,
    Bytes,
}

/// A transaction that is being committed.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) receipt: Option<ByteString>,
    /// Steps that are not processed yet.
    pub(crate) steps: VecDeque<Step>,
    pub(crate) staging: Staging,
    /// True once all handlers have succeeded and the futures of the transaction run. Then it can still fail, but the
    /// end of the session does not abort it.
    pub(crate) is_decided: bool,
}

impl Drop for Commit {
    /// Closes the staging area, which handlers may still hold. A staged value may hold it too, and then neither would
    /// ever be freed.
    fn drop(&mut self) {
        self.staging.close();
    }
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
            refused: None,
        });
    }

    /// The acknowledgments of all open transactions.
    pub(crate) fn acknowledgments(&self) -> impl Iterator<Item = &Acknowledgment> {
        let steps = self.open.iter().flat_map(|transaction| &transaction.steps);
        steps.filter_map(|step| match step {
            Step::Acknowledge(acknowledgment) => Some(acknowledgment),
            Step::Send(..) => None,
        })
    }

    /// Ends a transaction. Returns its steps, and the error if one of its `SEND`s was refused.
    pub(crate) fn remove(&mut self, index: usize) -> (VecDeque<Step>, Option<ClientError>) {
        let transaction = self.open.remove(index);
        (transaction.steps, transaction.refused)
    }

    /// Notes that a `SEND` of a transaction was refused and is not held: the transaction cannot be committed any more.
    pub(crate) fn refuse(&mut self, index: usize, error: ClientError) {
        if let Some(transaction) = self.open.get_mut(index) {
            transaction.refused.get_or_insert(error);
        }
    }

    /// Adds a step that occupies `bytes` bytes to a transaction, and returns it. `max_frames` bounds each transaction, and
    /// `max_bytes` bounds all open transactions together. If no bytes are held yet, any step fits into `max_bytes`.
    pub(crate) fn push(
        &mut self,
        index: usize,
        step: Step,
        bytes: usize,
        max_frames: usize,
        max_bytes: usize,
    ) -> Result<Option<&Step>, TransactionFull> {
        let held: usize = self.open.iter().map(|transaction| transaction.bytes).sum();
        let Some(transaction) = self.open.get_mut(index) else {
            return Ok(None);
        };
        if transaction.steps.len() >= max_frames {
            return Err(TransactionFull::Frames);
        }
        if held > 0 && held + bytes > max_bytes {
            return Err(TransactionFull::Bytes);
        }
        transaction.bytes += bytes;
        transaction.steps.push_back(step);
        Ok(transaction.steps.back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::Command;

    fn step() -> Step {
        Step::Send(Frame::new(Command::Send), Arc::default())
    }

    #[test]
    fn the_number_of_frames_is_bounded_per_transaction() {
        let mut transactions = Transactions::default();
        transactions.insert("a".into());
        transactions.insert("b".into());
        assert!(transactions.push(0, step(), 1, 1, 100).is_ok());
        assert!(matches!(
            transactions.push(0, step(), 1, 1, 100),
            Err(TransactionFull::Frames)
        ));
        assert!(transactions.push(1, step(), 1, 1, 100).is_ok());
    }

    #[test]
    fn the_bytes_of_all_transactions_are_bounded_but_the_first_frame_fits() {
        let mut transactions = Transactions::default();
        transactions.insert("a".into());
        transactions.insert("b".into());
        assert!(transactions.push(0, step(), 101, 9, 100).is_ok());
        assert!(matches!(
            transactions.push(1, step(), 1, 9, 100),
            Err(TransactionFull::Bytes)
        ));
        let a = transactions.find("a").unwrap();
        assert_eq!(transactions.remove(a).0.len(), 1);
        let b = transactions.find("b").unwrap();
        assert!(transactions.push(b, step(), 1, 9, 100).is_ok());
        assert_eq!(transactions.len(), 1);
    }
}
