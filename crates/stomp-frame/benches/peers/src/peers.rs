//! Adapters for the other codecs. Each codec receives its input in the way that its API requires.

use crate::{sides::Repeat, workload::Workload};
use bytes::{Bytes, BytesMut};
use std::hint::black_box;
use stomp_parser::{client::ClientFrame, server::ServerFrame};
use stomp_rs::protocol::{ClientCommand, FrameParser, ServerCommand, StompMessage};
use tokio_stomp_2::client::ClientCodec;
use tokio_util::codec::Decoder;

/// A function that decodes a workload with one codec. The error is the reason why this codec cannot decode it.
type Decodes = fn(Workload) -> Result<Repeat, &'static str>;

pub(crate) const PEERS: [(&str, Decodes); 3] = [
    ("stomp-parser 0.8.0", stomp_parser),
    ("stomp-rs 0.0.8", stomp_rs),
    ("tokio-stomp-2 0.3.0", tokio_stomp_2),
];

pub(crate) const DIFFERENCES: &str = "\
stomp-parser and tokio-stomp-2 leave escapes to the caller, stomp-rs cuts values at the second colon, knows no escapes \
and ignores content-length; none of them has limits.";

/// Decodes one whole frame from an owned buffer.
fn stomp_parser(Workload { pieces, .. }: Workload) -> Result<Repeat, &'static str> {
    let [frame] = <[Bytes; 1]>::try_from(pieces).map_err(|_| "decodes only whole frames")?;
    let is_sent = is_sent(&frame);
    let decode = move || {
        let owned = black_box(&frame).to_vec();
        if is_sent {
            black_box(ClientFrame::try_from(owned).expect("a frame"));
        } else {
            black_box(ServerFrame::try_from(owned).expect("a frame"));
        }
    };
    Ok(Box::new(move |times| (0..times).for_each(|_| decode())))
}

/// Decodes pieces of any size. The type of the parser decides whether it decodes frames of clients or of servers.
fn stomp_rs(Workload { pieces, frames }: Workload) -> Result<Repeat, &'static str> {
    fn repeat<C: stomp_rs::protocol::Command + Clone + 'static>(
        pieces: Vec<Bytes>,
        frames: usize,
    ) -> Repeat {
        let mut parser = FrameParser::<C>::new();
        Box::new(move |times| {
            for _ in 0..times {
                let mut found = 0;
                for piece in black_box(&pieces) {
                    let messages = parser.parse(piece).expect("only frames");
                    found += messages
                        .iter()
                        .filter(|message| matches!(message, StompMessage::Frame(_)))
                        .count();
                    black_box(messages);
                }
                assert_eq!(found, frames);
            }
        })
    }
    Ok(if is_sent(&pieces[0]) {
        repeat::<ClientCommand>(pieces, frames)
    } else {
        repeat::<ServerCommand>(pieces, frames)
    })
}

/// Decodes frames from a buffer, as tokio's `Framed` does. Supports only frames that a server sends.
fn tokio_stomp_2(Workload { pieces, frames }: Workload) -> Result<Repeat, &'static str> {
    if is_sent(&pieces[0]) {
        return Err("the codec of a client does not decode SEND");
    }
    let mut buffer = BytesMut::new();
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let mut found = 0;
            for piece in black_box(&pieces) {
                buffer.extend_from_slice(piece);
                while let Some(message) = ClientCodec.decode(&mut buffer).expect("only frames") {
                    black_box(message);
                    found += 1;
                }
            }
            assert_eq!(found, frames);
        }
    }))
}

fn is_sent(frame: &[u8]) -> bool {
    frame.starts_with(b"SEND\n")
}
