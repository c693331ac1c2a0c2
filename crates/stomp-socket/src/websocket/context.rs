//! One WebSocket, of which this side is the server or the client.

use super::{
    close_frame, end_of,
    frames::Frames,
    plain::{self, First},
    writing::{mask_message, put_message, put_ping},
};
use crate::{
    CloseCode, Config, End,
    input::Input,
    linger::{LINGER_BYTES, Linger},
    output::Output,
    wire::{Io, Wire, Write},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    io::{self, Read},
    mem,
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

/// A WebSocket that reads through tungstenite's sans-I/O context and writes its own frames.
///
/// Plain messages, which nearly all are, are taken from what has come, see [`plain`]. At anything else a context is made
/// of the bytes, and dropped when all messages in them were taken: between messages there is neither a context nor a
/// buffer, however large the last one was. That this is so, [`Frames`] knows.
///
/// The context sees the stream through [`Adapter`], whose writes go to the same buffer as our frames: so pongs and
/// closes never end up in the middle of one, and everything leaves in one call.
///
/// Two rules of the context are kept here. A close goes through the context only, which is then kept, and no frame of
/// ours follows it. And after an error the context is not read again, for what it would say is undefined.
pub(crate) struct WebSocket<S> {
    io: S,
    role: Role,
    /// What has come and was not yet taken; nothing where there is a context.
    bytes: BytesMut,
    context: Option<WebSocketContext>,
    /// What the context holds.
    frames: Frames,
    input: Input,
    output: Output,
    /// What a message may have, and all that is held of the peer's frame.
    most: usize,
    /// With more bytes than this unsent, pings wait.
    high_water: usize,
    closing: Closing,
    /// The peer has closed, or the context failed: nothing more is read.
    ended: bool,
}

#[derive(Debug, Clone, Copy)]
enum Closing {
    /// Not yet.
    No,
    /// The close is collected, and the peer's is awaited; so many bytes had come before.
    Await(u64),
    /// The last of our bytes are being written.
    Flush,
    /// The end of the stream is being written, and the peer's awaited.
    Linger(Linger),
    Done,
}

impl<S: Io> WebSocket<S> {
    /// A server's WebSocket whose handshake is done. `early` are bytes that were read together with it.
    pub(crate) fn server(io: S, early: &[u8], config: &Config) -> Self {
        WebSocket::new(io, Role::Server, early, config)
    }

    /// A client's WebSocket, likewise.
    pub(crate) fn client(io: S, early: &[u8], config: &Config) -> Self {
        WebSocket::new(io, Role::Client, early, config)
    }

    fn new(io: S, role: Role, early: &[u8], config: &Config) -> Self {
        let mut socket = WebSocket {
            io,
            role,
            bytes: BytesMut::from(early),
            context: None,
            frames: Frames::default(),
            input: Input::new(config),
            output: Output::default(),
            most: config.limits.max_frame_bytes,
            high_water: config.max_write_buffer_bytes,
            closing: Closing::No,
            ended: false,
        };
        socket.input.count(early.len());
        socket
    }

    /// Lets `act` use the context, made of what has come, on the stream, while `held` bytes are held elsewhere.
    fn with<T>(
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
            frames,
            input,
            output,
            most,
            ..
        } = self;
        let context = context.get_or_insert_with(|| {
            context_of(
                mem::take(bytes).into(),
                *role,
                frames,
                input.at_once(),
                *most,
            )
        });
        let room = most.saturating_sub(held) as u64;
        act(
            context,
            &mut Adapter {
                io,
                cx,
                frames,
                input,
                output,
                room,
            },
        )
    }

    /// The next data message, or how the stream ended.
    fn poll_message(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            if self.is_idle() {
                self.context = None;
                if let Some(message) = ready!(self.poll_plain(held, cx))? {
                    return Poll::Ready(Ok(message));
                }
            } else if self.frames.ready() == 0 {
                self.check(held)?;
            }
            match self.with(held, cx, |context, adapter| context.read(adapter)) {
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The adapter reads no further than it may.
                    self.check(held)?;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(end_of(error))),
                Ok(message) => {
                    self.frames.take();
                    match message {
                        Message::Text(text) => return Poll::Ready(Ok(text.into())),
                        Message::Binary(bytes) => return Poll::Ready(Ok(bytes)),
                        Message::Close(frame) => {
                            self.answer(cx);
                            return Poll::Ready(Err(End::Closed(
                                frame.map(|frame| frame.code.into()),
                            )));
                        }
                        Message::Ping(_) => {
                            self.answer(cx);
                            // A peer that pings and does not read must not fill the memory with answers.
                            if self.output.len() > self.high_water {
                                ready!(self.output.poll_write(&mut self.io, cx))
                                    .map_err(End::of)?;
                            }
                        }
                        Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
            }
        }
    }

    /// Whether the context may be dropped: it holds nothing, and has no close to remember.
    fn is_idle(&self) -> bool {
        matches!(self.closing, Closing::No)
            && self.frames.ready() == 0
            && self.frames.is_between_messages()
    }

    /// The next message if it is plain; `None` if a context is to read on.
    ///
    /// What comes in one read is not summed up with what is held: it may be the beginning of other frames.
    fn poll_plain(
        &mut self,
        held: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, End>> {
        loop {
            match plain::take(
                &mut self.bytes,
                self.role,
                self.input.at_once().min(self.most),
            ) {
                First::Message(message) => return Poll::Ready(Ok(Some(message))),
                First::Part => self.check(held)?,
                First::Other => return Poll::Ready(Ok(None)),
                First::NotUtf8 => return Poll::Ready(Err(End::not_utf8())),
            }
            let WebSocket {
                io, bytes, input, ..
            } = self;
            let take = |new: &[u8]| {
                bytes.extend_from_slice(new);
                new.is_empty()
            };
            if ready!(input.poll_read(io, cx, take)).map_err(End::of)? {
                return Poll::Ready(Err(End::cut()));
            }
        }
    }

    /// Fails if the peer sent more than it may of one frame, or of anything before the negotiation.
    fn check(&self, held: usize) -> Result<(), End> {
        if self.frames.pending().saturating_add(held as u64) > self.most as u64 {
            return Err(End::too_big(
                "a frame in too many pieces, or pieces that are too long",
            ));
        }
        self.input.check()
    }

    /// Collects what the context has to say to a ping or a close, before it is dropped.
    fn answer(&mut self, cx: &mut Context<'_>) {
        // It fails to say that the connection is closed, which is known.
        let _ = self.with(0, cx, |context, adapter| context.flush(adapter));
    }

    fn can_write(&self) -> bool {
        self.context
            .as_ref()
            .is_none_or(WebSocketContext::can_write)
    }

    /// Lets `write` append a message, and masks it where this is the client.
    fn append(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if !self.can_write() {
            return Ok(());
        }
        let out = self.output.buffer();
        let start = out.len();
        write(out)?;
        if self.role == Role::Client {
            // RFC 6455, section 5.3: "The masking key is a 32-bit value chosen at random by the client."
            mask_message(out, start, rand::random());
        }
        Ok(())
    }

    /// The peer's close is awaited by reading on, as long as the context is sound. Otherwise, and after it, the stream
    /// is ended and drained.
    fn poll_close_step(
        &mut self,
        code: CloseCode,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Closing>> {
        Poll::Ready(Ok(match self.closing {
            Closing::No => {
                // It fails only where the peer has closed already; then its close was answered.
                let _ = self.with(0, cx, |context, adapter| {
                    context.close(adapter, Some(close_frame(code)))
                });
                Closing::Await(self.input.received())
            }
            Closing::Await(since) => {
                let flushed = self.output.poll_write(&mut self.io, cx)?;
                // Whatever is still said is too late.
                while !self.ended && self.input.received() - since <= LINGER_BYTES {
                    self.ended = ready!(self.poll_message(0, cx)).is_err();
                }
                ready!(flushed);
                Closing::Flush
            }
            Closing::Flush => {
                ready!(self.output.poll_write(&mut self.io, cx))?;
                Closing::Linger(Linger::Shutdown)
            }
            Closing::Linger(mut linger) => {
                let done = linger.poll(&mut self.io, &mut self.input, cx);
                self.closing = Closing::Linger(linger);
                ready!(done)?;
                Closing::Done
            }
            Closing::Done => Closing::Done,
        }))
    }
}

impl<S: Io> Wire for WebSocket<S> {
    fn poll_read(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        let result = ready!(self.poll_message(held, cx));
        self.ended = result.is_err();
        Poll::Ready(result)
    }

    fn put(&mut self, write: Write<'_>) -> Result<(), EncodeError> {
        self.append(|out| put_message(out, write))
    }

    fn has_pings(&self) -> bool {
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

    fn poll_close(&mut self, code: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !matches!(self.closing, Closing::Done) {
            self.closing = ready!(self.poll_close_step(code, cx))?;
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
        !self.frames.is_between_messages() || plain::is_part(&self.bytes)
    }

    fn received(&self) -> u64 {
        self.input.received()
    }

    /// A message holds at most one frame's worth, and EOLs. tungstenite reserves a declared length at once, so this
    /// also bounds what a peer can reserve.
    fn set_limits(&mut self, limits: &Limits) {
        self.most = limits.max_frame_bytes.saturating_add(limits.max_head_bytes);
        self.input.unbound();
        if let Some(context) = &mut self.context {
            let at_once = context.get_config().read_buffer_size;
            context.set_config(|config| *config = sizes(at_once, self.most));
        }
    }
}

/// A context that has read `bytes`, which `frames` learns of.
fn context_of(
    bytes: Vec<u8>,
    role: Role,
    frames: &mut Frames,
    at_once: usize,
    most: usize,
) -> WebSocketContext {
    frames.follow(&bytes);
    // A buffer with room for more only if more is needed.
    let read_buffer = if bytes.is_empty() || !frames.is_between_messages() {
        at_once
    } else {
        0
    };
    WebSocketContext::from_partially_read(bytes, role, Some(sizes(read_buffer, most)))
}

fn sizes(read_buffer: usize, most: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
        // The context writes pongs and closes only, straight to our buffer.
        .write_buffer_size(0)
}

/// The stream as the context wants it: reads poll it, writes are collected.
struct Adapter<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
    frames: &'a mut Frames,
    input: &'a mut Input,
    output: &'a mut Output,
    /// What the message that is coming may count for.
    room: u64,
}

impl<S: Io> Read for Adapter<'_, '_, S> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        // The context reads on and on until there is a message.
        if self.frames.pending() > self.room || self.input.check().is_err() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // A buffer that has grown for a long payload is given back, and plain messages need none: so nothing is read
        // that follows a payload.
        let most = self.frames.rest().unwrap_or(usize::MAX).min(space.len());
        let space = space.get_mut(..most).unwrap_or_default();
        match self.input.poll_fill(self.io, self.cx, space) {
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(result) => {
                let count = result?;
                self.frames.follow(space.get(..count).unwrap_or_default());
                Ok(count)
            }
        }
    }
}

impl<S> io::Write for Adapter<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.buffer().put_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
