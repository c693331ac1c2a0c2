//! The messages that each kind of server expects.

use crate::{client::Client, server::Server};
use std::{fmt::Write, io};

const STOMP_PATH: &str = "/stomp";
const JSON: &str = r#"{"id":4711,"symbol":"WEBS","bid":101.25,"ask":101.5,"size":1000}"#;
const LARGER_JSON: &str = r#"{"id":4711,"symbol":"WEBS","bid":101.25,"ask":101.5,"size":1000,"venue":"XETR","time":"2026-01-02T03:04:05.678Z","depth":"none"}"#;

/// The protocol that a server speaks over WebSocket.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Dialect {
    /// The protocol of the baseline, in which the first message selects the role of the connection.
    Raw,
    /// STOMP with a session.
    Stomp,
    /// STOMP frames without a session.
    Frames,
}

impl Server {
    /// Connects a client whose messages are answered one by one.
    pub(crate) async fn requester(&self) -> io::Result<Client> {
        match self.dialect {
            Dialect::Raw => Ok(self.select_role("echo").await?.counting(b'S')),
            Dialect::Stomp => Ok(self.connect().await?.counting(b'R')),
            Dialect::Frames => Ok(Client::open(self.address, "/").await?.counting(b'S')),
        }
    }

    /// Connects a client that receives published messages.
    pub(crate) async fn subscriber(&self) -> io::Result<Client> {
        let client = match self.dialect {
            Dialect::Raw | Dialect::Frames => self.select_role("fan").await?,
            Dialect::Stomp => {
                let mut client = self.connect().await?;
                client
                    .send_text("SUBSCRIBE\nid:0\ndestination:/fan\nreceipt:sub\n\n\0")
                    .await?;
                client.expect("RECEIPT\n").await?;
                client
            }
        };
        Ok(client.counting(b'M'))
    }

    pub(crate) async fn publisher(&self) -> io::Result<Client> {
        match self.dialect {
            Dialect::Raw | Dialect::Frames => self.select_role("pub").await,
            Dialect::Stomp => self.connect().await,
        }
    }

    async fn select_role(&self, role: &str) -> io::Result<Client> {
        let mut client = Client::open(self.address, "/").await?;
        client.send_text(role).await?;
        client.expect(role).await?;
        Ok(client)
    }

    async fn connect(&self) -> io::Result<Client> {
        let mut client = Client::open(self.address, STOMP_PATH).await?;
        client
            .send_text("CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0")
            .await?;
        client.expect("CONNECTED\n").await?;
        Ok(client)
    }
}

/// A typical request of an application, with five headers and a small JSON body.
pub(crate) fn request(number: usize) -> String {
    let receipt = format!("receipt-{number:04}");
    let headers = [
        ("destination", "/echo"),
        ("receipt", &receipt),
        ("content-type", "application/json"),
        ("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("tenant", "north-europe-7"),
    ];
    frame("SEND", &headers, JSON)
}

/// Returns a request whose frame has a length of `bytes`.
pub(crate) fn large_request(bytes: usize) -> String {
    let frame = |body: usize| frame("SEND", &[("destination", "/echo")], &"x".repeat(body));
    // The length of the head depends only on the number of digits of the body's length.
    frame(bytes - (frame(bytes).len() - bytes))
}

/// The frame that the publisher sends to webstomp.
pub(crate) fn publication() -> String {
    let headers = [
        ("destination", "/fan"),
        ("content-type", "application/json"),
    ];
    frame("SEND", &headers, LARGER_JSON)
}

/// A delivery as webstomp would send it, for comparisons without a webstomp server.
pub(crate) fn sample_delivery() -> String {
    let headers = [
        ("subscription", "0"),
        ("message-id", "100000"),
        ("destination", "/fan"),
        ("content-type", "application/json"),
    ];
    frame("MESSAGE", &headers, LARGER_JSON)
}

fn frame(command: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut frame = format!("{command}\n");
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = writeln!(frame, "{name}:{value}");
    }
    let _ = write!(frame, "content-length:{}\n\n{body}\0", body.len());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_have_the_documented_sizes() {
        assert_eq!((JSON.len(), LARGER_JSON.len()), (64, 128));
        assert_eq!(large_request(64 << 10).len(), 64 << 10);
        assert!(
            (210..230).contains(&request(0).len()),
            "{}",
            request(0).len()
        );
    }
}
