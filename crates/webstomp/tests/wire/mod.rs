//! A server in this process, and clients that can say any bytes to it and read what they are answered.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "no test needs all of it; a helper may fail"
)]

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    task::yield_now,
    time::timeout,
};
use webstomp::{
    App, Peer, Router, Session,
    frame::{Command, Decoded, Decoder, Frame, Limits, Version},
    router::{Routes, map_error},
    session::{Config, Sessions},
    socket::Socket,
};

/// Long, but not endless.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// Whether the long runs are asked for: then `many`, else `few`.
pub(crate) fn soak(many: usize, few: usize) -> usize {
    if std::env::var_os("SOAK").is_some_and(|value| value == "1") {
        many
    } else {
        few
    }
}

/// Waits for what comes in the end, or never.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("it comes in the end")
}

/// Lets others run until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            // A millisecond, so that timers and sockets have their turn.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

/// How a client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Bytes through a pipe in memory.
    Pipe,
    /// A WebSocket through a pipe in memory.
    PipeWebSocket,
    /// Bytes over TCP.
    Tcp,
    /// A WebSocket over TCP, with its handshake.
    TcpWebSocket,
}

impl Way {
    pub(crate) const ALL: [Way; 4] = [Way::Pipe, Way::PipeWebSocket, Way::Tcp, Way::TcpWebSocket];

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Way::PipeWebSocket | Way::TcpWebSocket)
    }
}

/// A server that can be reached in all ways.
pub(crate) struct Server {
    routes: Routes,
    config: Arc<Config>,
    bytes: SocketAddr,
    websockets: SocketAddr,
}

impl Server {
    /// A server of these routes, which are made twice.
    pub(crate) async fn start(router: impl Fn() -> Router, mut config: Config) -> Server {
        config.error_mapper = Some(webstomp::session::ErrorMapper::new(map_error));
        let (bytes, websockets) = (listen().await, listen().await);
        let addresses = (
            bytes.local_addr().unwrap(),
            websockets.local_addr().unwrap(),
        );
        tokio::spawn(
            App::from(router())
                .session_config(config.clone())
                .serve(websockets),
        );
        let (routes, config) = (router().build().unwrap(), Arc::new(config));
        tokio::spawn(accept(bytes, routes.clone(), Arc::clone(&config)));
        Server {
            routes,
            config,
            bytes: addresses.0,
            websockets: addresses.1,
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.config.sessions
    }

    /// A client that has reached the server, which is not yet connected. Over TCP, it comes from one of several
    /// addresses, so that there are ports enough.
    pub(crate) async fn reach(&self, way: Way, number: usize) -> Client {
        match way {
            Way::Pipe => {
                let (ours, theirs) = tokio::io::duplex(64 << 10);
                run(
                    Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
                    &self.routes,
                    &self.config,
                );
                Client::new(Box::new(theirs), false)
            }
            Way::PipeWebSocket => {
                let (ours, theirs) = tokio::io::duplex(64 << 10);
                run(
                    Socket::over_websocket(ours, b"", Peer::default(), &Default::default()),
                    &self.routes,
                    &self.config,
                );
                Client::new(Box::new(theirs), true)
            }
            Way::Tcp => Client::new(
                Box::new(dial(self.bytes, number, Leaving::Fin).await),
                false,
            ),
            Way::TcpWebSocket => {
                let mut client = Client::new(
                    Box::new(dial(self.websockets, number, Leaving::Fin).await),
                    true,
                );
                client.shake_hands().await;
                client
            }
        }
    }

    /// As [`Server::reach`] over TCP, by a client that resets the connection when it is dropped.
    pub(crate) async fn reach_to_reset(&self, is_websocket: bool, number: usize) -> Client {
        let address = if is_websocket {
            self.websockets
        } else {
            self.bytes
        };
        let mut client = Client::new(
            Box::new(dial(address, number, Leaving::Reset).await),
            is_websocket,
        );
        if is_websocket {
            client.shake_hands().await;
        }
        client
    }

    /// A connected client.
    pub(crate) async fn connect(&self, way: Way, number: usize) -> Client {
        let mut client = self.reach(way, number).await;
        client.connects(Version::V1_2).await;
        client
    }
}

fn run(socket: Socket, routes: &Routes, config: &Arc<Config>) {
    let (_, _, connection) = Session::new(socket, Arc::clone(config));
    tokio::spawn(connection.run(routes.clone()));
}

async fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(1024).unwrap()
}

/// STOMP directly over TCP.
async fn accept(listener: TcpListener, routes: Routes, config: Arc<Config>) {
    loop {
        // One that was reset before it was accepted is no reason to stop.
        if let Ok((stream, address)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            run(
                Socket::over_byte_stream(stream, Peer::from_address(address), &Default::default()),
                &routes,
                &config,
            );
        }
    }
}

/// What a connection does when its client drops it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Fin,
    Reset,
}

async fn dial(address: SocketAddr, number: usize, leaving: Leaving) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let source = [127, 0, 0, 2 + u8::try_from(number % 16).unwrap()];
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    if leaving == Leaving::Reset {
        socket.set_zero_linger().unwrap();
    }
    let stream = soon(socket.connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What a client hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Frame),
    /// A WebSocket close with this code; 0 if it has none.
    Close(u16),
    /// The end, in good order.
    End,
    /// The connection broke.
    Reset,
}

/// A client that can say any bytes.
pub(crate) struct Client {
    io: Box<dyn Stream>,
    is_websocket: bool,
    /// What has come and was not looked at yet.
    input: Vec<u8>,
    decoder: Decoder,
    pub(crate) version: Version,
}

impl Client {
    pub(crate) fn new(io: Box<dyn Stream>, is_websocket: bool) -> Client {
        let decoder = Decoder::new(Limits::default());
        Client {
            io,
            is_websocket,
            input: Vec::new(),
            decoder,
            version: Version::V1_0,
        }
    }

    async fn shake_hands(&mut self) {
        let head = "GET /stomp HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        self.io.write_all(head.as_bytes()).await.unwrap();
        let end = loop {
            assert_ne!(
                soon(self.io.read_buf(&mut self.input)).await.unwrap(),
                0,
                "the end, and no handshake"
            );
            if let Some(at) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let answer = String::from_utf8(self.input.drain(..end).collect()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    }

    /// Says these bytes as they are, even over a WebSocket. Whether they are taken, the answer shows.
    pub(crate) async fn say_raw(&mut self, bytes: &[u8]) {
        let _ = soon(self.io.write_all(bytes)).await;
        let _ = self.io.flush().await;
    }

    /// Says these bytes, over a WebSocket in one message.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if self.is_websocket {
            let kind = if std::str::from_utf8(bytes).is_ok() {
                TEXT
            } else {
                BINARY
            };
            self.say_raw(&websocket_frame(FIN | kind, bytes)).await;
        } else {
            self.say_raw(bytes).await;
        }
    }

    /// Says these bytes in some pieces: writes, or messages, or fragments of one message.
    pub(crate) async fn say_in_pieces(&mut self, bytes: &[u8], random: &mut Random) {
        let (pieces, is_one_message) = (1 + random.below(4), random.below(2) == 0);
        let mut rest = bytes;
        for number in 0..pieces {
            let is_last = number + 1 == pieces;
            let at = if is_last {
                rest.len()
            } else {
                random.below(rest.len() + 1)
            };
            let (piece, after) = rest.split_at(at);
            let first = match (is_one_message, number) {
                (false, _) => FIN | BINARY,
                (true, 0) => BINARY,
                (true, _) => CONTINUATION,
            };
            let frame = websocket_frame(if is_last { FIN | first } else { first }, piece);
            self.say_raw(if self.is_websocket { &frame } else { piece })
                .await;
            yield_now().await;
            rest = after;
        }
    }

    /// What comes next, but for heart-beats and pings.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match self
                .decoder
                .decode()
                .expect("a server says only what is STOMP")
            {
                Some(Decoded::Frame(frame)) => {
                    if frame.command == Command::Connected {
                        self.version = frame
                            .headers
                            .get("version")
                            .map_or(Version::V1_0, |text| text.parse().unwrap());
                        self.decoder
                            .resume(self.version, Limits::default().max_frame_bytes(1 << 20));
                    }
                    return Heard::Frame(frame);
                }
                Some(Decoded::HeartBeat) => continue,
                None => {}
            }
            if self.is_websocket {
                match take_message(&mut self.input) {
                    Some((TEXT | BINARY, payload)) => {
                        self.decoder.feed(payload);
                        continue;
                    }
                    Some((CLOSE, payload)) => return Heard::Close(code_of(&payload)),
                    Some((PING, payload)) => {
                        self.say_raw(&websocket_frame(FIN | PONG, &payload)).await;
                        continue;
                    }
                    Some(_) => continue,
                    None => {}
                }
            } else if !self.input.is_empty() {
                self.decoder.feed(std::mem::take(&mut self.input));
                continue;
            }
            self.input.reserve(4 << 10);
            match soon(self.io.read_buf(&mut self.input)).await {
                Ok(0) => return Heard::End,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Heard::Reset,
                read => assert!(read.is_ok(), "{read:?}"),
            }
        }
    }

    /// The next frame, which is such a one.
    pub(crate) async fn gets(&mut self, command: Command) -> Frame {
        match self.hear().await {
            Heard::Frame(frame) if frame.command == command => frame,
            Heard::Frame(frame) => panic!("{frame:?} {:?}, and no {command}", frame.body),
            other => panic!("{other:?}, and no {command}"),
        }
    }

    pub(crate) async fn connects(&mut self, version: Version) -> Frame {
        self.say(format!(
            "CONNECT\naccept-version:{version}\nhost:localhost\n\n\0"
        ))
        .await;
        self.gets(Command::Connected).await
    }

    /// Says a frame that asks for the receipt `receipt`, and gets that and nothing before it.
    pub(crate) async fn asks(&mut self, frame: impl AsRef<[u8]>, receipt: &str) {
        self.say(frame).await;
        let frame = self.gets(Command::Receipt).await;
        assert_eq!(frame.headers.get("receipt-id"), Some(receipt));
    }

    /// Gets an `ERROR` with this code, which it tells.
    pub(crate) async fn is_told(&mut self, code: &str) -> Frame {
        let error = self.gets(Command::Error).await;
        assert_eq!(
            error.headers.get("message"),
            Some(code),
            "{error:?} {:?}",
            error.body
        );
        error
    }

    /// Is closed: over a WebSocket with this code, and in good order.
    pub(crate) async fn is_closed(&mut self, code: u16) {
        if self.is_websocket {
            match self.hear().await {
                Heard::Close(told) => assert_eq!(told, code),
                other => panic!("{other:?}, and no close"),
            }
            self.say_raw(&websocket_frame(FIN | CLOSE, &code.to_be_bytes()))
                .await;
        }
        match self.hear().await {
            Heard::End => {}
            other => panic!("{other:?}, and no end"),
        }
    }

    /// Ends its side, and still reads.
    pub(crate) async fn shutdown(&mut self) {
        let _ = self.io.shutdown().await;
    }
}

/// The first byte of a WebSocket frame (RFC 6455, section 5.2).
pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A WebSocket frame as clients write it, with a mask of zeros.
pub(crate) fn websocket_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(MASKED | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(MASKED | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(MASKED | 127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Takes the next message of a server, if all of it has come: its kind and what it holds.
fn take_message(input: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (first, short) = (*input.first()?, *input.get(1)?);
    let (length, start) = match short {
        126 => (
            usize::from(u16::from_be_bytes(input.get(2..4)?.try_into().unwrap())),
            4,
        ),
        127 => (
            usize::try_from(u64::from_be_bytes(input.get(2..10)?.try_into().unwrap())).unwrap(),
            10,
        ),
        short => (usize::from(short), 2),
    };
    assert_eq!(first & 0xf0, FIN, "servers send whole messages");
    let payload = input.get(start..start + length)?.to_vec();
    input.drain(..start + length);
    Some((first & 0x0f, payload))
}

fn code_of(close: &[u8]) -> u16 {
    close
        .first_chunk()
        .map_or(0, |code| u16::from_be_bytes(*code))
}
