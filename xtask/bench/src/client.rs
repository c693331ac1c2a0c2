//! One connection of the load: a WebSocket opened by hand, then as lean as possible.

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
    /// One for all connections: hundreds of buffers would keep pushing each other out of the cache.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

pub(crate) struct Client {
    stream: TcpStream,
    counter: Counter,
}

/// Before the load, when simple is better than fast.
impl Client {
    pub(crate) async fn open(address: SocketAddr, path: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        // Nothing follows the head: neither server speaks before it is spoken to.
        while !response.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if !response.starts_with(b"HTTP/1.1 101 ") {
            let text = String::from_utf8_lossy(&response);
            return Err(io::Error::other(format!("no upgrade: {text}")));
        }
        let counter = Counter::new(0);
        Ok(Self { stream, counter })
    }

    pub(crate) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.send(&wire::message(text)).await
    }

    pub(crate) async fn hear(&mut self) -> io::Result<String> {
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
        let heard = self.hear().await?;
        if heard.starts_with(start) {
            Ok(heard)
        } else {
            let text = format!("expected {start}, the server sent {heard}");
            Err(io::Error::other(text))
        }
    }

    /// From here on answers are only counted, and each must begin with this byte.
    pub(crate) fn counting(mut self, first: u8) -> Self {
        self.counter = Counter::new(first);
        self
    }
}

/// During the load.
impl Client {
    pub(crate) async fn send(&mut self, messages: &[u8]) -> io::Result<()> {
        self.stream.write_all(messages).await
    }

    /// Waits until the server sent something: how many messages it completes, perhaps none.
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
