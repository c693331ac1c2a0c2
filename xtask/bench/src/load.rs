//! The generator: one thread that sends messages over many connections, and checks each message that arrives.

mod publisher;

pub(crate) use publisher::{Pace, Publisher};

use crate::{
    connection::Connection,
    histogram::Histogram,
    numbers::{self, InOrder, Increasing, Once},
    target::Setup,
    wire::{self, Template},
};
use mio::{Events, Poll};
use std::{
    io,
    time::{Duration, Instant},
};

/// Size of the read buffer, which all connections share so that it stays in the processor's cache.
const BUFFER: usize = 256 << 10;
const EVENTS: usize = 1_024;

/// Maximum time until the last outstanding message has arrived.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Load {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    peers: Vec<(Connection, Role)>,
    tally: Tally,
}

/// The figures that the connections of a load share.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    pub(crate) answer_times: Histogram,
    pub(crate) deliveries: u64,
    pub(crate) delivery_times: Histogram,
    publishers: Vec<Publisher>,
    /// Number of connections that receive each published message.
    copies: u64,
    /// Length of the bodies that are published.
    body: usize,
    consumed: Once,
    is_stopped: bool,
}

enum Role {
    Requester(Requester),
    Publisher,
    Subscriber(InOrder),
    Consumer(Increasing),
}

/// A connection whose requests are answered one by one.
struct Requester {
    request: Template,
    /// The marker before the number in an answer.
    marker: &'static [u8],
    sent: u64,
    answered: u64,
    /// The times of the outstanding requests, each at the remainder of its number.
    sent_at: Vec<Instant>,
}

impl Load {
    /// Creates a load whose publishers send bodies of `body` bytes.
    pub(crate) fn new(publishers: usize, body: usize) -> io::Result<Load> {
        Ok(Load {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            buffer: vec![0; BUFFER],
            peers: Vec::new(),
            tally: Tally {
                body,
                consumed: Once::new(publishers),
                ..Tally::default()
            },
        })
    }

    /// Adds a connection that keeps `outstanding` requests unanswered.
    pub(crate) fn add_requester(
        &mut self,
        setup: Setup,
        request: &str,
        marker: &'static [u8],
        outstanding: usize,
    ) -> io::Result<()> {
        let requester = Requester {
            request: Template::new(request)?,
            marker,
            sent: 0,
            answered: 0,
            sent_at: vec![Instant::now(); outstanding],
        };
        self.add(setup, Role::Requester(requester))
    }

    pub(crate) fn add_publisher(
        &mut self,
        setup: Setup,
        message: &str,
        pace: Pace,
    ) -> io::Result<()> {
        let publisher = Publisher::new(self.peers.len(), Template::new(message)?, pace);
        self.tally.publishers.push(publisher);
        self.add(setup, Role::Publisher)
    }

    /// Adds a connection that receives all messages of `publishers` publishers.
    pub(crate) fn add_subscriber(&mut self, setup: Setup, publishers: usize) -> io::Result<()> {
        self.tally.copies += 1;
        self.add(setup, Role::Subscriber(InOrder::new(publishers)))
    }

    /// Adds a connection that receives some messages of `publishers` publishers, and acknowledges each.
    pub(crate) fn add_consumer(&mut self, setup: Setup, publishers: usize) -> io::Result<()> {
        self.tally.copies = 1;
        self.add(setup, Role::Consumer(Increasing::new(publishers)))
    }

    fn add(&mut self, setup: Setup, role: Role) -> io::Result<()> {
        let connection = Connection::new(setup, self.poll.registry(), self.peers.len())?;
        self.peers.push((connection, role));
        Ok(())
    }

    /// Sends and receives for this time.
    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        self.send_first_requests()?;
        loop {
            let now = Instant::now();
            let Some(left) = end
                .checked_duration_since(now)
                .filter(|left| !left.is_zero())
            else {
                return Ok(());
            };
            self.publish(now)?;
            let due = self.tally.publishers.iter().filter_map(|it| it.due(now));
            self.turn(due.min().unwrap_or(left).min(left))?;
        }
    }

    /// Sends nothing more, and waits for the rest. Returns an error if messages do not arrive in time.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        self.tally.is_stopped = true;
        let end = Instant::now() + DRAIN_TIMEOUT;
        while self.outstanding() > 0 {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return Err(io::Error::other(format!(
                    "{} messages did not arrive within {DRAIN_TIMEOUT:?}: they are lost",
                    self.outstanding()
                )));
            };
            self.turn(left)?;
        }
        Ok(())
    }

    /// The figures since the start, or since they were last cleared with [`Load::clear_times`].
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn clear_times(&mut self) {
        self.tally.answer_times.clear();
        self.tally.delivery_times.clear();
    }

    fn outstanding(&self) -> u64 {
        let requests = self.peers.iter().map(|(_, role)| match role {
            Role::Requester(requester) => requester.sent - requester.answered,
            _ => 0,
        });
        let copies = self.tally.copies;
        let published = self.tally.publishers.iter();
        requests.sum::<u64>() + published.map(|it| it.outstanding(copies)).sum::<u64>()
    }

    fn send_first_requests(&mut self) -> io::Result<()> {
        for (connection, role) in &mut self.peers {
            if let Role::Requester(requester) = role {
                requester.send(Instant::now(), &mut connection.out);
                connection.flush()?;
            }
        }
        Ok(())
    }

    fn publish(&mut self, now: Instant) -> io::Result<()> {
        for (index, publisher) in self.tally.publishers.iter_mut().enumerate() {
            // A publisher whose last messages have not left yet sends no more.
            if let Some((connection, _)) = self.peers.get_mut(publisher.connection) {
                if connection.out.is_empty() {
                    publisher.publish(index, self.tally.copies, now, &mut connection.out);
                    connection.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Waits for events, and handles them.
    fn turn(&mut self, limit: Duration) -> io::Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(limit)) {
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            };
        }
        for event in &self.events {
            let Some((connection, role)) = self.peers.get_mut(event.token().0) else {
                continue;
            };
            if event.is_readable() {
                let now = Instant::now();
                let tally = &mut self.tally;
                connection.read_all(&mut self.buffer, |payload, out| {
                    role.receive(payload, out, now, tally)
                })?;
                if let (Role::Requester(requester), false) = (&mut *role, tally.is_stopped) {
                    requester.send(now, &mut connection.out);
                }
            }
            connection.flush()?;
        }
        Ok(())
    }
}

impl Role {
    fn receive(
        &mut self,
        payload: &[u8],
        out: &mut Vec<u8>,
        now: Instant,
        tally: &mut Tally,
    ) -> io::Result<()> {
        if payload.starts_with(b"\n") && payload.len() == 1 {
            // A heart-beat.
            return Ok(());
        }
        let accepted = match self {
            Role::Requester(requester) => requester.receive(payload, now, tally),
            Role::Subscriber(order) => {
                let number = message_number(payload, tally.body);
                number.map(|number| tally.deliver(order.accept(number), now))
            }
            Role::Consumer(order) => {
                let number = message_number(payload, tally.body);
                acknowledge(payload, out)
                    .and(number)
                    .map(|number| tally.deliver_from_queue(order, number, now))
            }
            Role::Publisher => None,
        };
        accepted.unwrap_or_else(|| Err(unexpected(payload)))
    }
}

impl Requester {
    /// Sends requests until all are outstanding that may be.
    fn send(&mut self, now: Instant, out: &mut Vec<u8>) {
        while self.sent - self.answered < self.sent_at.len() as u64 {
            self.request.append(self.sent, out);
            if let Some(at) = slot(&mut self.sent_at, self.sent) {
                *at = now;
            }
            self.sent += 1;
        }
    }

    fn receive(
        &mut self,
        payload: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Option<io::Result<()>> {
        let number = wire::number_after(payload, self.marker)?;
        if number != self.answered {
            return Some(Err(io::Error::other(format!(
                "the answer to request {number} arrived when that to request {} was expected",
                self.answered
            ))));
        }
        let at = slot(&mut self.sent_at, number)?;
        tally.answer_times.record(now - *at);
        self.answered += 1;
        tally.answers += 1;
        Some(Ok(()))
    }
}

impl Tally {
    fn deliver(
        &mut self,
        accepted: Result<(usize, u64), numbers::Fault>,
        now: Instant,
    ) -> io::Result<()> {
        let (publisher, position) = accepted.map_err(io::Error::other)?;
        self.deliveries += 1;
        if let Some(publisher) = self.publishers.get_mut(publisher) {
            let time = publisher.delivered(position, now);
            self.delivery_times.record(time);
        }
        Ok(())
    }

    fn deliver_from_queue(
        &mut self,
        consumer: &mut Increasing,
        number: u64,
        now: Instant,
    ) -> io::Result<()> {
        let accepted = self.consumed.accept(consumer, number);
        self.deliver(accepted, now)
    }
}

fn slot(times: &mut [Instant], number: u64) -> Option<&mut Instant> {
    let at = number % times.len() as u64;
    times.get_mut(usize::try_from(at).ok()?)
}

fn message_number(payload: &[u8], body: usize) -> Option<u64> {
    payload
        .starts_with(b"MESSAGE\n")
        .then(|| wire::number_in_body(payload, body))?
}

/// Appends the ACK of a MESSAGE of STOMP 1.2.
fn acknowledge(payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let rest = wire::after(payload, b"\nack:")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    wire::append_message(out, &[b"ACK\nid:", rest.get(..end)?, b"\n\n\0"]);
    Some(())
}

fn unexpected(payload: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(payload.get(..300).unwrap_or(payload));
    io::Error::other(format!("the server sent an unexpected message: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: usize = 12;

    fn message(number: u64) -> Vec<u8> {
        format!("MESSAGE\nsubscription:0\nack:s1-7\n\n{number:012}\0").into_bytes()
    }

    fn tally() -> Tally {
        Tally {
            body: BODY,
            consumed: Once::new(1),
            ..Tally::default()
        }
    }

    #[test]
    fn a_subscriber_counts_deliveries_and_reports_a_lost_one() {
        let (mut tally, mut out) = (tally(), Vec::new());
        let mut role = Role::Subscriber(InOrder::new(1));
        let now = Instant::now();
        for number in 0..3 {
            role.receive(&message(number), &mut out, now, &mut tally)
                .unwrap();
        }
        let lost = role.receive(&message(4), &mut out, now, &mut tally);
        assert!(lost.unwrap_err().to_string().contains("lost"));
        let error = role.receive(b"ERROR\nmessage:no\n\n\0", &mut out, now, &mut tally);
        assert!(error.unwrap_err().to_string().contains("ERROR"));
        assert_eq!((tally.deliveries, out.len()), (3, 0));
    }

    #[test]
    fn a_consumer_acknowledges_each_message_by_its_ack_header() {
        let (mut tally, mut out) = (tally(), Vec::new());
        let mut role = Role::Consumer(Increasing::new(1));
        role.receive(&message(0), &mut out, Instant::now(), &mut tally)
            .unwrap();
        assert_eq!(out, wire::message("ACK\nid:s1-7\n\n\0"));
    }

    #[test]
    fn a_requester_reports_answers_out_of_order() {
        let mut tally = tally();
        let mut requester = Requester {
            request: Template::new(wire::NUMBER).unwrap(),
            marker: b"receipt-id:",
            sent: 0,
            answered: 0,
            sent_at: vec![Instant::now(); 4],
        };
        let (mut out, now) = (Vec::new(), Instant::now());
        requester.send(now, &mut out);
        assert_eq!(requester.sent, 4);
        let mut role = Role::Requester(requester);
        let receipt = |number: u64| format!("RECEIPT\nreceipt-id:{number:012}\n\n\0").into_bytes();
        role.receive(&receipt(0), &mut out, now, &mut tally)
            .unwrap();
        for number in [0, 2] {
            let answer = role.receive(&receipt(number), &mut out, now, &mut tally);
            assert!(answer.unwrap_err().to_string().contains("request 1"));
        }
        assert_eq!(tally.answers, 1);
    }
}
