//! The client of a conversation: it performs the steps `C:`, which send, and `S:`, which check what the server sent.

use crate::{
    conversation::settle,
    text::{Expected, Names, frame, unescape, unescaped},
};
use futures_util::FutureExt;
use stomp_frame::{Frame, Version};
use stomp_session::Peer;
use stomp_socket::Socket;
use stomp_testing as testing;

pub(crate) struct Client {
    /// `None` after the client has dropped the connection.
    client: Option<testing::Client>,
    is_websocket: bool,
    names: Names,
}

/// Something that the server has sent.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(Frame),
    HeartBeat,
    Ping,
    /// The server has nothing more to send now.
    Nothing,
    /// The end of the connection, with the code of a WebSocket close.
    End(Option<u16>),
}

/// The connection between client and server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport {
    pub(crate) is_websocket: bool,
    pub(crate) subprotocol: Option<Version>,
    /// Bytes that one end can write before the other must read.
    pub(crate) bytes: usize,
}

impl Client {
    /// Creates a client, and the server's socket.
    pub(crate) fn new(transport: Transport) -> (Client, Socket) {
        let (near, far) = tokio::io::duplex(transport.bytes);
        let peer = Peer::default().with_subprotocol(transport.subprotocol);
        let config = Default::default();
        let (client, socket) = if transport.is_websocket {
            let socket = Socket::over_websocket(far, b"", peer, &config);
            (testing::Client::over_websocket(near), socket)
        } else {
            let socket = Socket::over_byte_stream(far, peer, &config);
            (testing::Client::over_byte_stream(near), socket)
        };
        let client = Client {
            client: Some(client),
            is_websocket: transport.is_websocket,
            names: Names::default(),
        };
        (client, socket)
    }

    /// Performs a step `C: WHAT`.
    pub(crate) async fn send(&mut self, what: &str) -> Result<(), String> {
        let client = self
            .client
            .as_mut()
            .ok_or("the client has dropped the connection")?;
        let bytes = match what.split_once(' ').unwrap_or((what, "")) {
            ("drop", "") => {
                self.client = None;
                return Ok(());
            }
            ("end", "") => {
                if self.is_websocket {
                    client.send_close(None).await;
                } else {
                    client.shutdown().await;
                }
                return Ok(());
            }
            ("heart-beat", "") => b"\n".to_vec(),
            ("raw", text) => unescape(&self.names.resolve_all(text)),
            _ => frame(what, &self.names)?
                .to_bytes(client.version())
                .map_err(|error| error.to_string())?
                .to_vec(),
        };
        client
            .try_send_bytes(bytes)
            .await
            .map_err(|error| error.to_string())
    }

    /// Performs a step `S: WHAT`.
    pub(crate) async fn expect(&mut self, what: &str) -> Result<(), String> {
        let received = self.receive().await;
        let fits = match (what, &received) {
            ("nothing", Received::Nothing)
            | ("heart-beat", Received::HeartBeat)
            | ("ping", Received::Ping)
            | ("end", Received::End(_)) => true,
            ("nothing" | "heart-beat" | "ping" | "end", _) => false,
            (_, Received::End(Some(code))) => {
                let reason = self
                    .client
                    .as_ref()
                    .map_or("", testing::Client::close_reason);
                unescaped(what) == format!("end {code} {reason}").trim_end()
            }
            (_, Received::Frame(frame)) => {
                let expected = Expected::parse(what)?;
                expected.fits(frame.command, &frame.headers, &frame.body, &mut self.names)
            }
            _ => false,
        };
        match received {
            _ if fits => Ok(()),
            Received::Frame(frame) => Err(format!("received {frame:?} {:?}", frame.body)),
            other => Err(format!("received {other:?}")),
        }
    }

    /// The next thing that the server has sent, after it has done all that it can do now.
    pub(crate) async fn receive(&mut self) -> Received {
        let Some(client) = &mut self.client else {
            return Received::Nothing;
        };
        loop {
            settle().await;
            let before = client.received_bytes();
            match client.receive().now_or_never() {
                Some(testing::Received::Frame(frame)) => return Received::Frame(frame),
                Some(testing::Received::HeartBeat) => return Received::HeartBeat,
                Some(testing::Received::Ping) => return Received::Ping,
                Some(testing::Received::Close(code)) => return Received::End(code),
                Some(testing::Received::End | testing::Received::Broken(_)) => {
                    return Received::End(None);
                }
                // The server may write more, now that it has room again.
                None if client.received_bytes() > before => {}
                None => return Received::Nothing,
            }
        }
    }
}
