//! The reference's transactions.

use crate::{
    reference::{Fault, Reference, error, text},
    subscriptions::Fate,
};
use std::collections::VecDeque;
use stomp_frame::{Command, Frame};

/// One frame of a transaction.
pub(crate) enum Step {
    Send(Frame),
    /// These deliveries, the one that was named being the last.
    Settle(Vec<usize>, &'static str),
    /// What a SEND will do that the application was asked.
    Effect(String),
}

pub(crate) struct Commit {
    pub(crate) receipt: Option<String>,
    pub(crate) left: VecDeque<Step>,
    pub(crate) agreed: Vec<Step>,
}

impl Reference {
    /// Whether a COMMIT is handled, or is going to be. What comes behind it may find messages sent that it gave credit
    /// for, or not.
    pub(crate) fn will_commit(&self) -> bool {
        let is_commit = |frame: &Frame| frame.command == Command::Commit;
        self.commit.is_some() || (!self.is_over && self.inbox.iter().any(is_commit))
    }

    pub(crate) fn begin(&mut self, frame: &Frame, transaction: &str) -> Result<(), Fault> {
        if self.transactions.contains_key(transaction) {
            return Err("duplicate-transaction");
        }
        if self.transactions.len() == 8 {
            return Err("too-many-transactions");
        }
        self.transactions.insert(transaction.to_owned(), Vec::new());
        self.receipt(frame.headers.get("receipt"));
        Ok(())
    }

    pub(crate) fn hold(&mut self, transaction: &str, step: Step) {
        self.transactions.get_mut(transaction).unwrap().push(step);
    }

    pub(crate) fn go_on_with_commit(&mut self) {
        let commit = self.commit.as_mut().unwrap();
        while let Some(step) = commit.left.pop_front() {
            match step {
                Step::Send(frame) => {
                    commit.agreed.push(Step::Effect(text(&frame.body)));
                    return self.ask(&frame);
                }
                other => commit.agreed.push(other),
            }
        }
        let Commit {
            receipt, agreed, ..
        } = self.commit.take().unwrap();
        self.seen.push(if agreed.len() > 1 {
            "a commit of many"
        } else {
            "a commit"
        });
        for step in agreed {
            match step {
                Step::Settle(numbers, settlement) => self.settle(&numbers, settlement),
                Step::Effect(name) => self.log.push(format!("{name} ran")),
                Step::Send(_) => unreachable!(),
            }
        }
        self.receipt(receipt.as_deref());
    }

    pub(crate) fn is_answered_in_commit(&mut self, answer: Result<(), &'static str>) {
        match answer {
            Ok(()) => self.go_on_with_commit(),
            Err(code) => {
                let Commit {
                    receipt,
                    left,
                    agreed,
                } = self.commit.take().unwrap();
                self.seen.push("a commit is refused");
                self.give_back(agreed.into_iter().chain(left));
                self.refuse(error(code, receipt.as_deref(), None));
            }
        }
    }

    /// A transaction comes to nothing.
    pub(crate) fn give_back(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            match step {
                Step::Settle(numbers, _) => {
                    for number in numbers {
                        let fate = &mut self.deliveries[number].fate;
                        if *fate == Fate::Staged {
                            *fate = Fate::Pending;
                        }
                    }
                }
                Step::Effect(name) => self.log.push(format!("{name} dropped")),
                Step::Send(_) => {}
            }
        }
    }
}
