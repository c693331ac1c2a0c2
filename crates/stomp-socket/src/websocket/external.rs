//! A WebSocket that the caller has established, as a transport.

use super::{close_frame, end_of};
use crate::{
    Config, End, Peer, Socket,
    end::CloseNotice,
    input::Input,
    linger::{Linger, LingerBudget},
    transport::{EncodePayload, Io, MessageKind, Transport},
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
    /// Creates a socket over an established `WebSocketStream`, on the server's or the client's side.
    ///
    /// Prefer [`over_websocket`](Socket::over_websocket) if you own the stream under the WebSocket. Compared with a
    /// socket from that function:
    ///
    /// - [`received_bytes`](Socket::received_bytes) counts only complete messages, so it does not grow while a large
    ///   message arrives.
    /// - The limits of the stream's `WebSocketConfig` apply in addition to the limits of frames.
    /// - The stream keeps its buffers while the connection is idle.
    /// - Each sent message is copied once more.
    pub fn from_websocket<S>(websocket: WebSocketStream<S>, peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(External::new(websocket, config)), peer, config)
    }
}

/// The caller's WebSocket as a transport.
struct External<S> {
    websocket: WebSocketStream<S>,
    input: Input,
    /// Messages that wait to be passed to the WebSocket.
    queue: VecDeque<Message>,
    /// Cost of the messages in `queue`, in bytes.
    queued: usize,
    /// Cost of the messages that were passed to the WebSocket since it was last flushed, in bytes.
    unflushed: usize,
    closing: Closing,
    /// True once the peer has closed or reading has failed: nothing more is read.
    ended: bool,
    /// True once a close of either side was processed. Messages that are put later are dropped.
    is_closed: bool,
}

/// The progress of closing.
#[derive(Debug, Clone, Copy)]
enum Closing {
    /// The WebSocket is open.
    No,
    /// Our close is queued, and this side waits for the peer's close. Contains the value of [`Input::received`] when
    /// this side began to close.
    AwaitClose(u64),
    /// Our end of the stream is sent, and then this side waits for the peer's end.
    Linger(Linger),
}

/// Maximum bytes that are passed to the WebSocket before it is flushed. This number is small, so that
/// [`Transport::unsent`] shrinks gradually while the peer reads.
const MAX_UNFLUSHED: usize = 16 << 10;

impl<S: Io> External<S> {
    fn new(websocket: WebSocketStream<S>, config: &Config) -> Self {
        External {
            websocket,
            input: Input::new(config),
            queue: VecDeque::new(),
            queued: 0,
            unflushed: 0,
            closing: Closing::No,
            ended: false,
            is_closed: false,
        }
    }

    fn enqueue(&mut self, message: Message) {
        if !self.is_closed {
            self.queued += cost(&message);
            self.queue.push_back(message);
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            self.input.check_limit()?;
            let message = match ready!(Pin::new(&mut self.websocket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(end_of(error))),
                None => return Poll::Ready(Err(End::unexpected_eof())),
            };
            self.input.count(cost(&message));
            match message {
                Message::Text(text) => return Poll::Ready(Ok(text.into())),
                Message::Binary(bytes) => return Poll::Ready(Ok(bytes)),
                Message::Close(frame) => {
                    // Queued messages can no longer be sent.
                    (self.queue, self.queued, self.is_closed) = (VecDeque::new(), 0, true);
                    return Poll::Ready(Err(End::Closed(frame.map(|frame| frame.code.into()))));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            while self.unflushed < MAX_UNFLUSHED && !self.queue.is_empty() {
                ready!(Pin::new(&mut self.websocket).poll_ready(cx))?;
                let Some(message) = self.queue.pop_front() else {
                    break;
                };
                self.queued -= cost(&message);
                self.unflushed += cost(&message);
                Pin::new(&mut self.websocket).start_send(message)?;
            }
            ready!(Pin::new(&mut self.websocket).poll_flush(cx))?;
            self.unflushed = 0;
            if self.queue.is_empty() {
                self.queue = VecDeque::new();
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: Io> Transport for External<S> {
    /// Reads the next message. Ignores `held`: the WebSocket holds fragments within its own limits.
    fn poll_read(&mut self, _: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        let result = ready!(self.poll_message(cx));
        self.ended = result.is_err();
        Poll::Ready(result)
    }

    fn put(&mut self, _: usize, encode: EncodePayload<'_>) -> Result<(), EncodeError> {
        let mut payload = BytesMut::new();
        let data = match encode(&mut payload)? {
            MessageKind::Text => Data::Text,
            MessageKind::Binary => Data::Binary,
        };
        // `Message::Text` would check for UTF-8 again, but `Message::Frame` does not.
        self.enqueue(Message::Frame(Frame::message(
            payload,
            OpCode::Data(data),
            true,
        )));
        Ok(())
    }

    fn supports_ping(&self) -> bool {
        true
    }

    fn put_ping(&mut self) {
        self.enqueue(Message::Ping(Bytes::new()));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx).map_err(into_io_error)
    }

    fn poll_close(
        &mut self,
        notice: &CloseNotice,
        budget: &mut LingerBudget<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.closing {
                Closing::No => {
                    self.enqueue(Message::Close(Some(close_frame(notice))));
                    self.is_closed = true;
                    self.closing = Closing::AwaitClose(self.input.received());
                }
                Closing::AwaitClose(since) => {
                    let since = *since;
                    // Fails only if the peer is gone, which reading reports too.
                    let written = self.poll_write(cx);
                    while !self.ended && budget.allows(self.input.received() - since) {
                        self.ended = ready!(self.poll_message(cx)).is_err();
                    }
                    let _ = ready!(written);
                    self.closing = Closing::Linger(Linger::since(since));
                }
                Closing::Linger(linger) => {
                    return linger.poll(self.websocket.get_mut(), &mut self.input, budget, cx);
                }
            }
        }
    }

    fn unsent(&self) -> usize {
        self.queued + self.unflushed
    }

    fn is_flushed(&self) -> bool {
        self.unsent() == 0
    }

    fn received(&self) -> u64 {
        self.input.received()
    }

    fn set_limits(&mut self, _: &Limits) {
        self.input.remove_limit();
    }
}

/// The cost of a message in bytes: its payload and a short header, so that empty messages count too.
fn cost(message: &Message) -> usize {
    2 + message.len()
}

fn into_io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
