//! Functions that create the frames that nearly every test sends.

use stomp_frame::{Command, Frame, Version};

/// A `CONNECT` frame whose `accept-version` is `version`.
#[must_use]
pub fn connect(version: Version) -> Frame {
    Frame::new(Command::Connect)
        .with_header("accept-version", version.as_str())
        .with_header("host", "localhost")
}

/// A `SEND` frame.
#[must_use]
pub fn send(destination: &str, body: &str) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", destination)
        .with_body(body.to_owned())
}

/// A `SUBSCRIBE` frame with the default acknowledgement mode, `auto`.
#[must_use]
pub fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with_header("id", id)
        .with_header("destination", destination)
}

/// A `SUBSCRIBE` frame with an acknowledgement mode: `auto`, `client` or `client-individual`.
#[must_use]
pub fn subscribe_with_ack(id: &str, destination: &str, mode: &str) -> Frame {
    subscribe(id, destination).with_header("ack", mode)
}

/// An `UNSUBSCRIBE` frame.
#[must_use]
pub fn unsubscribe(id: &str) -> Frame {
    Frame::new(Command::Unsubscribe).with_header("id", id)
}

/// The `ACK` frame (STOMP 1.2) for a `MESSAGE` that has an `ack` header.
#[must_use]
pub fn ack(message: &Frame) -> Frame {
    acknowledge(Command::Ack, message)
}

/// The `NACK` frame (STOMP 1.2) for a `MESSAGE` that has an `ack` header.
#[must_use]
pub fn nack(message: &Frame) -> Frame {
    acknowledge(Command::Nack, message)
}

fn acknowledge(command: Command, message: &Frame) -> Frame {
    match message.headers.get("ack") {
        Some(id) => Frame::new(command).with_header("id", id),
        None => panic!("no ack header in {message:?}"),
    }
}

/// A `BEGIN`, `COMMIT` or `ABORT` frame.
#[must_use]
pub fn transaction(command: Command, transaction: &str) -> Frame {
    Frame::new(command).with_header("transaction", transaction)
}

/// A `DISCONNECT` frame.
#[must_use]
pub fn disconnect() -> Frame {
    Frame::new(Command::Disconnect)
}
