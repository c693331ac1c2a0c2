//! One connection, as frames.

use crate::{
    CloseCode, Config, End, Peer, Permit, SendError,
    byte_stream::ByteStream,
    websocket::WebSocket,
    wire::{EMPTY_PIECE, Kind, Wire, is_utf8},
};
use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use futures_core::Stream;
use futures_sink::Sink;
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use stomp_frame::{
    Command, Decoded, Decoder, EncodeError, Encoder, Frame, Limits, Version, header,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// What a peer sends.
#[derive(Debug)]
#[non_exhaustive]
pub enum Inbound {
    /// A frame.
    Frame(Frame),
    /// One or more EOLs between frames.
    HeartBeat,
    /// The last item.
    End(End),
}

/// What a peer is sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outbound {
    /// A frame, in the version of the session.
    Frame(Frame),
    /// A frame that was encoded before, and is not checked again.
    Encoded(Encoded),
    /// `RECEIPT` for the `receipt` of a frame: what is sent most is written without being built.
    Receipt(ByteString),
    /// One EOL.
    HeartBeat,
    /// A WebSocket ping, which browsers answer by themselves. Nothing on a byte stream.
    Ping,
}

/// A frame's bytes in two parts, so that many receivers can share the second.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What is this receiver's own.
    pub prefix: Bytes,
    /// What is the same for all.
    pub tail: Bytes,
    /// Whether the whole is UTF-8: a WebSocket peer then gets a text message, else a binary one.
    pub is_text: bool,
}

/// One connection as a stream of [`Inbound`] items and a sink of [`Outbound`] ones.
///
/// - **Reading.** A WebSocket message may hold several frames or a piece of one; text and binary are the same. After
///   `CONNECT` nothing more is read until [`resume`](Socket::resume) is called. The last item is
///   [`Inbound::End`].
/// - **Writing.** One frame is one WebSocket message, text where it is UTF-8. Messages are collected and written when
///   the sink is flushed: put many, flush once.
/// - **Closing.** [`poll_close`](Sink::poll_close) flushes, closes, and waits for the peer to close too, dropping what
///   it still sends, up to 64 KiB. So the last frame arrives. How long to wait is the caller's to decide: drop the
///   socket to cut it.
///
/// **Cancellation.** All state is in the socket, so any future over it may be dropped at any time. `next` then has lost
/// no item, and `flush` and `close` go on where they were. A dropped `send` or `feed` has put its item whole or not at
/// all: not, if it was still waiting for room.
///
/// **Bounds.** What a peer has sent of one frame is at most [`Limits::max_frame_bytes`] + [`Limits::max_head_bytes`] bytes and one read, over
/// all messages, fragments and pieces of them; empty pieces count for 32. A peer that reads nothing costs, through `Sink`,
/// [`Config::max_write_buffer_bytes`] bytes and one frame, in a buffer that may be twice as large. A connection that has
/// nothing to read and nothing to write owns no buffer.
pub struct Socket {
    wire: Box<dyn Wire>,
    decoder: Decoder,
    encoder: Encoder,
    close_code: CloseCode,
    ended: bool,
    peer: Arc<Peer>,
    permit: Option<Box<dyn Permit>>,
    max_write_buffer_bytes: usize,
    /// What messages are that are UTF-8.
    text: Kind,
    /// What the empty messages since the last item count for.
    empty_pieces: usize,
}

impl Socket {
    /// A socket over the server's side of a WebSocket whose handshake is done.
    ///
    /// `early` are bytes that were read together with the handshake.
    pub fn over_websocket<S>(io: S, early: &[u8], peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(WebSocket::server(io, early, config)), peer, config)
    }

    /// A socket over the client's side of a WebSocket whose handshake is done.
    ///
    /// `early` are bytes that were read together with the handshake.
    pub fn over_client_websocket<S>(io: S, early: &[u8], peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(WebSocket::client(io, early, config)), peer, config)
    }

    /// A socket over a stream of bytes: TCP, TLS, a pipe.
    pub fn over_byte_stream<S>(io: S, peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(ByteStream::new(io, config)), peer, config)
    }

    pub(crate) fn new(wire: Box<dyn Wire>, peer: Peer, config: &Config) -> Socket {
        Socket {
            wire,
            decoder: Decoder::new(config.limits),
            // The frames before the negotiation are those that every version writes alike.
            encoder: Encoder::new(Version::V1_0),
            close_code: CloseCode::Normal,
            ended: false,
            peer: Arc::new(peer),
            permit: None,
            max_write_buffer_bytes: config.max_write_buffer_bytes,
            text: if config.always_binary {
                Kind::Binary
            } else {
                Kind::Text
            },
            empty_pieces: 0,
        }
    }

    /// Keeps a server's permit for as long as this socket lives.
    #[must_use]
    pub fn with_permit(mut self, permit: Box<dyn Permit>) -> Socket {
        self.permit = Some(permit);
        self
    }

    /// Ready when the server goes down, and the conversation is to end soon. Without a permit it never is.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.permit
            .as_mut()
            .map_or(Poll::Pending, |permit| permit.poll_shutdown(cx))
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Goes on reading after `CONNECT`, in this version and with these limits, and writes in this version.
    pub fn resume(&mut self, version: Version, limits: Limits) {
        self.encoder = Encoder::new(version);
        self.decoder.resume(version, limits);
        self.wire.set_limits(&limits);
        if let Some(permit) = &mut self.permit {
            permit.negotiated();
        }
    }

    /// How many bytes have come, of any kind. As long as it grows, the peer is alive.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.wire.received()
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.wire.unsent()
    }

    /// Whether everything that was put is on its way, so that [`poll_write`](Socket::poll_write) has nothing to do.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.wire.is_flushed()
    }

    /// Whether the beginning of a frame has come and its end has not. Of a foreign WebSocket, only what came in whole
    /// messages is known.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.decoder.buffered_bytes() > 0 || self.wire.is_mid_message()
    }

    /// Whether [`Outbound::Ping`] makes the peer answer: on a WebSocket.
    #[must_use]
    pub fn has_pings(&self) -> bool {
        self.wire.has_pings()
    }

    /// What a WebSocket peer is told when this side closes. Default: [`CloseCode::Normal`].
    pub fn set_close_code(&mut self, code: CloseCode) {
        self.close_code = code;
    }

    /// Collects `item`, to be written by the next flush. It is the caller who bounds [`unsent`](Socket::unsent).
    ///
    /// # Errors
    ///
    /// If the version of the session cannot express the frame. Nothing was collected then.
    pub fn put(&mut self, item: &Outbound) -> Result<(), EncodeError> {
        let encoder = self.encoder;
        let kind = |is_text| if is_text { self.text } else { Kind::Binary };
        match item {
            Outbound::Frame(frame) => self.wire.put(&mut |out| {
                encoder.encode(frame, out)?;
                // The head is UTF-8 in any case.
                Ok(kind(self.text == Kind::Text && is_utf8(&frame.body)))
            }),
            Outbound::Encoded(Encoded {
                prefix,
                tail,
                is_text,
            }) => {
                self.put_encoded(prefix, tail, *is_text);
                Ok(())
            }
            Outbound::Receipt(id) => self.wire.put(&mut |out| {
                encoder.command(Command::Receipt, out);
                encoder.header(header::RECEIPT_ID, id, out)?;
                encoder.body(b"", out);
                Ok(kind(true))
            }),
            Outbound::HeartBeat => self.wire.put(&mut |out: &mut BytesMut| {
                out.put_u8(b'\n');
                Ok(kind(true))
            }),
            Outbound::Ping => {
                self.wire.put_ping();
                Ok(())
            }
        }
    }

    /// Collects a frame that was encoded before, in two parts, as [`put`](Socket::put) does with
    /// [`Outbound::Encoded`].
    pub fn put_encoded(&mut self, prefix: &[u8], tail: &[u8], is_text: bool) {
        let kind = if is_text { self.text } else { Kind::Binary };
        let written = self.wire.put(&mut |out| {
            out.put_slice(prefix);
            out.put_slice(tail);
            Ok(kind)
        });
        debug_assert!(written.is_ok(), "nothing was encoded");
    }

    /// As [`Sink::poll_flush`].
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(cx)
    }

    /// As [`Stream::poll_next`], which also writes: what there is when there is much of it or nothing to read. Here the
    /// caller does, for [`unsent`](Socket::unsent) grows even by reading: every ping of the peer's is answered, but
    /// beyond [`Config::max_write_buffer_bytes`] none is read before something was written.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_inbound(cx));
        self.ended = matches!(item, Inbound::End(_));
        self.empty_pieces = 0;
        Poll::Ready(Some(item))
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Inbound> {
        loop {
            match self.decoder.decode() {
                Ok(Some(Decoded::Frame(frame))) => return Poll::Ready(Inbound::Frame(frame)),
                Ok(Some(Decoded::HeartBeat)) => return Poll::Ready(Inbound::HeartBeat),
                // Only `negotiated` ends this, and whoever calls it polls again.
                Ok(None) if self.decoder.is_stopped() => return Poll::Pending,
                Ok(None) => {}
                Err(error) => return Poll::Ready(Inbound::End(End::Malformed(error))),
            }
            let held = self.decoder.buffered_bytes();
            match ready!(self.wire.poll_read(held + self.empty_pieces, cx)) {
                Ok(bytes) if bytes.is_empty() => self.empty_pieces += EMPTY_PIECE,
                Ok(bytes) => self.decoder.feed(bytes),
                Err(End::HalfClosed) if held > 0 => return Poll::Ready(Inbound::End(End::cut())),
                Err(end) => return Poll::Ready(Inbound::End(end)),
            }
        }
    }
}

impl Stream for Socket {
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        if self.unsent_bytes() > self.max_write_buffer_bytes {
            if let Err(error) = ready!(self.poll_write(cx)) {
                self.ended = true;
                return Poll::Ready(Some(Inbound::End(End::of(error))));
            }
        }
        let item = self.poll_read(cx);
        // Who only reads must not be silent: pings and closes are answered.
        if item.is_pending() && !self.is_flushed() {
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                self.ended = true;
                return Poll::Ready(Some(Inbound::End(End::of(error))));
            }
        }
        item
    }
}

impl Sink<Outbound> for Socket {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.unsent_bytes() > self.max_write_buffer_bytes {
            ready!(self.poll_write(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: Outbound) -> Result<(), SendError> {
        Ok(self.put(&item)?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_write(cx).map_err(SendError::from)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let code = self.close_code;
        self.wire.poll_close(code, cx).map_err(SendError::from)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
