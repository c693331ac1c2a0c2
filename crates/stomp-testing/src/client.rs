//! A STOMP client for tests.

mod expect;

use crate::{
    TIMEOUT, frames,
    websocket::{self, BINARY, CLOSE, FIN, Message, PONG, TEXT},
};
use bytes::{Bytes, BytesMut};
use std::{fmt, io, mem, time::Duration};
use stomp_frame::{Command, Decoded, Decoder, Frame, Limits, Version};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Maximum bytes of a frame from the server. No test sends a longer frame.
const MAX_FRAME_BYTES: usize = 16 << 20;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An item that a client receives.
#[derive(Debug)]
pub enum Received {
    /// A STOMP frame.
    Frame(Frame),
    /// One line end between frames. Each line end is a separate item. Over a byte stream, the first line end behind a
    /// frame is no item: the server sends it with the frame.
    HeartBeat,
    /// A WebSocket ping. The client has answered it.
    Ping,
    /// A WebSocket close with its status code, if it has one. The client has answered it.
    Close(Option<u16>),
    /// The end of the stream.
    End,
    /// A read error, for instance because the server reset the connection.
    Broken(io::ErrorKind),
}

/// A STOMP client for tests, which can also send raw bytes.
///
/// A new client has not sent `CONNECT` yet. Each method named `expect…` waits for the next item, except heart-beats and
/// pings. It panics if the item is not the expected one, or if no item arrives within the timeout (by default
/// [`TIMEOUT`]).
pub struct Client {
    stream: Box<dyn Stream>,
    is_websocket: bool,
    has_sent_close: bool,
    response_head: String,
    received_bytes: u64,
    close_reason: String,
    /// Received bytes that were not parsed yet.
    input: BytesMut,
    /// Received bytes of STOMP that were not fed to the decoder yet.
    data: Bytes,
    decoder: Decoder,
    version: Version,
    /// True if a frame was received over a byte stream, but not yet the line end behind it.
    expects_line_end: bool,
    timeout: Duration,
    receipts: u64,
}

impl Client {
    /// Creates a client for STOMP over a plain byte stream.
    pub fn over_byte_stream(stream: impl Stream + 'static) -> Client {
        Client::new(stream, false)
    }

    /// Creates a client for STOMP over a WebSocket. It performs no handshake on `stream`.
    pub fn over_websocket(stream: impl Stream + 'static) -> Client {
        Client::new(stream, true)
    }

    fn new(stream: impl Stream + 'static, is_websocket: bool) -> Client {
        Client {
            stream: Box::new(stream),
            is_websocket,
            has_sent_close: false,
            received_bytes: 0,
            close_reason: String::new(),
            response_head: String::new(),
            input: BytesMut::new(),
            data: Bytes::new(),
            decoder: Decoder::new(limits()),
            version: Version::V1_0,
            expects_line_end: false,
            timeout: TIMEOUT,
            receipts: 0,
        }
    }

    /// Performs a WebSocket handshake for `path`, and creates a client. Adds `headers` to the request.
    ///
    /// # Errors
    ///
    /// Returns the server's response if its status is not 101: the head, and the bytes that arrived together with it.
    pub async fn upgrade(
        stream: impl Stream + 'static,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Client, String> {
        let mut client = Client::over_websocket(stream);
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        client.send_raw(format!("{request}\r\n")).await;
        let end = loop {
            if let Some(at) = client.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match timeout(client.timeout, client.read()).await {
                Ok(Ok(1..)) => {}
                other => panic!("{other:?} before the end of the response's head"),
            }
        };
        let head = String::from_utf8(client.input.split_to(end).to_vec()).unwrap();
        if head.starts_with("HTTP/1.1 101 ") {
            client.response_head = head;
            Ok(client)
        } else {
            Err(head + &String::from_utf8_lossy(&client.input))
        }
    }

    /// Sets the time that the client waits before it panics. Default: [`TIMEOUT`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    /// The head of the response to the WebSocket handshake; empty without a handshake.
    #[must_use]
    pub fn response_head(&self) -> &str {
        &self.response_head
    }

    /// The negotiated version; 1.0 before `CONNECTED`.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The number of bytes read from the stream so far.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// The reason in the WebSocket close of the server; empty without one.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        &self.close_reason
    }
}

/// Methods that send.
///
/// They ignore errors if the server has closed the connection; the next `expect…` detects this. Methods named `try_…`
/// return these errors. All panic if the server does not read during the client's timeout.
impl Client {
    /// Connects in this version, and returns the `CONNECTED` frame.
    pub async fn connect(&mut self, version: Version) -> Frame {
        self.connect_with(frames::connect(version)).await
    }

    /// Connects with this frame, and returns the `CONNECTED` frame.
    pub async fn connect_with(&mut self, connect: Frame) -> Frame {
        self.send(connect).await;
        self.expect(Command::Connected).await
    }

    /// Sends a frame. Over a WebSocket, the frame is one message.
    pub async fn send(&mut self, frame: Frame) {
        let _ = self.try_send(frame).await;
    }

    /// Sends a frame like [`send`](Client::send).
    ///
    /// # Errors
    ///
    /// Returns an error if the server has closed the connection.
    pub async fn try_send(&mut self, frame: Frame) -> io::Result<()> {
        let bytes = self.encode(&frame);
        self.try_send_bytes(bytes).await
    }

    /// Sends several frames at once. Over a WebSocket, all frames together are one message.
    pub async fn send_together(&mut self, frames: &[Frame]) {
        let bytes: Vec<_> = frames.iter().map(|frame| self.encode(frame)).collect();
        self.send_bytes(bytes.concat()).await;
    }

    fn encode(&self, frame: &Frame) -> Bytes {
        frame.to_bytes(self.version).unwrap()
    }

    /// Sends a heart-beat.
    pub async fn send_heart_beat(&mut self) {
        self.send_bytes("\n").await;
    }

    /// Sends these bytes. Over a WebSocket, they are one message: a text message if they are UTF-8, otherwise a binary
    /// message.
    pub async fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send_bytes(bytes).await;
    }

    /// Sends bytes like [`send_bytes`](Client::send_bytes).
    ///
    /// # Errors
    ///
    /// Returns an error if the server has closed the connection.
    pub async fn try_send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        if !self.is_websocket {
            return self.write(bytes).await;
        }
        let opcode = if std::str::from_utf8(bytes).is_ok() {
            TEXT
        } else {
            BINARY
        };
        self.write(&websocket::frame(FIN | opcode, bytes)).await
    }

    /// Writes these bytes to the stream without a change. Over a WebSocket, this does not create a message.
    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.write(bytes.as_ref()).await;
    }

    /// Sends a WebSocket close frame with this status code, or without one.
    pub async fn send_close(&mut self, code: Option<u16>) {
        let payload = code.map(u16::to_be_bytes);
        self.close_with(payload.as_ref().map_or(&[], |code| code))
            .await;
    }

    /// Sends a close frame, unless one was sent before.
    async fn close_with(&mut self, payload: &[u8]) {
        if !self.has_sent_close {
            self.has_sent_close = true;
            self.send_raw(websocket::frame(FIN | CLOSE, payload)).await;
        }
    }

    /// Ends the client's direction of the stream. The client can still receive.
    pub async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.timeout, write).await {
            Ok(result) => result,
            Err(_) => panic!("the server did not read for {:?}", self.timeout),
        }
    }
}

/// Methods that receive.
impl Client {
    /// Waits for the next item, without a timeout. The future may be dropped while it waits.
    ///
    /// The `CONNECTED` frame sets the version in which the following frames are decoded.
    pub async fn receive(&mut self) -> Received {
        loop {
            let decoded = self.decoder.decode();
            match decoded.unwrap_or_else(|error| panic!("the server sent no STOMP: {error}")) {
                Some(Decoded::HeartBeat) if mem::take(&mut self.expects_line_end) => continue,
                Some(Decoded::HeartBeat) => return Received::HeartBeat,
                Some(Decoded::Frame(frame)) => {
                    self.expects_line_end = !self.is_websocket;
                    self.note_version(&frame);
                    return Received::Frame(frame);
                }
                None => {}
            }
            if !self.data.is_empty() {
                self.feed();
                continue;
            }
            match self.next_message() {
                Some(Message::Data(bytes)) => self.data = bytes,
                Some(Message::Ping(payload)) => {
                    self.send_raw(websocket::frame(FIN | PONG, &payload)).await;
                    return Received::Ping;
                }
                Some(Message::Pong) => {}
                Some(Message::Close(payload)) => {
                    self.close_with(&payload).await;
                    let reason = payload.get(2..).unwrap_or_default();
                    self.close_reason = String::from_utf8_lossy(reason).into_owned();
                    let code = payload.first_chunk().copied();
                    return Received::Close(code.map(u16::from_be_bytes));
                }
                None => match self.read().await {
                    Ok(0) => return Received::End,
                    Ok(_) => {}
                    Err(error) => return Received::Broken(error.kind()),
                },
            }
        }
    }

    /// Feeds the decoder with one line end, or with the bytes up to the next NUL. So the decoder never receives two
    /// line ends between frames at once, which it would join into one heart-beat.
    fn feed(&mut self) {
        let length = match self.data.first() {
            Some(b'\n') => 1,
            _ => {
                let end = self.data.iter().position(|byte| *byte == 0);
                end.map_or(self.data.len(), |end| end + 1)
            }
        };
        self.decoder.feed(self.data.split_to(length));
    }

    fn next_message(&mut self) -> Option<Message> {
        if self.is_websocket {
            websocket::take_message(&mut self.input)
        } else {
            let bytes = self.input.split().freeze();
            (!bytes.is_empty()).then_some(Message::Data(bytes))
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.input.reserve(4 << 10);
        let count = self.stream.read_buf(&mut self.input).await?;
        self.received_bytes += count as u64;
        Ok(count)
    }

    fn note_version(&mut self, frame: &Frame) {
        if frame.command == Command::Connected {
            let version = frame.headers.get("version");
            self.version = version.map_or(Version::V1_0, |text| text.parse().unwrap());
            self.decoder.resume(self.version, limits());
        }
    }

    /// Waits for the next item that is neither a heart-beat nor a ping.
    async fn next(&mut self) -> Received {
        let patience = self.timeout;
        let next = async {
            loop {
                match self.receive().await {
                    Received::HeartBeat | Received::Ping => {}
                    received => return received,
                }
            }
        };
        match timeout(patience, next).await {
            Ok(received) => received,
            Err(_) => panic!("nothing received for {patience:?}"),
        }
    }
}

fn limits() -> Limits {
    Limits::default().max_frame_bytes(MAX_FRAME_BYTES)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("is_websocket", &self.is_websocket)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
