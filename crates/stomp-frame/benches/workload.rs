//! What is decoded and encoded.

use bytes::Bytes;
use std::fmt::Write;
use stomp_frame::{Frame, Version, header};

/// What TCP mostly brings at once over an Ethernet.
const SEGMENT: usize = 1_460;

/// Frames, as they arrive.
pub(crate) struct Workload {
    /// Fed one after the other.
    pub(crate) pieces: Vec<Bytes>,
    /// How many frames the pieces are together.
    pub(crate) frames: usize,
}

impl Workload {
    /// One frame at once, as in a WebSocket message.
    fn whole(frame: String) -> Workload {
        Workload {
            pieces: vec![frame.into()],
            frames: 1,
        }
    }

    fn pieces_of(size: usize, stream: Bytes, frames: usize) -> Workload {
        let starts = (0..stream.len()).step_by(size);
        Workload {
            pieces: starts
                .map(|at| stream.slice(at..stream.len().min(at + size)))
                .collect(),
            frames,
        }
    }

    /// All bytes.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// The frame that the first piece is, as an application would make it: the encoder states the length.
    pub(crate) fn frame(&self) -> Frame {
        let decoded = Frame::parse(self.pieces[0].clone(), Version::V1_2).expect("a whole frame");
        let headers = decoded
            .headers
            .iter()
            .filter(|(name, _)| *name != header::CONTENT_LENGTH)
            .collect();
        Frame { headers, ..decoded }
    }
}

/// 5 headers and 64 bytes of JSON: what a browser sends.
pub(crate) fn small() -> Workload {
    Workload::whole(small_send(4711))
}

/// 12 headers, three of them escaped, and 1 KiB that ends where its NUL is: what a broker delivers.
pub(crate) fn escaped() -> Workload {
    let head = r"MESSAGE
subscription:sub-0
message-id:node-1\c4711
destination:/topic/rooms/42
content-type:text/plain;charset=utf-8
ack:sub-0-4711
correlation-id:0af7651916cd43dd
reply-to:/queue/answers/ann
sent:2026-11-22T10\c15\c30Z
title:Minutes\c noon\nBring \\ the map
priority:4
persistent:true
redelivered:false
";
    Workload::whole(format!("{head}\n{}\0", text(1 << 10)))
}

/// 64 KiB whose length is stated.
pub(crate) fn large() -> Workload {
    Workload::whole(message(64 << 10, true))
}

/// 10,000 frames like [`small`], of slightly different lengths, cut where TCP cuts.
pub(crate) fn stream_of_small() -> Workload {
    let count = 10_000;
    let stream: String = (0..count).map(small_send).collect();
    Workload::pieces_of(SEGMENT, stream.into(), count)
}

/// One frame of 1 MiB, cut where TCP cuts.
pub(crate) fn huge() -> Workload {
    Workload::pieces_of(SEGMENT, message(1 << 20, true).into(), 1)
}

/// A frame with a body of `bytes`, which comes byte by byte. They are static, so that counting references to them
/// is not most of the work.
pub(crate) fn dribbled(bytes: usize, length_stated: bool) -> Workload {
    Workload::pieces_of(
        1,
        Bytes::from_static(message(bytes, length_stated).leak().as_bytes()),
        1,
    )
}

fn small_send(number: usize) -> String {
    let body = r#"{"user":"ann","text":"Shall we meet at noon by the old bridge?"}"#;
    let length = body.len();
    format!(
        "SEND\ndestination:/app/rooms/42/messages\ncontent-type:application/json\ncontent-length:{length}\n\
         receipt:message-{number}\ntrace-id:0af7651916cd43dd8448eb211c80319c\n\n{body}\0"
    )
}

fn message(bytes: usize, length_stated: bool) -> String {
    let mut frame =
        String::from("MESSAGE\nsubscription:sub-0\nmessage-id:4711\ndestination:/topic/maps\n");
    if length_stated {
        // Writing to a String does not fail.
        let _ = writeln!(frame, "{}:{bytes}", header::CONTENT_LENGTH);
    }
    frame + "\n" + &text(bytes) + "\0"
}

/// Words without a NUL, so that those who ignore lengths can be measured too.
fn text(bytes: usize) -> String {
    "The quick brown fox jumps over the lazy dog. "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}
