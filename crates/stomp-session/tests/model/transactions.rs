//! The transactions of the reference.

use crate::{
    reference::{Fault, Reference, error, text},
    subscriptions::DeliveryState,
};
use std::collections::VecDeque;
use stomp_frame::{Command, Frame};

/// A step of a transaction.
pub(crate) enum Step {
    Send(Frame),
    /// Settles these deliveries. The last one is the one that the frame names.
    Settle(Vec<usize>, &'static str),
    /// Runs the effect that the application has staged for a `SEND`.
    Effect(String),
}

pub(crate) struct Commit {
    pub(crate) receipt: Option<String>,
    pub(crate) left: VecDeque<Step>,
    pub(crate) accepted: Vec<Step>,
}

impl Reference {
    /// Returns true if a COMMIT is being handled or waits. If it gives credit for messages, they may be sent before or
    /// after the frames behind it are handled.
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

    pub(crate) fn continue_commit(&mut self) {
        let commit = self.commit.as_mut().unwrap();
        while let Some(step) = commit.left.pop_front() {
            match step {
                Step::Send(frame) => {
                    commit.accepted.push(Step::Effect(text(&frame.body)));
                    return self.call_application(&frame);
                }
                other => commit.accepted.push(other),
            }
        }
        let Commit {
            receipt, accepted, ..
        } = self.commit.take().unwrap();
        self.events.push(if accepted.len() > 1 {
            "a commit of several steps"
        } else {
            "a commit"
        });
        for step in accepted {
            match step {
                Step::Settle(numbers, settlement) => self.settle(&numbers, settlement),
                Step::Effect(name) => self.log.push(format!("{name} ran")),
                Step::Send(_) => unreachable!(),
            }
        }
        self.receipt(receipt.as_deref());
    }

    pub(crate) fn answer_in_commit(&mut self, answer: Result<(), &'static str>) {
        match answer {
            Ok(()) => self.continue_commit(),
            Err(code) => {
                let Commit {
                    receipt,
                    left,
                    accepted,
                } = self.commit.take().unwrap();
                self.events.push("a commit is refused");
                self.release_steps(accepted.into_iter().chain(left));
                self.refuse(error(code, receipt.as_deref(), None));
            }
        }
    }

    /// Undoes the steps of a transaction.
    pub(crate) fn release_steps(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            match step {
                Step::Settle(numbers, _) => {
                    for number in numbers {
                        let sent = &mut self.deliveries[number];
                        match sent.state {
                            DeliveryState::Staged => sent.state = DeliveryState::Pending,
                            DeliveryState::Detached => {
                                self.events
                                    .push("a delivery without a subscription returns");
                                sent.state = DeliveryState::Settled;
                                self.log.push(format!("{} Abandoned", sent.body));
                            }
                            _ => {}
                        }
                    }
                }
                Step::Effect(name) => self.log.push(format!("{name} dropped")),
                Step::Send(_) => {}
            }
        }
    }
}
