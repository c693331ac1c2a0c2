//! Invalid input of all kinds, and functions that send it and check the answer: an `ERROR`, then a close.

#![allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    reason = "no test needs all of it; a helper that fails is a test that fails"
)]

mod app;
mod frames;
mod websocket;

pub(crate) use app::TestApp;
pub(crate) use frames::{INVALID_FRAMES, InvalidFrame};
pub(crate) use websocket::{Violation, violations};

use crate::transports::{Server, Transport};
use stomp_testing::{
    Client, Rng,
    websocket::{BINARY, CONTINUATION, FIN, frame},
};
use tokio::task::yield_now;
use webstomp::frame::{Command, Version};

/// A frame that must not be handled, because it follows an invalid one.
const FORBIDDEN: &[u8] = b"\nSEND\ndestination:/forbidden\nreceipt:no\n\n\0";

/// Sends an invalid frame in a new session, and checks the answer.
pub(crate) async fn send_invalid_frame(
    server: &Server,
    transport: Transport,
    frame: &InvalidFrame,
    version: Option<Version>,
    rng: &mut Rng,
) {
    let mut client = server.open(transport, rng.usize(..1_000)).await;
    if let Some(version) = version {
        client.connect(version).await;
        for _ in 0..rng.usize(..3) {
            let valid = stomp_testing::frames::send("/sink", "fine");
            client.receipt(valid).await;
        }
    }
    let mut received = Vec::new();
    for (setup, messages) in frame.setup {
        client.send_bytes(named(setup.into(), &received)).await;
        for _ in 0..messages {
            let message = client.expect(Command::Message).await;
            let id = message
                .headers
                .get("ack")
                .or(message.headers.get("message-id"));
            received.push(id.unwrap_or_default().to_owned());
        }
    }
    let bytes = [&named(frame.bytes(), &received)[..], FORBIDDEN].concat();
    if rng.bool() {
        client.send_bytes(&bytes).await;
    } else {
        send_in_pieces(&mut client, transport.is_websocket(), &bytes, rng).await;
    }
    let error = client.expect_error(frame.code).await;
    assert_eq!(
        error.headers.get("receipt-id"),
        frame.receipt_id,
        "{:?}",
        error.body
    );
    assert!(!error.body.is_empty(), "the ERROR has a text for people");
    client.expect_close(frame.close).await;
}

/// Replaces `{1}` by the id by which the client acknowledges the first message that it has received, and so on.
fn named(bytes: Vec<u8>, received: &[String]) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else {
        return bytes;
    };
    let replace = |text: String, (index, id): (usize, &String)| {
        text.replace(&format!("{{{}}}", index + 1), id)
    };
    received.iter().enumerate().fold(text, replace).into_bytes()
}

/// Sends bytes in random pieces: in several writes, messages, or fragments of one message.
async fn send_in_pieces(client: &mut Client, is_websocket: bool, bytes: &[u8], rng: &mut Rng) {
    let (pieces, is_one_message) = (rng.usize(1..5), rng.bool());
    let mut rest = bytes;
    for number in 1..=pieces {
        let is_last = number == pieces;
        let at = if is_last {
            rest.len()
        } else {
            rng.usize(..=rest.len())
        };
        let (piece, after) = rest.split_at(at);
        rest = after;
        if is_websocket {
            let opcode = if is_one_message && number > 1 {
                CONTINUATION
            } else {
                BINARY
            };
            let fin = if is_last || !is_one_message { FIN } else { 0 };
            client.send_raw(frame(fin | opcode, piece)).await;
        } else {
            client.send_raw(piece).await;
        }
        // Lets the server read this piece before the next.
        yield_now().await;
    }
}

/// Sends a violation of the WebSocket protocol in a new session, and checks the answer.
pub(crate) async fn send_violation(
    server: &Server,
    transport: Transport,
    violation: &Violation,
    number: usize,
) {
    let mut client = server.open(transport, number).await;
    client.connect(Version::V1_2).await;
    client.send_raw(&violation.bytes).await;
    if let Some(code) = violation.code {
        client.expect_error(code).await;
    }
    client.expect_close(violation.close).await;
}
