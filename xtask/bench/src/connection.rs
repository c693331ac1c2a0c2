//! A connection under load: it reads many messages at once, and writes what a read has caused in one call.

use crate::{target::Setup, wire};
use mio::{Interest, Registry, Token, net::TcpStream};
use std::io::{self, ErrorKind, Read, Write};

pub(crate) struct Connection {
    stream: TcpStream,
    /// The start of a message whose rest has not arrived.
    partial: Vec<u8>,
    /// Bytes to write.
    pub(crate) out: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(setup: Setup, registry: &Registry, token: usize) -> io::Result<Connection> {
        let stream = setup.into_stream();
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(token), interest)?;
        Ok(Connection {
            stream,
            partial: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Reads all that has arrived, through a buffer that all connections share, and passes each message to `receive`
    /// with the buffer for answers. Calls `read` after the messages of each read.
    ///
    /// The buffer must be larger than any message.
    pub(crate) fn read_all(
        &mut self,
        buffer: &mut [u8],
        mut receive: impl FnMut(&[u8], &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            let kept = self.partial.len();
            let (start, free) = buffer
                .split_at_mut_checked(kept)
                .filter(|(_, free)| !free.is_empty())
                .ok_or_else(|| io::Error::other("the server sent a message that is too long"))?;
            start.copy_from_slice(&self.partial);
            let capacity = free.len();
            let count = match self.stream.read(free) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut rest = buffer.get(..kept + count).unwrap_or_default();
            while let Some(payload) = wire::next_message(&mut rest)? {
                receive(payload, &mut self.out)?;
            }
            self.partial.clear();
            self.partial.extend(rest);
            // A read that leaves room in the buffer has taken all that had arrived.
            if count < capacity {
                return Ok(());
            }
        }
    }

    /// Writes as much of `out` as the peer takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self.out.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.drain(..written);
        Ok(())
    }
}
