//! A WebSocket as a transport, on the server's or the client's side.

use super::{
    adapter::Adapter,
    close_frame,
    encode::{mask_message, put_message, put_ping},
    end_of,
    fast_path::{self, Taken},
    frame_tracker::FrameTracker,
};
use crate::{
    Config, End,
    end::CloseNotice,
    input::Input,
    linger::{Linger, LingerBudget},
    output::Output,
    transport::{EncodePayload, Io, Transport},
};
use bytes::{Bytes, BytesMut};
use std::{
    io, mem,
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

/// A WebSocket that reads through tungstenite's sans-I/O context and writes its own frames.
///
/// Nearly all messages are short and unfragmented, and take the [`fast_path`]. For all other messages, a context is
/// created from the received bytes. It is dropped once all messages in these bytes were read, which [`FrameTracker`]
/// detects. So between messages there is neither a context nor a buffer, however large the last message was. In return,
/// each read costs two allocations: the received bytes and their reference count.
///
/// The context uses the stream through [`Adapter`], which writes to the same buffer as our frames. So pongs and closes
/// never end up inside a frame, and are written in the same call as frames.
///
/// This type obeys two rules. First, only the context sends a close. The context is then kept, and no frame of ours
/// follows the close. Second, the context is not read again after an error, because the result would be undefined.
pub(crate) struct WebSocket<S> {
    io: S,
    role: Role,
    /// Received bytes that were not yet read as messages. Empty while a context exists.
    bytes: BytesMut,
    /// In a box, because it is large and mostly `None`.
    context: Option<Box<WebSocketContext>>,
    /// Tracks the bytes that the context holds.
    tracker: FrameTracker,
    input: Input,
    output: Output,
    /// Maximum bytes of a message, and of all parts of a STOMP frame that are held.
    ///
    /// The sum includes the beginning of the frame in the decoder, fragments, and the length that the next WebSocket
    /// header announces. Pings do not count; `max_write_buffer_bytes` limits their answers. Messages on the fast path
    /// do not count either: they are not longer than one read, and they may contain the beginning of the next frame.
    max_held: usize,
    /// If more bytes than this are unsent after a ping was answered, the socket writes before it reads on.
    max_write_buffer_bytes: usize,
    closing: Closing,
    /// True once the peer has closed or the context has failed: nothing more is read.
    ended: bool,
}

/// The progress of closing.
#[derive(Debug, Clone, Copy)]
enum Closing {
    /// The WebSocket is open.
    No,
    /// Our close is buffered, and this side waits for the peer's close. Contains the value of [`Input::received`] when
    /// this side began to close.
    AwaitClose(u64),
    /// The last buffered bytes are being written. Contains the same value.
    Flush(u64),
    /// Our end of the stream is sent, and then this side waits for the peer's end.
    Linger(Linger),
    Done,
}

impl<S: Io> WebSocket<S> {
    /// Creates a server's WebSocket after the handshake. `early` are bytes that were received together with the
    /// handshake.
    pub(crate) fn server(io: S, early: &[u8], config: &Config) -> Self {
        WebSocket::new(io, Role::Server, early, config)
    }

    /// Creates a client's WebSocket after the handshake. `early` are bytes that were received together with the
    /// handshake.
    pub(crate) fn client(io: S, early: &[u8], config: &Config) -> Self {
        WebSocket::new(io, Role::Client, early, config)
    }

    fn new(io: S, role: Role, early: &[u8], config: &Config) -> Self {
        let mut socket = WebSocket {
            io,
            role,
            bytes: BytesMut::from(early),
            context: None,
            tracker: FrameTracker::default(),
            input: Input::new(config),
            output: Output::default(),
            max_held: config.limits.max_frame_bytes,
            max_write_buffer_bytes: config.max_write_buffer_bytes,
            closing: Closing::No,
            ended: false,
        };
        socket.input.count(early.len());
        socket
    }

    /// Runs `act` on the context and the stream. Creates the context from the received bytes if there is none.
    ///
    /// `held` is the number of bytes that the decoder holds.
    fn with_context<T>(
        &mut self,
        held: usize,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut WebSocketContext, &mut Adapter<'_, '_, S>) -> T,
    ) -> T {
        let WebSocket {
            io,
            role,
            bytes,
            context,
            tracker,
            input,
            output,
            max_held,
            ..
        } = self;
        let context = context.get_or_insert_with(|| {
            let bytes = mem::take(bytes).into();
            Box::new(new_context(
                bytes,
                *role,
                tracker,
                input.read_size(),
                *max_held,
            ))
        });
        let max_pending = max_held.saturating_sub(held) as u64;
        act(
            context,
            &mut Adapter {
                io,
                cx,
                tracker,
                input,
                output,
                max_pending,
            },
        )
    }

    /// Reads the next data message, or the end of the connection.
    fn poll_message(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            if self.is_idle() {
                self.context = None;
                if let Some(message) = ready!(self.poll_fast_path(held, cx))? {
                    return Poll::Ready(Ok(message));
                }
            } else if self.tracker.ready() == 0 {
                self.check_limits(held)?;
            }
            match self.with_context(held, cx, |context, adapter| context.read(adapter)) {
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The adapter also stops reading at the limits.
                    self.check_limits(held)?;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(end_of(error))),
                Ok(message) => {
                    self.tracker.message_read();
                    match message {
                        Message::Text(text) => return Poll::Ready(Ok(text.into())),
                        Message::Binary(bytes) => return Poll::Ready(Ok(bytes)),
                        Message::Close(frame) => {
                            self.buffer_answer(cx);
                            return Poll::Ready(Err(End::Closed(
                                frame.map(|frame| frame.code.into()),
                            )));
                        }
                        Message::Ping(_) => {
                            self.buffer_answer(cx);
                            // A peer that sends pings and reads nothing must not fill the memory with pongs.
                            if self.output.len() > self.max_write_buffer_bytes {
                                ready!(self.output.poll_write(&mut self.io, cx))?;
                            }
                        }
                        Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
            }
        }
    }

    /// Returns true if the context may be dropped: it holds no bytes and no state of a close.
    fn is_idle(&self) -> bool {
        matches!(self.closing, Closing::No)
            && self.tracker.ready() == 0
            && self.tracker.is_between_messages()
    }

    /// Reads the next message if the fast path can take it; returns `None` if a context must read it.
    ///
    /// The sum of `held` and such a message may exceed `max_held`: the message is not longer than one read, and may
    /// contain the beginning of further STOMP frames.
    fn poll_fast_path(
        &mut self,
        held: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, End>> {
        loop {
            match fast_path::take_message(
                &mut self.bytes,
                self.role,
                self.input.read_size().min(self.max_held),
            ) {
                Taken::Message(message) => return Poll::Ready(Ok(Some(message))),
                Taken::Incomplete => self.check_limits(held)?,
                Taken::Other => return Poll::Ready(Ok(None)),
                Taken::NotUtf8 => return Poll::Ready(Err(End::not_utf8())),
            }
            let WebSocket {
                io, bytes, input, ..
            } = self;
            let take = |new: &[u8]| {
                bytes.extend_from_slice(new);
                new.is_empty()
            };
            if ready!(input.poll_read(io, cx, take))? {
                return Poll::Ready(Err(End::unexpected_eof()));
            }
        }
    }

    /// Fails if the peer exceeded the limit of one STOMP frame, or of all bytes before login.
    fn check_limits(&self, held: usize) -> Result<(), End> {
        if self.tracker.pending().saturating_add(held as u64) > self.max_held as u64 {
            return Err(End::too_big(format!(
                "the messages and fragments of a frame exceed the limit of {} bytes",
                self.max_held
            )));
        }
        self.input.check_limit()
    }

    /// Moves tungstenite's answer to a ping or a close into the output buffer. Must run before the tungstenite context
    /// is dropped.
    fn buffer_answer(&mut self, cx: &mut Context<'_>) {
        // The only possible error reports that the connection is closed, which is already known.
        let _ = self.with_context(0, cx, |context, adapter| context.flush(adapter));
    }

    fn can_write(&self) -> bool {
        let context = self.context.as_ref();
        context.is_none_or(|context| context.can_write())
    }

    /// Buffers the message that `encode` appends, and masks it on the client's side. Does nothing after a close.
    fn append(
        &mut self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if !self.can_write() {
            return Ok(());
        }
        let out = self.output.buffer();
        let start = out.len();
        encode(out)?;
        if self.role == Role::Client {
            // RFC 6455, section 5.3: "The masking key is a 32-bit value chosen at random by the client."
            mask_message(out, start, rand::random());
        }
        Ok(())
    }

    /// Performs one step of closing.
    ///
    /// Waits for the peer's close by reading messages, unless reading has failed. Then ends and drains the stream.
    fn poll_close_step(
        &mut self,
        notice: &CloseNotice,
        budget: &mut LingerBudget<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Closing>> {
        Poll::Ready(Ok(match self.closing {
            Closing::No => {
                // Fails only if the peer has closed already, and then its close was answered.
                let _ = self.with_context(0, cx, |context, adapter| {
                    context.close(adapter, Some(close_frame(notice)))
                });
                Closing::AwaitClose(self.input.received())
            }
            Closing::AwaitClose(since) => {
                let flushed = self.output.poll_write(&mut self.io, cx)?;
                // Messages after our close are dropped.
                while !self.ended && budget.allows(self.input.received() - since) {
                    self.ended = ready!(self.poll_message(0, cx)).is_err();
                }
                ready!(flushed);
                Closing::Flush(since)
            }
            Closing::Flush(since) => {
                ready!(self.output.poll_write(&mut self.io, cx))?;
                Closing::Linger(Linger::since(since))
            }
            Closing::Linger(mut linger) => {
                let done = linger.poll(&mut self.io, &mut self.input, budget, cx);
                self.closing = Closing::Linger(linger);
                ready!(done)?;
                Closing::Done
            }
            Closing::Done => Closing::Done,
        }))
    }
}

impl<S: Io> Transport for WebSocket<S> {
    fn poll_read(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        let result = ready!(self.poll_message(held, cx));
        self.ended = result.is_err();
        Poll::Ready(result)
    }

    fn put(&mut self, guess: usize, encode: EncodePayload<'_>) -> Result<(), EncodeError> {
        self.append(|out| put_message(out, guess, encode))
    }

    fn reserve(&mut self, bytes: usize) {
        self.output.buffer().reserve(bytes);
    }

    fn supports_ping(&self) -> bool {
        true
    }

    fn put_ping(&mut self) {
        let _ = self.append(|out| {
            put_ping(out);
            Ok(())
        });
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_write(&mut self.io, cx)
    }

    fn poll_close(
        &mut self,
        notice: &CloseNotice,
        budget: &mut LingerBudget<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !matches!(self.closing, Closing::Done) {
            self.closing = ready!(self.poll_close_step(notice, budget, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn unsent(&self) -> usize {
        self.output.len()
    }

    fn is_flushed(&self) -> bool {
        self.output.is_flushed()
    }

    fn is_mid_message(&self) -> bool {
        !self.tracker.is_between_messages() || fast_path::is_incomplete(&self.bytes)
    }

    fn received(&self) -> u64 {
        self.input.received()
    }

    /// Sets the limits of the session. A message may be as long as the longest frame and the longest head together.
    /// tungstenite allocates the announced length of a message at once, so this also limits the memory that a peer can
    /// claim.
    fn set_limits(&mut self, limits: &Limits) {
        self.max_held = limits.max_frame_bytes.saturating_add(limits.max_head_bytes);
        self.input.remove_limit();
        if let Some(context) = &mut self.context {
            let read_buffer = context.get_config().read_buffer_size;
            context.set_config(|config| *config = context_config(read_buffer, self.max_held));
        }
    }
}

/// Creates a context that has already received `bytes`. Passes these bytes to `tracker`.
fn new_context(
    bytes: Vec<u8>,
    role: Role,
    tracker: &mut FrameTracker,
    read_size: usize,
    max_message: usize,
) -> WebSocketContext {
    tracker.track(&bytes);
    // The context needs a read buffer only if it must read more.
    let read_buffer = if bytes.is_empty() || !tracker.is_between_messages() {
        read_size
    } else {
        0
    };
    WebSocketContext::from_partially_read(
        bytes,
        role,
        Some(context_config(read_buffer, max_message)),
    )
}

fn context_config(read_buffer: usize, max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
        // The context writes only pongs and closes, directly to our buffer.
        .write_buffer_size(0)
}
