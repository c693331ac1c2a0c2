//! The client of a conversation: what it writes, and what it finds that the server has written.

use crate::{
    conversation::settle,
    text::{Expected, frame, unescape},
};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::collections::VecDeque;
use stomp_frame::{Command, Decoded, Decoder, Frame, Limits, Version};
use stomp_session::Peer;
use stomp_socket::Socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

pub(crate) struct Client {
    wire: Option<Wire>,
    decoder: Decoder,
    version: Version,
    received: VecDeque<Received>,
}

enum Wire {
    Bytes(DuplexStream),
    WebSocket(Box<WebSocketStream<DuplexStream>>),
}

/// What the server has written.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(Frame),
    Beat,
    Ping,
    Nothing,
    /// With the code of a WebSocket's close.
    End(Option<u16>),
}

/// How client and server are connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport {
    pub(crate) is_websocket: bool,
    pub(crate) subprotocol: Option<Version>,
    /// How many bytes one end can write before the other must read.
    pub(crate) bytes: usize,
}

impl Client {
    pub(crate) async fn start(transport: Transport) -> (Client, Socket) {
        let (theirs, ours) = tokio::io::duplex(transport.bytes);
        let (peer, config) = (
            Peer::default().with_subprotocol(transport.subprotocol),
            Default::default(),
        );
        let (wire, socket) = if transport.is_websocket {
            let wire = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
            (
                Wire::WebSocket(Box::new(wire)),
                Socket::over_websocket(ours, b"", peer, &config),
            )
        } else {
            (
                Wire::Bytes(theirs),
                Socket::over_byte_stream(ours, peer, &config),
            )
        };
        let decoder = Decoder::new(Limits::default());
        let received = VecDeque::new();
        (
            Client {
                wire: Some(wire),
                decoder,
                version: Version::V1_0,
                received,
            },
            socket,
        )
    }

    pub(crate) async fn says(&mut self, what: &str) -> Result<(), String> {
        match what.split_once(' ').unwrap_or((what, "")) {
            ("cut", "") => self.wire = None,
            ("end", "") => self.end().await?,
            ("beat", "") => self.write(b"\n".to_vec()).await?,
            ("raw", text) => self.write(unescape(text)).await?,
            _ => {
                let bytes = frame(what)?
                    .to_bytes(self.version)
                    .map_err(|error| error.to_string())?;
                self.write(bytes.to_vec()).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        match self.wire.as_mut().ok_or("it has cut the connection")? {
            Wire::Bytes(stream) => stream
                .write_all(&bytes)
                .await
                .map_err(|error| error.to_string()),
            Wire::WebSocket(stream) => {
                let message = String::from_utf8(bytes)
                    .map_or_else(|error| error.into_bytes().into(), Message::text);
                stream
                    .send(message)
                    .await
                    .map_err(|error| error.to_string())
            }
        }
    }

    async fn end(&mut self) -> Result<(), String> {
        match self.wire.as_mut().ok_or("it has cut the connection")? {
            Wire::Bytes(stream) => stream.shutdown().await.map_err(|error| error.to_string()),
            Wire::WebSocket(stream) => stream.close().await.map_err(|error| error.to_string()),
        }
    }

    pub(crate) async fn hears(&mut self, what: &str) -> Result<(), String> {
        let next = self.next().await;
        let fits = match (what, &next) {
            ("nothing", Received::Nothing)
            | ("beat", Received::Beat)
            | ("ping", Received::Ping) => true,
            ("end", Received::End(_)) => true,
            ("nothing" | "beat" | "ping" | "end", _) => false,
            (_, Received::End(Some(code))) => what == format!("end {code}"),
            (_, Received::Frame(found)) => {
                Expected::parse(what)?.fits(found.command, &found.headers, &found.body)
            }
            _ => false,
        };
        match next {
            _ if fits => Ok(()),
            Received::Frame(found) => Err(format!("but {found:?} {:?}", found.body)),
            other => Err(format!("but {other:?}")),
        }
    }

    /// What there is, when the server has done all it can.
    pub(crate) async fn next(&mut self) -> Received {
        loop {
            settle().await;
            if let Some(item) = self.received.pop_front() {
                return item;
            }
            match self.read() {
                Ok(bytes) => self.decode(bytes),
                Err(other) => return other,
            }
        }
    }

    fn read(&mut self) -> Result<Vec<u8>, Received> {
        match self.wire.as_mut().ok_or(Received::Nothing)? {
            Wire::Bytes(stream) => {
                let mut bytes = Vec::new();
                match stream.read_buf(&mut bytes).now_or_never() {
                    None => Err(Received::Nothing),
                    Some(Ok(0) | Err(_)) => Err(Received::End(None)),
                    Some(Ok(_)) => Ok(bytes),
                }
            }
            Wire::WebSocket(stream) => match stream.next().now_or_never() {
                None => Err(Received::Nothing),
                Some(Some(Ok(Message::Close(frame)))) => {
                    // It is answered when it is read on.
                    let _ = stream.next().now_or_never();
                    Err(Received::End(frame.map(|frame| frame.code.into())))
                }
                Some(Some(Ok(Message::Ping(_)))) => Err(Received::Ping),
                Some(Some(Ok(message))) => Ok(message.into_data().to_vec()),
                Some(None | Some(Err(_))) => Err(Received::End(None)),
            },
        }
    }

    fn decode(&mut self, bytes: Vec<u8>) {
        // One by one, so that each heart-beat is seen.
        for byte in bytes {
            self.decoder.feed(vec![byte]);
            while let Some(item) = self.decoder.decode().expect("the server sends frames") {
                let item = self.note(item);
                self.received.push_back(item);
            }
        }
    }

    fn note(&mut self, item: Decoded) -> Received {
        let Decoded::Frame(frame) = item else {
            return Received::Beat;
        };
        if frame.command == Command::Connected {
            self.version = frame.headers.get("version").unwrap().parse().unwrap();
            self.decoder.resume(self.version, Limits::default());
        }
        Received::Frame(frame)
    }
}
