//! A server under test as its clients see it: its address, its protocol, and the messages that it expects.

use crate::wire::{self, NUMBER};
use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Maximum time until a server answers while a load is prepared.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const JSON: &str = r#"{"id":4711,"symbol":"WEBS","bid":101.25,"ask":101.5,"size":1000}"#;

/// The protocol that a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// The protocol of the bare server: the first message selects the role of the connection.
    Bare,
    /// STOMP with a session.
    Stomp,
    /// STOMP frames without a session, sent back as they are.
    Frames,
}

/// The destinations that a load uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destinations {
    /// Each SEND to this destination is answered with a RECEIPT, and nobody receives it.
    pub(crate) unread: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) queue: &'static str,
}

impl Destinations {
    pub(crate) const BROKER: Destinations = Destinations {
        unread: "/topic/bench-unread",
        topic: "/topic/bench",
        queue: "/queue/bench",
    };
    pub(crate) const HANDLER: Destinations = Destinations {
        unread: "/echo",
        topic: "/fan",
        queue: "/none",
    };
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    /// The host and the port, as the URL names them.
    host: String,
    path: String,
    /// False if frames travel over TCP without a WebSocket.
    is_websocket: bool,
    pub(crate) protocol: Protocol,
    pub(crate) destinations: Destinations,
    /// A login and a passcode.
    pub(crate) login: Option<(String, String)>,
}

impl Target {
    /// Creates a target from `ws://HOST[:PORT]/PATH` or `tcp://HOST:PORT`.
    pub(crate) fn parse(
        url: &str,
        protocol: Protocol,
        destinations: Destinations,
    ) -> io::Result<Target> {
        let invalid = |reason: &str| io::Error::other(format!("the URL {url:?} {reason}"));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| invalid("has no scheme"))?;
        let default_port = match scheme {
            "ws" => 80,
            "tcp" => 61613,
            _ => {
                return Err(invalid("has an unknown scheme; ws and tcp can be measured"));
            }
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = host
            .to_socket_addrs()
            .or_else(|_| (host, default_port).to_socket_addrs())
            .map_err(|error| invalid(&format!("has no address: {error}")))?
            .next()
            .ok_or_else(|| invalid("has no address"))?;
        Ok(Target {
            address,
            host: host.to_owned(),
            path: format!("/{path}"),
            is_websocket: scheme == "ws",
            protocol,
            destinations,
            login: None,
        })
    }

    /// Opens a connection and completes its handshake.
    pub(crate) fn open(&self) -> io::Result<Setup> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut setup = Setup {
            stream,
            is_websocket: self.is_websocket,
        };
        if self.is_websocket {
            setup.stream.write_all(self.handshake().as_bytes())?;
            let head = setup.read_until(b"\r\n\r\n")?;
            check_upgrade(&head)?;
        }
        Ok(setup)
    }

    /// Opens a connection, and sends nothing yet.
    pub(crate) fn open_stream(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The HTTP request that begins a WebSocket.
    pub(crate) fn handshake(&self) -> String {
        let Target { path, host, .. } = self;
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        )
    }

    /// The messages that follow the handshake until a client has subscribed, each with the start of its answer. The
    /// bare server expects none.
    pub(crate) fn first_messages(&self) -> Vec<(String, &'static str)> {
        match self.protocol {
            Protocol::Bare | Protocol::Frames => Vec::new(),
            Protocol::Stomp => vec![
                (self.connect_frame(), "CONNECTED\n"),
                (subscribe_frame(self.destinations.topic, &[]), "RECEIPT\n"),
            ],
        }
    }

    /// Opens a connection whose requests are answered one by one.
    pub(crate) fn requester(&self) -> io::Result<Setup> {
        match self.protocol {
            Protocol::Bare => self.with_role("echo"),
            Protocol::Stomp => self.connected(),
            Protocol::Frames => self.open(),
        }
    }

    /// Opens a connection that receives all published messages.
    pub(crate) fn subscriber(&self) -> io::Result<Setup> {
        match self.protocol {
            Protocol::Stomp => self.subscribed(self.destinations.topic, &[]),
            Protocol::Bare | Protocol::Frames => self.with_role("fan"),
        }
    }

    /// Opens a connection that consumes from the queue and acknowledges each message.
    pub(crate) fn consumer(&self, prefetch: usize) -> io::Result<Setup> {
        let prefetch = prefetch.to_string();
        let headers = [
            ("ack", "client-individual"),
            ("prefetch-count", prefetch.as_str()),
        ];
        self.subscribed(self.destinations.queue, &headers)
    }

    /// Opens a connection that publishes.
    pub(crate) fn publisher(&self) -> io::Result<Setup> {
        match self.protocol {
            Protocol::Stomp => self.connected(),
            Protocol::Bare | Protocol::Frames => self.with_role("pub"),
        }
    }

    /// The marker before the number in an answer to a request.
    pub(crate) fn answer_marker(&self) -> &'static [u8] {
        match self.protocol {
            Protocol::Stomp => b"receipt-id:",
            Protocol::Bare | Protocol::Frames => b"receipt:",
        }
    }

    /// A request with five headers and a body of this length, whose answer repeats its number.
    pub(crate) fn request(&self, body: usize) -> String {
        let headers = [
            ("destination", self.destinations.unread),
            ("receipt", NUMBER),
            ("content-type", "application/json"),
            ("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("tenant", "north-europe-7"),
        ];
        let body: String = JSON.chars().cycle().take(body).collect();
        frame("SEND", &headers, &body)
    }

    /// Publishes a message, and returns the text that a subscriber receives for it.
    pub(crate) fn sample_delivery(&self, body: usize) -> io::Result<String> {
        let mut subscriber = self.subscriber()?;
        let mut publisher = self.publisher()?;
        publisher.send(&publication(self.destinations.topic, body))?;
        subscriber.expect("MESSAGE\n")
    }

    fn with_role(&self, role: &str) -> io::Result<Setup> {
        let mut setup = self.open()?;
        setup.send(role)?;
        setup.expect(role)?;
        Ok(setup)
    }

    fn connected(&self) -> io::Result<Setup> {
        let mut setup = self.open()?;
        setup.send(&self.connect_frame())?;
        setup.expect("CONNECTED\n")?;
        Ok(setup)
    }

    fn subscribed(&self, destination: &str, headers: &[(&str, &str)]) -> io::Result<Setup> {
        let mut setup = self.connected()?;
        setup.send(&subscribe_frame(destination, headers))?;
        setup.expect("RECEIPT\n")?;
        Ok(setup)
    }

    fn connect_frame(&self) -> String {
        let mut frame = "CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n".to_owned();
        if let Some((login, passcode)) = &self.login {
            // Writing to a String cannot fail.
            let _ = writeln!(frame, "login:{login}\npasscode:{passcode}");
        }
        frame + "\n\0"
    }
}

/// Returns an error unless `head` accepts the handshake of a WebSocket.
pub(crate) fn check_upgrade(head: &[u8]) -> io::Result<()> {
    if head.starts_with(b"HTTP/1.1 101 ") {
        return Ok(());
    }
    let text = String::from_utf8_lossy(head);
    Err(io::Error::other(format!(
        "the server did not upgrade the connection: {text}"
    )))
}

/// A message to publish, with a body that begins with its number.
pub(crate) fn publication(destination: &str, body: usize) -> String {
    let headers = [("destination", destination), ("content-type", "text/plain")];
    let padding = "x".repeat(body.saturating_sub(NUMBER.len()));
    frame("SEND", &headers, &format!("{NUMBER}{padding}"))
}

/// A delivery as webstomp sends it, for runs without a STOMP server.
pub(crate) fn typical_delivery(body: usize) -> String {
    publication("/topic/bench", body).replacen(
        "SEND\n",
        "MESSAGE\nsubscription:0\nmessage-id:1-1\n",
        1,
    )
}

/// A message for a destination that nobody reads, whose frame has about `bytes` bytes.
pub(crate) fn large_message(destination: &str, bytes: usize) -> String {
    let headers = [("destination", destination), ("receipt", "large")];
    frame("SEND", &headers, &"x".repeat(bytes))
}

fn subscribe_frame(destination: &str, headers: &[(&str, &str)]) -> String {
    let mut frame = format!("SUBSCRIBE\nid:0\ndestination:{destination}\nreceipt:subscribed\n");
    for (name, value) in headers {
        let _ = writeln!(frame, "{name}:{value}");
    }
    frame + "\n\0"
}

fn frame(command: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut frame = format!("{command}\n");
    for (name, value) in headers {
        let _ = writeln!(frame, "{name}:{value}");
    }
    let _ = write!(frame, "content-length:{}\n\n{body}\0", body.len());
    frame
}

/// A connection before the load. Its methods block, and are simple rather than fast.
pub(crate) struct Setup {
    stream: TcpStream,
    is_websocket: bool,
}

impl Setup {
    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        if self.is_websocket {
            self.stream.write_all(&wire::message(text))
        } else {
            self.stream.write_all(text.as_bytes())
        }
    }

    /// Receives a text, which must begin with `start`.
    pub(crate) fn expect(&mut self, start: &str) -> io::Result<String> {
        let text = if self.is_websocket {
            self.receive_message()?
        } else {
            self.read_until(b"\0")?
        };
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        // Line feeds between frames are heart-beats.
        let text = text.trim_start_matches('\n');
        if text.starts_with(start) {
            return Ok(text.to_owned());
        }
        let text = format!("the server sent {text:?} instead of {start:?}…");
        Err(io::Error::other(text))
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Reads no byte of a later message.
    fn receive_message(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let missing = wire::missing(&bytes);
            let read = (&mut self.stream)
                .take(missing as u64)
                .read_to_end(&mut bytes)?;
            if read < missing {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut rest = bytes.as_slice();
            if let Some(payload) = wire::next_message(&mut rest)? {
                return Ok(payload.to_vec());
            }
            // A complete frame that is no message was a ping or a pong.
            let left = rest.len();
            bytes.drain(..bytes.len() - left);
        }
    }

    fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.push(self.read_byte()?);
        }
        Ok(bytes)
    }

    fn read_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_documented_sizes() {
        let url = "ws://127.0.0.1:1/ws";
        let target = Target::parse(url, Protocol::Stomp, Destinations::BROKER).unwrap();
        assert_eq!(JSON.len(), 64);
        let request = target.request(JSON.len()).len();
        assert!((210..245).contains(&request), "{request}");
        assert!(publication("/topic/a", 128).contains("content-length:128\n"));
    }

    #[test]
    fn a_url_names_address_host_and_path() {
        let parse = |url| Target::parse(url, Protocol::Stomp, Destinations::BROKER);
        let target = parse("ws://127.0.0.1:15674/a/b").unwrap();
        assert_eq!(target.address, "127.0.0.1:15674".parse().unwrap());
        assert_eq!(target.host, "127.0.0.1:15674");
        assert_eq!(target.path, "/a/b");
        assert_eq!(parse("ws://127.0.0.1").unwrap().address.port(), 80);
        assert!(!parse("tcp://127.0.0.1:61613").unwrap().is_websocket);
        assert!(parse("wss://127.0.0.1/").is_err());
        assert!(parse("127.0.0.1:1").is_err());
    }
}
