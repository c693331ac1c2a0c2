//! Single WebSocket frames (RFC 6455, section 5.2), for tests that send parts of messages or invalid messages.

use bytes::{Buf, Bytes, BytesMut};
use std::io::Cursor;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// The bit of the first byte that marks the last frame of a message.
pub const FIN: u8 = 0x80;
/// The opcode of every frame of a message except the first.
pub const CONTINUATION: u8 = 0;
/// The opcode of a text message.
pub const TEXT: u8 = 1;
/// The opcode of a binary message.
pub const BINARY: u8 = 2;
/// The opcode of a close.
pub const CLOSE: u8 = 8;
/// The opcode of a ping.
pub const PING: u8 = 9;
/// The opcode of a pong.
pub const PONG: u8 = 10;

/// The masking key. It is not zero, so that a test fails if the server does not unmask.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Creates a masked frame, as a client sends it.
///
/// `first` is the first byte: [`FIN`], the reserved bits and the opcode, for instance `FIN | TEXT`. Nothing is checked.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Creates the header of a masked frame that declares a payload of `length` bytes.
#[must_use]
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let header = FrameHeader {
        is_final: first & FIN != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode: OpCode::from(first & 0x0f),
        mask: Some(MASK),
    };
    let mut bytes = Vec::new();
    header.format(length, &mut bytes).unwrap();
    bytes
}

/// A message or control frame from a server.
#[derive(Debug)]
pub(crate) enum Message {
    Data(Bytes),
    Ping(Bytes),
    Pong,
    Close(Bytes),
}

/// Removes the first message from `input`; `None` if it is not complete.
pub(crate) fn take_message(input: &mut BytesMut) -> Option<Message> {
    let mut cursor = Cursor::new(&input[..]);
    let (header, length) = FrameHeader::parse(&mut cursor)
        .unwrap_or_else(|error| panic!("the server sent an invalid WebSocket frame: {error}"))?;
    let (start, length) = (
        usize::try_from(cursor.position()).unwrap(),
        usize::try_from(length).unwrap(),
    );
    assert!(
        header.is_final && header.mask.is_none(),
        "the server fragmented or masked a WebSocket frame: {header:?}"
    );
    if input.len() - start < length {
        return None;
    }
    input.advance(start);
    let payload = input.split_to(length).freeze();
    Some(match header.opcode {
        OpCode::Data(Data::Text | Data::Binary) => Message::Data(payload),
        OpCode::Control(Control::Ping) => Message::Ping(payload),
        OpCode::Control(Control::Pong) => Message::Pong,
        OpCode::Control(Control::Close) => Message::Close(payload),
        opcode => panic!("the server sent a WebSocket frame with opcode {opcode}"),
    })
}
