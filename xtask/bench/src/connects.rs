//! `connects`: connections that are opened, subscribed and closed, some at a time.

use crate::{
    target::{Target, check_upgrade},
    wire,
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{self, ErrorKind, Read, Write},
    time::{Duration, Instant},
};

/// Number of connections that are being opened at the same time.
const AT_ONCE: usize = 16;

/// A loop that opens connections.
pub(crate) struct Connects {
    poll: Poll,
    events: Events,
    handshake: String,
    /// The messages after the handshake, encoded, each with the start of its answer.
    messages: Vec<(Vec<u8>, &'static str)>,
    target: Target,
    opening: Vec<Opening>,
    pub(crate) completed: u64,
}

struct Opening {
    stream: TcpStream,
    received: Vec<u8>,
    /// The number of answers that have arrived. The first one is that to the handshake.
    answers: usize,
}

impl Connects {
    pub(crate) fn new(target: Target) -> io::Result<Connects> {
        let messages = target.first_messages().into_iter();
        let mut connects = Connects {
            poll: Poll::new()?,
            events: Events::with_capacity(AT_ONCE),
            handshake: target.handshake(),
            messages: messages
                .map(|(text, answer)| (wire::message(&text), answer))
                .collect(),
            target,
            opening: Vec::new(),
            completed: 0,
        };
        for token in 0..AT_ONCE {
            let opening = connects.open(token)?;
            connects.opening.push(opening);
        }
        Ok(connects)
    }

    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.poll.poll(&mut self.events, Some(left))?;
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for token in ready {
                self.advance(token)?;
            }
        }
        Ok(())
    }

    /// Opens a connection and sends its handshake.
    fn open(&self, token: usize) -> io::Result<Opening> {
        let stream = self.target.open_stream()?;
        // An immediate reset instead of an orderly close: else all ports would soon be in TIME_WAIT.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        // A new connection takes these few bytes at once.
        stream.write_all(self.handshake.as_bytes())?;
        let registry = self.poll.registry();
        registry.register(&mut stream, Token(token), Interest::READABLE)?;
        Ok(Opening {
            stream,
            received: Vec::new(),
            answers: 0,
        })
    }

    fn advance(&mut self, token: usize) -> io::Result<()> {
        let messages = &self.messages;
        let Some(opening) = self.opening.get_mut(token) else {
            return Ok(());
        };
        if !opening.advance(messages)? {
            return Ok(());
        }
        self.completed += 1;
        let next = self.open(token)?;
        if let Some(opening) = self.opening.get_mut(token) {
            *opening = next;
        }
        Ok(())
    }
}

impl Opening {
    /// Reads answers and sends messages. Returns true after the last answer.
    fn advance(&mut self, messages: &[(Vec<u8>, &str)]) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(count) => self
                    .received
                    .extend(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            while self.has_answer(messages)? {
                match messages.get(self.answers) {
                    Some((message, _)) => self.stream.write_all(message)?,
                    None => return Ok(true),
                }
                self.answers += 1;
            }
        }
    }

    /// Takes a complete answer, and returns true if there was one.
    fn has_answer(&mut self, messages: &[(Vec<u8>, &str)]) -> io::Result<bool> {
        let before = self.answers.checked_sub(1);
        let Some((_, start)) = before.and_then(|before| messages.get(before)) else {
            let is_complete = self.received.ends_with(b"\r\n\r\n");
            if is_complete {
                check_upgrade(&self.received)?;
                self.received.clear();
            }
            return Ok(is_complete);
        };
        let mut rest = self.received.as_slice();
        let Some(payload) = wire::next_message(&mut rest)? else {
            return Ok(false);
        };
        if !payload.starts_with(start.as_bytes()) {
            let text = String::from_utf8_lossy(payload);
            return Err(io::Error::other(format!(
                "the server sent {text:?} instead of {start:?}…"
            )));
        }
        let left = rest.len();
        self.received.drain(..self.received.len() - left);
        Ok(true)
    }
}
