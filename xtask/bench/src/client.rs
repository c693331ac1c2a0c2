//! A client connection of a load: a WebSocket without a library, as cheap as possible.

use crate::wire::{self, Counter};
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

const CONTROL: u8 = 0x08;

thread_local! {
    /// A read buffer that all connections share, because hundreds of buffers would not fit into the processor's cache.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

pub(crate) struct Client {
    stream: TcpStream,
    counter: Counter,
}

/// Methods for use before the load. They are simple rather than fast.
impl Client {
    pub(crate) async fn open(address: SocketAddr, path: &str) -> io::Result<Client> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        // No bytes follow the head, because the servers send nothing before the first message from the client.
        while !response.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if !response.starts_with(b"HTTP/1.1 101 ") {
            let text = String::from_utf8_lossy(&response);
            return Err(io::Error::other(format!(
                "the server did not upgrade the connection: {text}"
            )));
        }
        let counter = Counter::new(0);
        Ok(Client { stream, counter })
    }

    pub(crate) async fn send_text(&mut self, text: &str) -> io::Result<()> {
        self.send(&wire::message(text)).await
    }

    pub(crate) async fn receive_text(&mut self) -> io::Result<String> {
        loop {
            let mut head = vec![0; 2];
            self.stream.read_exact(&mut head).await?;
            let length = loop {
                if let Some(length) = wire::length(&head) {
                    break length;
                }
                head.push(self.stream.read_u8().await?);
            };
            let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            self.stream.read_exact(&mut payload).await?;
            if head.first().is_some_and(|byte| byte & CONTROL == 0) {
                return String::from_utf8(payload).map_err(io::Error::other);
            }
        }
    }

    pub(crate) async fn expect(&mut self, start: &str) -> io::Result<String> {
        let received = self.receive_text().await?;
        if received.starts_with(start) {
            Ok(received)
        } else {
            let text = format!("the server sent {received:?} instead of {start:?}…");
            Err(io::Error::other(text))
        }
    }

    /// Prepares to count answers. Each answer must begin with the byte `first`.
    pub(crate) fn counting(mut self, first: u8) -> Client {
        self.counter = Counter::new(first);
        self
    }
}

/// Methods for use during the load.
impl Client {
    pub(crate) async fn send(&mut self, messages: &[u8]) -> io::Result<()> {
        self.stream.write_all(messages).await
    }

    /// Waits for bytes from the server, and returns the number of messages that they complete, which may be 0.
    pub(crate) async fn count(&mut self) -> io::Result<u64> {
        poll_fn(|context| BUFFER.with_borrow_mut(|buffer| self.poll_count(context, buffer))).await
    }

    fn poll_count(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<u64>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(match buffer.filled() {
            [] => Err(io::Error::other("the server closed a connection")),
            bytes => self.counter.count(bytes),
        })
    }
}
