//! Expectations of a test about what its client receives.

use super::{Client, Received};
use std::time::Duration;
use stomp_frame::{Command, Frame};
use tokio::time::timeout;

/// The time that [`Client::expect_nothing`] waits. A paused clock advances only when all tasks wait. So after this
/// time, the server has done everything that it can do.
const SILENCE: Duration = Duration::from_millis(1);

impl Client {
    /// Waits for the next frame. Returns `None` if the connection ends instead, in any way.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        match self.next().await {
            Received::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    /// Expects a frame with this command as the next item.
    pub async fn expect(&mut self, command: Command) -> Frame {
        match self.next().await {
            Received::Frame(frame) if frame.command == command => frame,
            Received::Frame(frame) => {
                panic!("expected {command}, received {frame:?} {:?}", frame.body)
            }
            other => panic!("expected {command}, received {other:?}"),
        }
    }

    /// Expects a `MESSAGE` with this body as the next item.
    pub async fn expect_message(&mut self, body: &str) -> Frame {
        let message = self.expect(Command::Message).await;
        assert_eq!(message.body, body, "body of {message:?}");
        message
    }

    /// Expects a `MESSAGE` for this subscription with this body as the next item.
    pub async fn expect_message_for(&mut self, subscription: &str, body: &str) -> Frame {
        let message = self.expect_message(body).await;
        expect_header(&message, "subscription", subscription);
        message
    }

    /// Expects an `ERROR` with this code as the next item. The code is the value of the `message` header.
    pub async fn expect_error(&mut self, code: &str) -> Frame {
        let error = self.expect(Command::Error).await;
        expect_header(&error, "message", code);
        error
    }

    /// Adds a `receipt` header to a frame, sends it, and expects its `RECEIPT` as the next item.
    pub async fn receipt(&mut self, frame: Frame) {
        let id = self.request(frame).await;
        self.expect_receipt(&id).await;
    }

    /// Adds a `receipt` header to a frame, sends it, and expects an `ERROR` with this receipt and this code as the next
    /// item.
    pub async fn expect_refusal(&mut self, frame: Frame, code: &str) -> Frame {
        let id = self.request(frame).await;
        let error = self.expect_error(code).await;
        expect_header(&error, "receipt-id", &id);
        error
    }

    /// Adds a `receipt` header to a frame, sends it, and returns the value of the header.
    pub async fn request(&mut self, frame: Frame) -> String {
        self.receipts += 1;
        let id = format!("receipt-{}", self.receipts);
        self.send(frame.with_header("receipt", &id)).await;
        id
    }

    /// Expects the `RECEIPT` with this id as the next item.
    pub async fn expect_receipt(&mut self, id: &str) {
        let receipt = self.expect(Command::Receipt).await;
        expect_header(&receipt, "receipt-id", id);
    }

    /// Expects that nothing except heart-beats and pings arrives for 1 ms. This is meant for tests with a paused clock.
    pub async fn expect_nothing(&mut self) {
        self.expect_nothing_for(SILENCE).await;
    }

    /// Expects that nothing except heart-beats and pings arrives for `time`.
    pub async fn expect_nothing_for(&mut self, time: Duration) {
        if let Ok(received) = timeout(time, self.next()).await {
            panic!("expected nothing, received {received:?}");
        }
    }

    /// Expects the end of the stream as the next item. Over a WebSocket, a close with any code may precede it.
    pub async fn expect_end(&mut self) {
        let mut received = self.next().await;
        if matches!(received, Received::Close(_)) {
            received = self.next().await;
        }
        assert!(
            matches!(received, Received::End),
            "expected the end, received {received:?}"
        );
    }

    /// Expects a WebSocket close with this status code, and then the end of the stream. Over a byte stream, which has
    /// no codes, expects only the end.
    pub async fn expect_close(&mut self, code: u16) {
        if self.is_websocket {
            let received = self.next().await;
            assert!(
                matches!(received, Received::Close(Some(found)) if found == code),
                "expected a close with {code}, received {received:?}"
            );
        }
        self.expect_end().await;
    }
}

fn expect_header(frame: &Frame, name: &str, value: &str) {
    assert_eq!(
        frame.headers.get(name),
        Some(value),
        "header {name} of {frame:?} {:?}",
        frame.body
    );
}
