//! Checks that no message is lost, doubled or out of order.
//!
//! A message carries a [number](number) that names its publisher and its position among the publisher's messages.

use std::fmt;

/// Positions that a publisher may use.
const POSITIONS: u64 = 10_000_000_000;

/// The number of the message at `position` of a publisher.
pub(crate) fn number(publisher: usize, position: u64) -> u64 {
    publisher as u64 * POSITIONS + position % POSITIONS
}

/// The publisher and the position of a message.
fn parts(number: u64) -> (usize, u64) {
    let publisher = usize::try_from(number / POSITIONS).unwrap_or(usize::MAX);
    (publisher, number % POSITIONS)
}

/// A message that should not have arrived now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Earlier messages have not arrived: they are lost or late.
    Gap {
        publisher: usize,
        expected: u64,
        got: u64,
    },
    /// The message, or a later one of its publisher, has arrived before.
    Repeated {
        publisher: usize,
        expected: u64,
        got: u64,
    },
    /// The message was never sent.
    Unknown { number: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Gap {
                publisher,
                expected,
                got,
            } => write!(
                f,
                "lost or out of order: message {got} of publisher {publisher} arrived before message {expected}"
            ),
            Fault::Repeated {
                publisher,
                expected,
                got,
            } => write!(
                f,
                "doubled or out of order: message {got} of publisher {publisher} arrived when message {expected} \
                 was expected"
            ),
            Fault::Unknown { number } => write!(f, "a message has the unknown number {number}"),
        }
    }
}

impl std::error::Error for Fault {}

/// The messages that one subscriber receives: all of every publisher, in order.
pub(crate) struct InOrder {
    next: Vec<u64>,
}

impl InOrder {
    pub(crate) fn new(publishers: usize) -> InOrder {
        InOrder {
            next: vec![0; publishers],
        }
    }

    /// Checks the next message, and returns its publisher and its position.
    pub(crate) fn accept(&mut self, number: u64) -> Result<(usize, u64), Fault> {
        let (publisher, got) = parts(number);
        let next = self
            .next
            .get_mut(publisher)
            .ok_or(Fault::Unknown { number })?;
        let expected = *next;
        if got != expected {
            let (is_gap, fault) = (got > expected, (publisher, expected, got));
            return Err(fault_of(is_gap, fault));
        }
        *next += 1;
        Ok((publisher, got))
    }
}

/// The messages that one consumer of a queue receives: some of every publisher, in order.
pub(crate) struct Increasing {
    next: Vec<u64>,
}

impl Increasing {
    pub(crate) fn new(publishers: usize) -> Increasing {
        Increasing {
            next: vec![0; publishers],
        }
    }

    fn accept(&mut self, number: u64) -> Result<(usize, u64), Fault> {
        let (publisher, got) = parts(number);
        let next = self
            .next
            .get_mut(publisher)
            .ok_or(Fault::Unknown { number })?;
        if got < *next {
            return Err(fault_of(false, (publisher, *next, got)));
        }
        *next = got + 1;
        Ok((publisher, got))
    }
}

/// The messages that all consumers of a queue receive together: each exactly once.
#[derive(Default)]
pub(crate) struct Once {
    /// For each publisher, one flag for each position that has been seen.
    seen: Vec<Vec<bool>>,
}

impl Once {
    pub(crate) fn new(publishers: usize) -> Once {
        Once {
            seen: vec![Vec::new(); publishers],
        }
    }

    /// Checks the next message of a consumer, and returns its publisher and its position.
    pub(crate) fn accept(
        &mut self,
        consumer: &mut Increasing,
        number: u64,
    ) -> Result<(usize, u64), Fault> {
        let (publisher, got) = consumer.accept(number)?;
        let unknown = Fault::Unknown { number };
        let seen = self.seen.get_mut(publisher).ok_or(unknown)?;
        let at = usize::try_from(got).unwrap_or(usize::MAX);
        if seen.len() <= at {
            seen.resize(at + 1, false);
        }
        match seen.get_mut(at) {
            Some(flag) if !*flag => *flag = true,
            _ => return Err(fault_of(false, (publisher, got + 1, got))),
        }
        Ok((publisher, got))
    }
}

fn fault_of(is_gap: bool, (publisher, expected, got): (usize, u64, u64)) -> Fault {
    if is_gap {
        Fault::Gap {
            publisher,
            expected,
            got,
        }
    } else {
        Fault::Repeated {
            publisher,
            expected,
            got,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_accepts_the_messages_of_each_publisher_in_order() {
        let mut subscriber = InOrder::new(2);
        for (publisher, position) in [(0, 0), (1, 0), (1, 1), (0, 1), (1, 2)] {
            let accepted = subscriber.accept(number(publisher, position));
            assert_eq!(accepted, Ok((publisher, position)));
        }
    }

    #[test]
    fn a_lost_message_is_found_when_the_next_one_arrives() {
        let mut subscriber = InOrder::new(1);
        subscriber.accept(number(0, 0)).unwrap();
        let fault = Fault::Gap {
            publisher: 0,
            expected: 1,
            got: 2,
        };
        assert_eq!(subscriber.accept(number(0, 2)), Err(fault));
    }

    #[test]
    fn a_doubled_message_and_an_old_one_are_found() {
        let mut subscriber = InOrder::new(1);
        subscriber.accept(number(0, 0)).unwrap();
        subscriber.accept(number(0, 1)).unwrap();
        for got in [0, 1] {
            let fault = Fault::Repeated {
                publisher: 0,
                expected: 2,
                got,
            };
            assert_eq!(subscriber.accept(number(0, got)), Err(fault));
        }
    }

    #[test]
    fn a_message_of_an_unknown_publisher_is_found() {
        let unknown = number(3, 0);
        let fault = Fault::Unknown { number: unknown };
        assert_eq!(InOrder::new(3).accept(unknown), Err(fault));
    }

    #[test]
    fn consumers_may_share_messages_but_each_message_has_one_consumer() {
        let mut once = Once::new(1);
        let (mut one, mut other) = (Increasing::new(1), Increasing::new(1));
        once.accept(&mut one, number(0, 1)).unwrap();
        once.accept(&mut other, number(0, 0)).unwrap();
        assert!(once.accept(&mut other, number(0, 1)).is_err());
        once.accept(&mut one, number(0, 2)).unwrap();
    }

    #[test]
    fn a_consumer_that_receives_an_earlier_message_later_is_found() {
        let mut once = Once::new(1);
        let mut consumer = Increasing::new(1);
        once.accept(&mut consumer, number(0, 1)).unwrap();
        assert!(once.accept(&mut consumer, number(0, 0)).is_err());
    }
}
