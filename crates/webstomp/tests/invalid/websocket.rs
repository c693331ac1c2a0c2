//! Violations of the WebSocket protocol (RFC 6455), and the answer that each must get.

use stomp_testing::websocket::{BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT, frame, header};

/// Bytes that violate the WebSocket protocol.
pub(crate) struct Violation {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The code of the `ERROR`, if the server sends one.
    pub(crate) code: Option<&'static str>,
    /// The status code of the close.
    pub(crate) close: u16,
}

fn violation(name: &str, code: Option<&'static str>, close: u16, frames: &[Vec<u8>]) -> Violation {
    Violation {
        name: name.to_owned(),
        bytes: frames.concat(),
        code,
        close,
    }
}

fn malformed(name: &str, frames: &[Vec<u8>]) -> Violation {
    violation(name, Some("malformed-message"), 1002, frames)
}

fn not_utf8(name: &str, frames: &[Vec<u8>]) -> Violation {
    violation(name, Some("malformed-message"), 1007, frames)
}

fn too_large(name: &str, frames: &[Vec<u8>]) -> Violation {
    violation(name, Some("too-large"), 1009, frames)
}

fn text(payload: &[u8]) -> Vec<u8> {
    frame(FIN | TEXT, payload)
}

/// All violations.
pub(crate) fn violations() -> Vec<Violation> {
    let mut all = malformed_frames();
    all.extend(reserved_opcodes());
    all.extend(invalid_text());
    all.extend(overlong_messages());
    all
}

fn malformed_frames() -> Vec<Violation> {
    let unmasked = vec![FIN | TEXT, 1, b'\n'];
    let reserved = |bit: u8| frame(FIN | bit | TEXT, b"\n");
    vec![
        malformed("a frame without a mask", &[unmasked]),
        malformed("RSV1 as of compression", &[reserved(0x40)]),
        malformed("RSV2", &[reserved(0x20)]),
        malformed("RSV3", &[reserved(0x10)]),
        malformed("a fragment of a ping", &[frame(PING, b"")]),
        malformed("an overlong ping", &[frame(FIN | PING, &[0; 126])]),
        malformed(
            "a continuation without a start",
            &[frame(FIN | CONTINUATION, b"")],
        ),
        malformed(
            "a message inside of another",
            &[frame(TEXT, b"SEND"), text(b"\n")],
        ),
        malformed("a close of one byte", &[frame(FIN | CLOSE, &[3])]),
        violation(
            "a close with an invalid code",
            None,
            1002,
            &[frame(FIN | CLOSE, &999u16.to_be_bytes())],
        ),
    ]
}

fn reserved_opcodes() -> impl Iterator<Item = Violation> {
    [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf]
        .map(|opcode| {
            let name = format!("the reserved opcode {opcode}");
            malformed(&name, &[frame(FIN | opcode, b"")])
        })
        .into_iter()
}

fn invalid_text() -> Vec<Violation> {
    vec![
        not_utf8("text that is not UTF-8", &[text(b"SEND\xff")]),
        not_utf8("text that ends within a character", &[text(b"\xc3")]),
        not_utf8(
            "fragments that are not UTF-8",
            &[frame(TEXT, b"\xc3"), frame(FIN | CONTINUATION, b"(")],
        ),
        not_utf8("text with a surrogate", &[text(b"\xed\xa0\x80")]),
    ]
}

/// Messages above the limit of 4,096 + 1,024 bytes, which is the sum of the limits of a frame and of its head.
fn overlong_messages() -> Vec<Violation> {
    let declared = |length: u64| header(FIN | BINARY, length);
    vec![
        too_large(
            "an overlong message",
            &[frame(FIN | BINARY, &[b'\n'; 5_121])],
        ),
        too_large(
            "a frame that declares an overlong message",
            &[declared(5_121)],
        ),
        too_large(
            "a frame that declares the greatest length",
            &[declared(i64::MAX as u64)],
        ),
        too_large(
            "large fragments of an overlong message",
            &[
                frame(BINARY, &[b'\n'; 4_096]),
                frame(CONTINUATION, &[b'\n'; 1_025]),
            ],
        ),
        too_large(
            "small fragments of an overlong message",
            &[
                frame(BINARY, b"\n"),
                frame(CONTINUATION, b"\n\n").repeat(2_561),
            ],
        ),
    ]
}
