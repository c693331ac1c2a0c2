//! A publisher: decides when messages are sent, and remembers when they were.

use crate::{numbers, wire::Template};
use std::time::{Duration, Instant};

/// Number of send times that are kept. More messages are never outstanding.
const TIMES: usize = 4_096;

/// Rule by which a publisher sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Keeps this number of messages outstanding.
    Outstanding(u64),
    /// Sends this number of messages at once, each time when all of them were delivered to everybody.
    Bursts(u64),
    /// Sends this number of messages per second.
    PerSecond(u32),
}

pub(crate) struct Publisher {
    /// The index of its connection.
    pub(crate) connection: usize,
    message: Template,
    pace: Pace,
    start: Option<Instant>,
    sent: u64,
    delivered: u64,
    sent_at: Vec<Instant>,
}

impl Publisher {
    pub(crate) fn new(connection: usize, message: Template, pace: Pace) -> Publisher {
        Publisher {
            connection,
            message,
            pace,
            start: None,
            sent: 0,
            delivered: 0,
            sent_at: vec![Instant::now(); TIMES],
        }
    }

    /// Appends the messages that may be sent now. Each is delivered `copies` times.
    pub(super) fn publish(&mut self, index: usize, copies: u64, now: Instant, out: &mut Vec<u8>) {
        for _ in 0..self.allowed(copies, now) {
            self.message.append(numbers::number(index, self.sent), out);
            if let Some(at) = super::slot(&mut self.sent_at, self.sent) {
                *at = now;
            }
            self.sent += 1;
        }
    }

    /// Counts a delivery, and returns the time since its message was sent.
    pub(super) fn delivered(&mut self, position: u64, now: Instant) -> Duration {
        self.delivered += 1;
        super::slot(&mut self.sent_at, position).map_or(Duration::ZERO, |at| now - *at)
    }

    /// Number of deliveries that have not arrived.
    pub(super) fn outstanding(&self, copies: u64) -> u64 {
        (self.sent * copies).saturating_sub(self.delivered)
    }

    /// Returns the time until the next message, unless deliveries decide about it.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let Pace::PerSecond(rate) = self.pace else {
            return None;
        };
        let at = self.start? + Duration::from_secs_f64(self.sent as f64 / f64::from(rate));
        Some(at.saturating_duration_since(now))
    }

    fn allowed(&mut self, copies: u64, now: Instant) -> u64 {
        let start = *self.start.get_or_insert(now);
        let outstanding = self.outstanding(copies).div_ceil(copies.max(1));
        match self.pace {
            Pace::Outstanding(limit) => limit.saturating_sub(outstanding),
            Pace::Bursts(count) if outstanding == 0 => count,
            Pace::Bursts(_) => 0,
            Pace::PerSecond(rate) => {
                let time = (now - start).as_secs_f64();
                let due = (time * f64::from(rate)) as u64 + 1;
                let room = (TIMES as u64).saturating_sub(outstanding);
                due.saturating_sub(self.sent).min(room)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::NUMBER;

    fn publisher(pace: Pace) -> Publisher {
        Publisher::new(0, Template::new(NUMBER).unwrap(), pace)
    }

    #[test]
    fn a_message_is_outstanding_until_its_last_copy_has_arrived() {
        let mut publisher = publisher(Pace::Outstanding(4));
        let (now, mut out) = (Instant::now(), Vec::new());
        publisher.publish(0, 3, now, &mut out);
        assert_eq!(publisher.sent, 4);
        for _ in 0..2 {
            publisher.delivered(0, now);
            assert_eq!(publisher.allowed(3, now), 0);
        }
        publisher.delivered(0, now);
        assert_eq!(publisher.allowed(3, now), 1);
    }

    #[test]
    fn a_burst_follows_when_the_last_one_was_delivered() {
        let mut publisher = publisher(Pace::Bursts(2));
        let (now, mut out) = (Instant::now(), Vec::new());
        publisher.publish(0, 1, now, &mut out);
        publisher.delivered(0, now);
        assert_eq!(publisher.allowed(1, now), 0);
        publisher.delivered(1, now);
        assert_eq!(publisher.allowed(1, now), 2);
    }

    #[test]
    fn a_pace_makes_up_for_a_late_wake() {
        let mut publisher = publisher(Pace::PerSecond(100));
        let (now, mut out) = (Instant::now(), Vec::new());
        publisher.publish(0, 1, now, &mut out);
        assert_eq!(publisher.sent, 1);
        assert_eq!(publisher.due(now), Some(Duration::from_millis(10)));
        let late = now + Duration::from_millis(35);
        assert_eq!(publisher.due(late), Some(Duration::ZERO));
        assert_eq!(publisher.allowed(1, late), 3);
    }
}
