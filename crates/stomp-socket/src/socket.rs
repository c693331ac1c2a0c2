//! One connection as a stream and sink of frames.

use crate::{
    CloseCode, Config, End, Peer, Permit, SendError,
    byte_stream::ByteStream,
    end::CloseNotice,
    linger::LingerBudget,
    transport::{EMPTY_PIECE_COST, MessageKind, Transport, is_utf8},
    websocket::WebSocket,
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
    Decoded, Decoder, EncodeError, Encoder, Frame, IncompleteFrame, Limits, Version,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// An item received from a peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Inbound {
    /// A frame.
    Frame(Frame),
    /// A heart-beat: one or more EOLs between frames.
    HeartBeat,
    /// The end of the connection. This is the last item.
    End(End),
}

/// An item to send to a peer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outbound {
    /// A frame, encoded in the STOMP version of the session.
    Frame(Frame),
    /// A frame that is already encoded. It is not validated again.
    Encoded(EncodedFrame),
    /// A `RECEIPT` with this `receipt-id`. It is encoded without building a [`Frame`], because receipts are frequent.
    Receipt(ByteString),
    /// A heart-beat: one EOL.
    HeartBeat,
    /// A WebSocket ping. Every WebSocket peer must answer it, and browsers do. A byte stream sends nothing.
    Ping,
}

/// An encoded frame in two parts. Many receivers can share the second part.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EncodedFrame {
    /// The first part, for one receiver.
    pub prefix: Bytes,
    /// The second part, shared by all receivers.
    pub tail: Bytes,
    /// True if both parts together are UTF-8. A WebSocket peer then receives a text message, otherwise a binary
    /// message.
    pub is_text: bool,
}

impl EncodedFrame {
    /// Creates a frame from its two parts. Set `is_text` to true if both parts together are UTF-8.
    #[must_use]
    pub fn new(prefix: Bytes, tail: Bytes, is_text: bool) -> EncodedFrame {
        EncodedFrame {
            prefix,
            tail,
            is_text,
        }
    }
}

/// One connection as a `Stream` of [`Inbound`] items and a `Sink` of [`Outbound`] items.
///
/// - **Reading.** A WebSocket message may contain several frames or a piece of one; text and binary messages are
///   equivalent. After `CONNECT`, the socket reads nothing more until [`resume`](Socket::resume) is called. The last
///   item is [`Inbound::End`].
/// - **Writing.** Each frame becomes one WebSocket message: text if it is UTF-8, else binary. On a byte stream, one LF
///   follows each frame, because some clients cannot read two adjacent frames without it. The socket buffers messages
///   and writes them when the sink is flushed. To save writes, put many items and then flush once.
/// - **Closing.** [`poll_close`](Sink::poll_close) flushes, closes, and waits until the peer closes too. Meanwhile it
///   drops bytes from the peer, up to [`Config::max_linger_bytes`]. Without this, TCP could reset the connection and the
///   peer could lose the last frame. The caller decides how long to wait, and drops the socket to abort.
///
/// **Cancellation.** All state is in the socket, so futures over it may be dropped at any time. A dropped `next` loses
/// no item. A dropped `flush` or `close` continues when it is called again. A dropped `send` or `feed` has buffered its
/// item completely, or not at all if it was still waiting for room.
///
/// **Memory.** Of an incomplete frame, the socket holds at most [`Limits::max_frame_bytes`] +
/// [`Limits::max_head_bytes`] bytes and one read. This is the sum over all messages and fragments; an empty message or
/// fragment counts as 32 bytes. If the peer reads nothing, the `Sink` buffers at most
/// [`Config::max_write_buffer_bytes`] bytes and one frame, in a buffer of up to twice that size. A connection with
/// nothing to read and nothing to write owns no buffer. (A socket from `from_websocket` has the buffers and the limits
/// of its WebSocket.)
pub struct Socket {
    transport: Box<dyn Transport>,
    decoder: Decoder,
    encoder: Encoder,
    close_notice: CloseNotice,
    ended: bool,
    peer: Arc<Peer>,
    permit: Option<Box<dyn Permit>>,
    /// True if the server may revoke the permit: until the peer has logged in.
    is_revocable: bool,
    max_write_buffer_bytes: usize,
    max_linger_bytes: u64,
    /// The kind of message to send if the payload is UTF-8: binary if [`Config::always_binary`] is set, otherwise text.
    text: MessageKind,
    /// The cost of the empty messages since the last item, in bytes. See [`EMPTY_PIECE_COST`].
    empty_pieces: usize,
}

impl Socket {
    /// Creates a socket over the server's side of a WebSocket, after the handshake.
    ///
    /// `early` are bytes that were received together with the handshake.
    pub fn over_websocket<S>(io: S, early: &[u8], peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(WebSocket::server(io, early, config)), peer, config)
    }

    /// Creates a socket over the client's side of a WebSocket, after the handshake.
    ///
    /// `early` are bytes that were received together with the handshake.
    pub fn over_client_websocket<S>(io: S, early: &[u8], peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(WebSocket::client(io, early, config)), peer, config)
    }

    /// Creates a socket over a stream of bytes, such as TCP, TLS or a pipe.
    pub fn over_byte_stream<S>(io: S, peer: Peer, config: &Config) -> Socket
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Socket::new(Box::new(ByteStream::new(io, config)), peer, config)
    }

    pub(crate) fn new(transport: Box<dyn Transport>, peer: Peer, config: &Config) -> Socket {
        Socket {
            transport,
            decoder: Decoder::new(config.limits),
            // No version is negotiated yet, and all versions encode `CONNECT` and `CONNECTED` in the same way.
            encoder: Encoder::new(Version::V1_0),
            close_notice: CloseCode::Normal.into(),
            ended: false,
            peer: Arc::new(peer),
            permit: None,
            is_revocable: false,
            max_write_buffer_bytes: config.max_write_buffer_bytes,
            max_linger_bytes: config.max_linger_bytes,
            text: if config.always_binary {
                MessageKind::Binary
            } else {
                MessageKind::Text
            },
            empty_pieces: 0,
        }
    }

    /// Attaches a server's permit. It is released when this socket is dropped.
    #[must_use]
    pub fn with_permit(mut self, permit: Box<dyn Permit>) -> Socket {
        self.permit = Some(permit);
        self.is_revocable = true;
        self
    }

    /// Returns `Ready` when the server shuts down and the session should end. Always pending without a [`Permit`].
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.permit
            .as_mut()
            .map_or(Poll::Pending, |permit| permit.poll_shutdown(cx))
    }

    fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.permit
            .as_mut()
            .map_or(Poll::Pending, |permit| permit.poll_revoked(cx))
    }

    /// The other end of this socket.
    #[must_use]
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Continues to read after `CONNECT`, in this STOMP version and with these limits.
    ///
    /// Until then, the bytes after `CONNECT` are not decoded, because this requires the version and the limits.
    pub fn resume(&mut self, version: Version, limits: Limits) {
        self.encoder = Encoder::new(version);
        self.decoder.resume(version, limits);
        self.transport.set_limits(&limits);
        if let Some(permit) = &mut self.permit {
            self.is_revocable = !permit.connected();
        }
    }

    /// The number of bytes received so far, including pings and pongs. While this number grows, the peer is alive.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.transport.received()
    }

    /// The number of bytes that are buffered, but not written yet.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.transport.unsent()
    }

    /// Returns true if all buffered bytes are written and flushed, so that [`poll_write`](Socket::poll_write) has
    /// nothing to do.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.transport.is_flushed()
    }

    /// Returns true if the beginning of a frame was received, but not its end. Also returns true while a complete frame
    /// waits to be read.
    ///
    /// A socket from `from_websocket` does not detect incomplete WebSocket messages, because its WebSocket does not
    /// report them.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.decoder.buffered_bytes() > 0 || self.transport.is_mid_message()
    }

    /// The frame of which the beginning was received, but not the end. `None` if there is none, and also if all its bytes
    /// belong to a WebSocket message that is incomplete itself.
    ///
    /// After [`End::HalfClosed`], this is the frame within which the peer has ended its half of the stream.
    #[must_use]
    pub fn incomplete_frame(&self) -> Option<IncompleteFrame> {
        self.decoder.incomplete_frame()
    }

    /// Takes the server's permit, if there is one and it was not taken before. It then counts the connection for as long
    /// as the caller keeps it, also after the socket is dropped. The socket reports no [shutdown](Socket::poll_shutdown)
    /// any more.
    pub fn take_permit(&mut self) -> Option<Box<dyn Permit>> {
        self.permit.take()
    }

    /// Returns true if this is a WebSocket, whose peer answers [`Outbound::Ping`].
    #[must_use]
    pub fn supports_ping(&self) -> bool {
        self.transport.supports_ping()
    }

    /// Sets the code that a WebSocket peer receives when this side closes. Default: [`CloseCode::Normal`].
    pub fn set_close_code(&mut self, code: CloseCode) {
        self.close_notice.code = code;
    }

    /// Sets the reason that a WebSocket peer receives with the close code. Only the first 123 bytes fit into the close
    /// frame; a character that does not fit as a whole is left out. Default: none.
    pub fn set_close_reason(&mut self, reason: &str) {
        self.close_notice.set_reason(reason);
    }

    /// Buffers `item` for the next flush, without a limit: the caller must watch
    /// [`unsent_bytes`](Socket::unsent_bytes).
    ///
    /// # Errors
    ///
    /// Returns an error if the STOMP version of the session cannot express the frame. Then nothing is buffered.
    #[inline]
    pub fn put(&mut self, item: &Outbound) -> Result<(), EncodeError> {
        let encoder = self.encoder;
        let kind = |is_text| {
            if is_text {
                self.text
            } else {
                MessageKind::Binary
            }
        };
        match item {
            Outbound::Frame(frame) => self.transport.put(USUAL_BYTES, &mut |out| {
                encoder.encode(frame, out)?;
                // The head is always UTF-8.
                Ok(kind(self.text == MessageKind::Text && is_utf8(&frame.body)))
            }),
            Outbound::Encoded(EncodedFrame {
                prefix,
                tail,
                is_text,
            }) => {
                self.put_encoded(prefix, tail, *is_text);
                Ok(())
            }
            Outbound::Receipt(id) => self.transport.put(RECEIPT_BYTES + id.len(), &mut |out| {
                encoder.receipt(id, out)?;
                Ok(kind(true))
            }),
            Outbound::HeartBeat => self.transport.put(1, &mut |out: &mut BytesMut| {
                out.put_u8(b'\n');
                Ok(kind(true))
            }),
            Outbound::Ping => {
                self.transport.put_ping();
                Ok(())
            }
        }
    }

    /// Makes room in the buffer for this number of bytes, so that it grows once for many frames.
    pub fn reserve(&mut self, bytes: usize) {
        self.transport.reserve(bytes);
    }

    /// Buffers an encoded frame that consists of two parts. Does the same as [`put`](Socket::put) with
    /// [`Outbound::Encoded`], but borrows the bytes.
    pub fn put_encoded(&mut self, prefix: &[u8], tail: &[u8], is_text: bool) {
        let kind = if is_text {
            self.text
        } else {
            MessageKind::Binary
        };
        let written = self.transport.put(prefix.len() + tail.len(), &mut |out| {
            // With room for the LF behind it on a byte stream, so that the buffer does not grow again for one byte.
            out.reserve(prefix.len() + tail.len() + 1);
            out.put_slice(prefix);
            out.put_slice(tail);
            Ok(kind)
        });
        debug_assert!(written.is_ok(), "copying bytes cannot fail");
    }

    /// Writes and flushes all buffered bytes, like [`Sink::poll_flush`].
    ///
    /// # Errors
    ///
    /// Returns an error if the connection was lost.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(cx)
    }

    /// Reads the next item, like [`Stream::poll_next`], but leaves writing to the caller.
    ///
    /// `poll_next` also writes: when more than [`Config::max_write_buffer_bytes`] bytes are buffered, and when there is
    /// nothing to read. Callers of this function must call [`poll_write`](Socket::poll_write) in these cases. Reading
    /// adds to [`unsent_bytes`](Socket::unsent_bytes), because each ping is answered with a pong. This function writes
    /// only after it has answered a ping, if more than [`Config::max_write_buffer_bytes`] bytes are unsent then.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.is_revocable && self.poll_revoked(cx).is_ready() {
            let reason = "the server gave the place of this connection to another one";
            let lost = io::Error::new(io::ErrorKind::ConnectionAborted, reason);
            return self.end(End::Lost(lost));
        }
        loop {
            match self.decoder.decode() {
                Ok(Some(decoded)) => {
                    self.empty_pieces = 0;
                    return Poll::Ready(Some(match decoded {
                        Decoded::Frame(frame) => Inbound::Frame(frame),
                        Decoded::HeartBeat => Inbound::HeartBeat,
                    }));
                }
                // No waker is needed: only `resume` ends this state, and the caller of `resume` polls again.
                Ok(None) if self.decoder.is_stopped() => return Poll::Pending,
                Ok(None) => {}
                Err(error) => return self.end(End::Malformed(error)),
            }
            let held = self.decoder.buffered_bytes();
            match ready!(self.transport.poll_read(held + self.empty_pieces, cx)) {
                Ok(bytes) if bytes.is_empty() => self.empty_pieces += EMPTY_PIECE_COST,
                Ok(bytes) => self.decoder.feed(bytes),
                Err(end) => return self.end(end),
            }
        }
    }

    /// Returns the last item.
    #[cold]
    fn end(&mut self, end: End) -> Poll<Option<Inbound>> {
        self.ended = true;
        Poll::Ready(Some(Inbound::End(end)))
    }
}

/// A guess of the length of a frame: most have at least as many bytes, and fewer than 64 KiB.
const USUAL_BYTES: usize = 126;

/// The length of a `RECEIPT` without its id.
const RECEIPT_BYTES: usize = "RECEIPT\nreceipt-id:\n\n\0".len();

impl Stream for Socket {
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        if self.unsent_bytes() > self.max_write_buffer_bytes {
            if let Err(error) = ready!(self.poll_write(cx)) {
                self.ended = true;
                return Poll::Ready(Some(Inbound::End(End::from(error))));
            }
        }
        let item = self.poll_read(cx);
        // A caller that only reads must still answer pings and closes.
        if item.is_pending() && !self.is_flushed() {
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                self.ended = true;
                return Poll::Ready(Some(Inbound::End(End::from(error))));
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
        let socket = &mut *self;
        let mut budget = LingerBudget {
            max_bytes: socket.max_linger_bytes,
            permit: socket.permit.as_deref_mut(),
        };
        socket
            .transport
            .poll_close(&socket.close_notice, &mut budget, cx)
            .map_err(SendError::from)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
