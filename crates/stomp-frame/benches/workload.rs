//! The frames that the benches decode and encode.

use bytes::Bytes;
use std::fmt::Write;
use stomp_frame::{Frame, Version, header};

/// The usual payload of a TCP segment over Ethernet, in bytes.
const SEGMENT: usize = 1_460;

/// A stream of frames, in the pieces in which it arrives.
pub(crate) struct Workload {
    /// The pieces, in order.
    pub(crate) pieces: Vec<Bytes>,
    /// The number of frames in all pieces.
    pub(crate) frames: usize,
}

impl Workload {
    /// One frame in one piece, as in a WebSocket message.
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

    /// Bytes in all pieces.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// The frame in the first piece, as an application builds it: without `content-length`, which the encoder adds.
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

/// A frame with 5 headers and 64 bytes of JSON, as a browser sends it.
pub(crate) fn small() -> Workload {
    Workload::whole(small_send(4711))
}

/// A frame with 12 headers, three of them escaped, and a body of 1 KiB without `content-length`, as a broker delivers
/// it.
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

/// A frame with a body of 64 KiB and `content-length`.
pub(crate) fn large() -> Workload {
    Workload::whole(message(64 << 10, true))
}

/// 10,000 frames like [`small`], of slightly different lengths, in pieces of [`SEGMENT`] bytes.
pub(crate) fn stream_of_small() -> Workload {
    let count = 10_000;
    let stream: String = (0..count).map(small_send).collect();
    Workload::pieces_of(SEGMENT, stream.into(), count)
}

/// One frame of 1 MiB, in pieces of [`SEGMENT`] bytes.
pub(crate) fn huge() -> Workload {
    Workload::pieces_of(SEGMENT, message(1 << 20, true).into(), 1)
}

/// A frame with a body of `bytes` bytes that arrives byte by byte. The bytes are static, because most of the work would
/// be reference counting otherwise.
pub(crate) fn dribbled(bytes: usize, has_length: bool) -> Workload {
    Workload::pieces_of(
        1,
        Bytes::from_static(message(bytes, has_length).leak().as_bytes()),
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

fn message(bytes: usize, has_length: bool) -> String {
    let mut frame =
        String::from("MESSAGE\nsubscription:sub-0\nmessage-id:4711\ndestination:/topic/maps\n");
    if has_length {
        // Writing to a String does not fail.
        let _ = writeln!(frame, "{}:{bytes}", header::CONTENT_LENGTH);
    }
    frame + "\n" + &text(bytes) + "\0"
}

/// Text without a NUL, so that codecs that ignore `content-length` can be measured too.
fn text(bytes: usize) -> String {
    "The quick brown fox jumps over the lazy dog. "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}
