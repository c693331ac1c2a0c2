//! Generators of streams with and without errors.

use super::parser::COMMANDS;
use proptest::{
    bool::weighted,
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use std::ops::Range;
use stomp_frame::Limits;

/// Generates one to three frames, and changes some of their bytes.
pub(crate) fn mutated_stream() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop_oneof![1 => Just(Vec::new()), 3 => vec(change(), 1..4)];
    (vec(frame(), 1..4), changes).prop_map(|(frames, changes)| {
        let mut bytes = frames.concat();
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    })
}

#[derive(Debug, Clone)]
enum Change {
    Replace(Index, u8),
    Insert(Index, u8),
    Delete(Index),
    /// Inserts one of the [`LINES`] after an LF.
    Splice(Index, &'static [u8]),
    Truncate(Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            _ if bytes.is_empty() => {}
            Change::Replace(at, byte) => *at.get_mut(bytes) = *byte,
            Change::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Change::Delete(at) => drop(bytes.remove(at.index(bytes.len()))),
            Change::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Change::Splice(at, line) => {
                let starts: Vec<usize> = (1..=bytes.len())
                    .filter(|at| bytes[at - 1] == b'\n')
                    .collect();
                if !starts.is_empty() {
                    let start = *at.get(&starts);
                    bytes.splice(start..start, line.iter().copied());
                }
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let byte = || prop_oneof![3 => select(&b"\0\r\n:\\ ncrt05\xc3\xa9\xffS"[..]), 1 => any::<u8>()];
    prop_oneof![
        2 => (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        2 => (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        2 => any::<Index>().prop_map(Change::Delete),
        3 => (any::<Index>(), select(LINES)).prop_map(|(at, line)| Change::Splice(at, line)),
        1 => any::<Index>().prop_map(Change::Truncate),
    ]
}

/// Lines to insert: lines with a special meaning, invalid lines, and whole frames.
const LINES: &[&[u8]] = &[
    b"content-length:0\n",
    b"content-length:1\n",
    b"content-length:3\n",
    b"content-length:0000000004\r\n",
    b"content-length:00000000004\n",
    b"content-length:40\n",
    b"content-length:4000000000\n",
    b"content-length:\n",
    b"content-length:+3\n",
    b"content-length: 3\n",
    b"receipt: r \n",
    b"accept-version: 1.0 \n",
    b"accept-version:1.0,1.2\n",
    b"content-length:3\\n\n",
    b"Content-Length:x\n",
    b"x:\\t\n",
    b"x:\\r\n",
    b"x\\r\\n\\c\\\\:\\r\\n\\c\\\\\n",
    b"x:\\\r\n",
    b"\\:x\n",
    b":x\n",
    b"x\n",
    b"x:\n",
    b"x:y:z\r\n",
    b"x:y\rz\n",
    b"x:y\r\r\n",
    b"\xc3\xa9:\xc3\xa9\n",
    b"x:\xc3\n",
    b"x:\0\n",
    b"\n",
    b"\r\n",
    b"SUBSCRIBE\n\nbody\0\n",
    b"CONNECT\nx:\\t\n\n\0",
];

/// Generates the bytes of a frame, followed by EOLs. The frame is valid in each version, except that one in ten may
/// have a forbidden body.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let texts = &[
        "a",
        "b",
        "destination",
        "/queue/a",
        "receipt",
        "7",
        "é",
        " ",
        "\\\\",
        "\\n",
        "x\\cy",
        "foo bar baz",
    ][..];
    let header = (select(texts), prop_oneof![select(texts), Just("")]);
    let headers = prop_oneof![9 => vec(header.clone(), 0..5), 1 => vec(header, 7..12)];
    let body = prop_oneof![
        2 => Just(Vec::new()),
        1 => vec(1..=255u8, 1..30),
        1 => select(BODIES).prop_map(<[u8]>::to_vec),
    ];
    let eols = select(&["", "", "\n", "\r\n", "\n\n\r\n"][..]);
    let text = (
        select(&COMMANDS[..]),
        headers,
        select(&["\n", "\n", "\r\n"][..]),
    );
    let choices = (any::<bool>(), weighted(0.9));
    (text, body, choices, eols).prop_map(
        |((command, headers, eol), mut body, (has_length, is_valid), eols)| {
            let mut bytes = format!("{command}{eol}");
            for (name, value) in headers {
                bytes += &format!("{name}:{value}{eol}");
            }
            if is_valid && !["SEND", "MESSAGE", "ERROR"].contains(&command) {
                body.clear();
            }
            if body.contains(&0) || has_length {
                bytes += &format!("content-length:{}{eol}", body.len());
            }
            [
                bytes.as_bytes(),
                eol.as_bytes(),
                &body,
                b"\0",
                eols.as_bytes(),
            ]
            .concat()
        },
    )
}

const BODIES: &[&[u8]] = &[b"\0", b"a\0b\0", b"\n\nSEND\n\n\0", b"\r\n\0\n"];

/// Generates limits, most of which no frame reaches. `max_line_bytes` is at least the length of the longest command.
pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    let limit = |few: Range<usize>| prop_oneof![3 => Just(usize::MAX), 1 => few];
    (limit(7..150), limit(6..100), limit(11..40), limit(0..8)).prop_map(
        |(frame, head, line, headers)| {
            Limits::default()
                .max_frame_bytes(frame)
                .max_head_bytes(head)
                .max_line_bytes(line)
                .max_headers(headers)
        },
    )
}
