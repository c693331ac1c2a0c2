//! A WebSocket that somebody else has made.

use super::{close_frame, end_of};
use crate::{
    CloseCode, Config, End, Peer, Socket,
    input::Input,
    linger::{LINGER_BYTES, Linger},
    wire::{Io, Kind, Wire, Write},
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

impl Socket {
    /// A socket over a WebSocket that somebody else has made, of the server's side or the client's.
    ///
    /// What [`over_websocket`](Socket::over_websocket) does is done by `websocket` here, in its ways: what has come is
    /// counted by messages, a large one of which is no life until it is complete; the limits of its configuration hold
    /// beside those of frames; it keeps its buffers; and each message sent is copied once more.
    pub fn from_websocket<S>(websocket: WebSocketStream<S>, peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(Foreign::new(websocket, config)), peer, config)
    }
}

/// A foreign WebSocket as a transport.
struct Foreign<S> {
    websocket: WebSocketStream<S>,
    input: Input,
    /// What was collected.
    queue: VecDeque<Message>,
    /// Bytes in the queue, and bytes the WebSocket was given since it was last flushed.
    queued: usize,
    given: usize,
    closing: Closing,
    /// Nothing more is read.
    ended: bool,
    /// Nothing more is sent.
    is_closed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Closing {
    No,
    /// The close is collected, and the peer's is awaited; so many bytes had come before.
    Await(u64),
    Linger(Linger),
}

/// So much is given before it is flushed, so that it shows whether the peer takes anything.
const AT_ONCE: usize = 16 << 10;

impl<S: Io> Foreign<S> {
    fn new(websocket: WebSocketStream<S>, config: &Config) -> Self {
        Foreign {
            websocket,
            input: Input::new(config),
            queue: VecDeque::new(),
            queued: 0,
            given: 0,
            closing: Closing::No,
            ended: false,
            is_closed: false,
        }
    }

    fn collect(&mut self, message: Message) {
        if !self.is_closed {
            self.queued += cost(&message);
            self.queue.push_back(message);
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            self.input.check()?;
            let message = match ready!(Pin::new(&mut self.websocket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(end_of(error))),
                None => return Poll::Ready(Err(End::cut())),
            };
            self.input.count(cost(&message));
            match message {
                Message::Text(text) => return Poll::Ready(Ok(text.into())),
                Message::Binary(bytes) => return Poll::Ready(Ok(bytes)),
                Message::Close(frame) => {
                    // What was collected comes too late.
                    (self.queue, self.queued, self.is_closed) = (VecDeque::new(), 0, true);
                    return Poll::Ready(Err(End::Closed(frame.map(|frame| frame.code.into()))));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            while self.given < AT_ONCE && !self.queue.is_empty() {
                ready!(Pin::new(&mut self.websocket).poll_ready(cx))?;
                let Some(message) = self.queue.pop_front() else {
                    break;
                };
                self.queued -= cost(&message);
                self.given += cost(&message);
                Pin::new(&mut self.websocket).start_send(message)?;
            }
            ready!(Pin::new(&mut self.websocket).poll_flush(cx))?;
            self.given = 0;
            if self.queue.is_empty() {
                self.queue = VecDeque::new();
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: Io> Wire for Foreign<S> {
    /// Fragments are held by the WebSocket, within the limits of its own.
    fn poll_read(&mut self, _: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        let result = ready!(self.poll_message(cx));
        self.ended = result.is_err();
        Poll::Ready(result)
    }

    fn put(&mut self, write: Write<'_>) -> Result<(), EncodeError> {
        let mut payload = BytesMut::new();
        let data = match write(&mut payload)? {
            Kind::Text => Data::Text,
            Kind::Binary => Data::Binary,
        };
        // A text is not checked again.
        self.collect(Message::Frame(Frame::message(
            payload,
            OpCode::Data(data),
            true,
        )));
        Ok(())
    }

    fn has_pings(&self) -> bool {
        true
    }

    fn put_ping(&mut self) {
        self.collect(Message::Ping(Bytes::new()));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx).map_err(broken)
    }

    fn poll_close(&mut self, code: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.closing {
                Closing::No => {
                    self.collect(Message::Close(Some(close_frame(code))));
                    self.is_closed = true;
                    self.closing = Closing::Await(self.input.received());
                }
                Closing::Await(since) => {
                    let since = *since;
                    // It fails only where the peer is gone, which reading shows too.
                    let written = self.poll_write(cx);
                    while !self.ended && self.input.received() - since <= LINGER_BYTES {
                        self.ended = ready!(self.poll_message(cx)).is_err();
                    }
                    let _ = ready!(written);
                    self.closing = Closing::Linger(Linger::Shutdown);
                }
                Closing::Linger(linger) => {
                    return linger.poll(self.websocket.get_mut(), &mut self.input, cx);
                }
            }
        }
    }

    fn unsent(&self) -> usize {
        self.queued + self.given
    }

    fn is_flushed(&self) -> bool {
        self.unsent() == 0
    }

    fn received(&self) -> u64 {
        self.input.received()
    }

    fn set_limits(&mut self, _: &Limits) {
        self.input.unbound();
    }
}

/// What a message counts for: its bytes and those of a short header, so that every one is life.
fn cost(message: &Message) -> usize {
    2 + message.len()
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
