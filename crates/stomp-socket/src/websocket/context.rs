//! One WebSocket, server side.

use super::framing::put_message;
use crate::{
    CloseCode, Config, End,
    byte_stream::poll_drop,
    output::Output,
    wire::{Io, LINGER_OCTETS, Wire, Write},
};
use bytes::{BufMut, Bytes};
use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};
use tokio::io::ReadBuf;
use tokio_tungstenite::tungstenite::{
    Error, Message,
    error::ProtocolError,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode as WireCode},
};

/// A WebSocket that reads through tungstenite's sans-I/O context and writes its own frames.
///
/// The context sees the stream through [`Adapter`], whose writes go to the same buffer as our frames: so pongs and
/// closes never end up in the middle of one, and everything leaves in one call.
///
/// Two rules of the context are kept here. A close goes through the context only, and no frame of ours follows it.
/// And after an error the context is not read again, for what it would say is undefined.
pub(crate) struct WebSocket<S> {
    io: S,
    context: Box<WebSocketContext>,
    output: Output,
    received: u64,
    closing: Closing,
    /// The code of the peer's close, once it came.
    peer_closed: Option<Option<u16>>,
    /// The context failed and is not read any more.
    broken: bool,
}

#[derive(Debug, Clone, Copy)]
enum Closing {
    /// Not yet.
    No,
    /// The close is collected, and the peer's is awaited; so many octets came since.
    Await(u64),
    /// The last of our octets and the end of the stream are being written.
    Shutdown,
    /// So many octets of the peer's were dropped since.
    Drain(usize),
}

impl<S: Io> WebSocket<S> {
    /// A WebSocket whose handshake is done. `early` are octets that were read together with it.
    pub(crate) fn server(io: S, early: &[u8], config: &Config) -> Self {
        let sizes = WebSocketConfig::default()
            .read_buffer_size(config.read_buffer)
            .max_message_size(Some(config.limits.frame))
            .max_frame_size(Some(config.limits.frame))
            // The context writes pongs and closes only, straight to our buffer.
            .write_buffer_size(0);
        WebSocket {
            io,
            context: Box::new(WebSocketContext::from_partially_read(early.to_vec(), Role::Server, Some(sizes))),
            output: Output::default(),
            received: early.len() as u64,
            closing: Closing::No,
            peer_closed: None,
            broken: false,
        }
    }

    /// Lets `act` use the context on the stream.
    fn with<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut WebSocketContext, &mut Adapter<'_, '_, S>) -> T,
    ) -> T {
        let mut adapter = Adapter { io: &mut self.io, cx, output: &mut self.output, received: &mut self.received };
        act(&mut self.context, &mut adapter)
    }

    /// The next data message, or how the stream ended.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            match self.with(cx, |context, adapter| context.read(adapter)) {
                Ok(Message::Text(text)) => return Poll::Ready(Ok(text.into())),
                Ok(Message::Binary(bytes)) => return Poll::Ready(Ok(bytes)),
                Ok(Message::Close(frame)) => self.peer_closed = Some(frame.map(|frame| frame.code.into())),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(error) => {
                    self.broken = true;
                    return Poll::Ready(Err(self.end(error)));
                }
            }
        }
    }

    fn end(&mut self, error: Error) -> End {
        let reason = error.to_string();
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => End::Closed(self.peer_closed.flatten()),
            Error::Io(error) => End::Reset(error),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                End::Reset(io::ErrorKind::UnexpectedEof.into())
            }
            Error::Capacity(_) => End::Violation { code: CloseCode::TooBig, reason },
            Error::Utf8(_) => End::Violation { code: CloseCode::NotUtf8, reason },
            _ => End::Violation { code: CloseCode::Protocol, reason },
        }
    }

    /// The peer's close is awaited by reading on, as long as the context is sound. Otherwise, and after it, the stream
    /// is ended and drained: what is unread when it is dropped makes TCP reset it, and the peer may lose the last frame.
    fn poll_close_step(&mut self, code: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<Option<Closing>>> {
        Poll::Ready(Ok(Some(match self.closing {
            Closing::No => {
                let frame = CloseFrame { code: WireCode::from(code.as_u16()), reason: "".into() };
                // It fails only where the peer has closed already; then its close was answered.
                let _ = self.with(cx, |context, adapter| context.close(adapter, Some(frame)));
                Closing::Await(self.received)
            }
            Closing::Await(since) => {
                let flushed = self.output.poll_write(&mut self.io, cx)?;
                if self.broken || self.received - since > LINGER_OCTETS as u64 {
                    ready!(flushed);
                    Closing::Shutdown
                } else {
                    // Whatever is still said is too late. The loop ends with the context.
                    while ready!(self.poll_message(cx)).is_ok() && self.received - since <= LINGER_OCTETS as u64 {}
                    Closing::Await(since)
                }
            }
            Closing::Shutdown => {
                ready!(self.output.poll_write(&mut self.io, cx))?;
                ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                Closing::Drain(0)
            }
            Closing::Drain(dropped) => match ready!(poll_drop(&mut self.io, cx))? {
                0 => return Poll::Ready(Ok(None)),
                _ if dropped >= LINGER_OCTETS => return Poll::Ready(Ok(None)),
                count => Closing::Drain(dropped + count),
            },
        })))
    }
}

impl<S: Io> Wire for WebSocket<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        self.poll_message(cx)
    }

    fn put(&mut self, write: Write<'_>) -> Result<(), EncodeError> {
        if !self.context.can_write() {
            return Ok(());
        }
        put_message(self.output.buffer(), write)
    }

    fn has_pings(&self) -> bool {
        true
    }

    fn put_ping(&mut self) {
        if self.context.can_write() {
            // FIN and opcode 9, no payload.
            self.output.buffer().put_slice(&[0x89, 0]);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_write(&mut self.io, cx)
    }

    fn poll_close(&mut self, code: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(next) = ready!(self.poll_close_step(code, cx))? {
            self.closing = next;
        }
        Poll::Ready(Ok(()))
    }

    fn unsent(&self) -> usize {
        self.output.len()
    }

    fn is_flushed(&self) -> bool {
        self.output.is_flushed()
    }

    fn received(&self) -> u64 {
        self.received
    }

    /// A message holds at most one frame's worth, and EOLs. tungstenite reserves a declared length at once, so this
    /// also bounds what a peer can reserve.
    fn set_limits(&mut self, limits: &Limits) {
        let most = limits.frame.saturating_add(limits.head);
        self.context.set_config(|config| {
            config.max_message_size = Some(most);
            config.max_frame_size = Some(most);
        });
    }
}

/// The stream as the context wants it: reads poll it, writes are collected.
struct Adapter<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
    output: &'a mut Output,
    received: &'a mut u64,
}

impl<S: Io> Read for Adapter<'_, '_, S> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(space);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                let count = buffer.filled().len();
                *self.received += count as u64;
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
