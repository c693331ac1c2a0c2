//! The parts of WebSocket that a load needs: messages are encoded once, and answers are counted by their headers.
//!
//! A full client would cost as much as the server under load, and would take processor time from it.

use std::io;

const TEXT: u8 = 0x81;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x8e];

/// Encodes a text message as a client sends it, in one frame.
pub(crate) fn message(text: &str) -> Vec<u8> {
    let mut frame = vec![TEXT];
    match text.len() {
        length @ 0..126 => frame.push(MASKED | length as u8),
        length => match u16::try_from(length) {
            Ok(length) => {
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(MASKED | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        },
    }
    frame.extend(MASK);
    let masked = text.bytes().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// Counts complete messages in the bytes that a server sends.
///
/// Checks the first byte of each message, to detect an `ERROR` in place of a `RECEIPT`.
pub(crate) struct Counter {
    first: u8,
    head: Vec<u8>,
    payload: u64,
    at_first: bool,
    control: bool,
}

impl Counter {
    pub(crate) fn new(first: u8) -> Counter {
        Counter {
            first,
            head: Vec::with_capacity(10),
            payload: 0,
            at_first: false,
            control: false,
        }
    }

    /// Returns the number of messages that these bytes complete.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> io::Result<u64> {
        let mut complete = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.payload == 0 {
                self.head.push(byte);
                self.begin_payload()?;
                bytes = rest;
            } else {
                self.check_first(byte)?;
                bytes = self.skip_payload(bytes);
                complete += u64::from(self.payload == 0 && !self.control);
            }
        }
        Ok(complete)
    }

    fn begin_payload(&mut self) -> io::Result<()> {
        let Some(length) = length(&self.head) else {
            return Ok(());
        };
        self.control = self.head.first().is_some_and(|byte| byte & CONTROL != 0);
        self.head.clear();
        self.payload = length;
        self.at_first = true;
        match length {
            0 if !self.control => Err(io::Error::other("the server sent an empty message")),
            _ => Ok(()),
        }
    }

    fn check_first(&mut self, byte: u8) -> io::Result<()> {
        let unexpected = self.at_first && !self.control && byte != self.first;
        self.at_first = false;
        if unexpected {
            let (got, wanted) = (byte.escape_ascii(), self.first.escape_ascii());
            let text = format!("the server sent {got}… instead of {wanted}…");
            return Err(io::Error::other(text));
        }
        Ok(())
    }

    fn skip_payload<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = usize::try_from(self.payload).unwrap_or(usize::MAX);
        let here = wanted.min(bytes.len());
        self.payload -= here as u64;
        bytes.get(here..).unwrap_or_default()
    }
}

/// Reads the length from the header of an unmasked frame. Returns `None` if not enough of the header has arrived.
pub(crate) fn length(head: &[u8]) -> Option<u64> {
    match head {
        [_, length @ 0..126, ..] => Some(u64::from(*length)),
        [_, 126, a, b, ..] => Some(u64::from(u16::from_be_bytes([*a, *b]))),
        [_, 127, a, b, c, d, e, f, g, h] => {
            Some(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_server(text: &str) -> Vec<u8> {
        let mut frame = vec![TEXT];
        match text.len() {
            length @ 0..126 => frame.push(length as u8),
            length => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(text.bytes());
        frame
    }

    #[test]
    fn messages_are_counted_in_chunks_of_any_size() {
        let stream = [
            from_server("RECEIPT"),
            vec![0x89, 1, b'!'],
            from_server(&"R".repeat(300)),
            vec![0x89, 0],
            from_server("R"),
        ]
        .concat();
        for size in 1..=stream.len() {
            let mut counter = Counter::new(b'R');
            let counts = stream.chunks(size).map(|chunk| counter.count(chunk));
            assert_eq!(counts.sum::<io::Result<u64>>().unwrap(), 3, "{size}");
        }
    }

    #[test]
    fn an_unexpected_answer_is_an_error() {
        let mut counter = Counter::new(b'R');
        assert!(counter.count(&from_server("ERROR")).is_err());
    }

    #[test]
    fn a_message_is_masked() {
        assert_eq!(
            message("ab"),
            [0x81, 0x82, 0x5a, 0xc3, 0x17, 0x8e, 0x3b, 0xa1]
        );
        assert_eq!(message(&"x".repeat(200)).len(), 2 + 2 + 4 + 200);
        assert_eq!(message(&"x".repeat(70_000)).len(), 2 + 8 + 4 + 70_000);
    }
}
