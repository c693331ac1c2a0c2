//! A second decoder, slow and obvious, written from the specification; and the [`Decoder`] agrees with it on whatever
//! it is fed.
//!
//! It looks at one byte after the other of a buffer that holds everything, and names all that is wrong with a head,
//! and with a body, where the [`Decoder`] stops at what it meets first. So they agree on the frames, on whether there
//! is an error, on its kind where only one thing is wrong, and on the receipt. In pieces, all of it is the same.
//!
//! Where the specification leaves a choice: CR LF ends a line in every version, another CR is a fault; a colon in a
//! value is data; a head is UTF-8 and holds no NUL; a body is allowed on `SEND`, `MESSAGE` and `ERROR`, and ignored on
//! `SUBSCRIBE` in 1.0; `content-length` is one to ten digits.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

use bytes::Bytes;
use proptest::{
    bool::weighted,
    collection::vec,
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use std::{collections::BTreeMap, env, ops::Range};
use stomp_frame::{
    DecodeError, DecodeErrorKind as Kind, Decoded, Decoder, Limits,
    Version::{self, V1_0, V1_2},
};

/// What there is in some bytes.
#[derive(Debug, Default)]
struct Reading {
    frames: Vec<Plain>,
    /// All that is wrong with what follows the frames.
    faults: Vec<Kind>,
    /// What the `receipt` header of that says.
    receipt: Option<String>,
    /// Whether it has to be refused now. Of a frame that is cut short, some faults may also be told later.
    is_refused: bool,
}

/// A frame, in the plainest types there are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    command: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Reads everything.
///
/// frame-stream = 1*frame, with *( EOL ) between them
fn read(version: Version, limits: &Limits, bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut rest = bytes;
    loop {
        while rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            rest = if rest[0] == b'\n' {
                &rest[1..]
            } else {
                &rest[2..]
            };
        }
        match read_frame(version, limits, rest, &mut reading) {
            Some(length) => rest = &rest[length..],
            None => return reading,
        }
    }
}

/// Reads the frame that `bytes` begin with, and says how long it is: `None` if it is faulty or cut short.
///
/// frame = command EOL *( header EOL ) EOL *OCTET NULL
fn read_frame(
    version: Version,
    limits: &Limits,
    bytes: &[u8],
    reading: &mut Reading,
) -> Option<usize> {
    let head = Head::read(bytes);
    reading.faults = head.faults(limits);
    reading.receipt = head
        .first("receipt")
        .and_then(|value| head.text(version, value).ok());
    let Some(body_start) = head.end else {
        reading.is_refused = reading
            .faults
            .iter()
            .any(|kind| kind.is_limit() || *kind == Kind::NulInHead);
        return None;
    };
    reading.is_refused = !reading.faults.is_empty();
    if reading.is_refused {
        return None;
    }

    // As many bytes as stated, else up to the first NUL.
    let length = head
        .first("content-length")
        .map(|digits| number(&digits).unwrap());
    let rest = &bytes[body_start..];
    let length = length.unwrap_or_else(|| {
        rest.iter()
            .position(|byte| *byte == 0)
            .unwrap_or(rest.len())
    });
    let is_body_allowed = matches!(head.command(), b"SEND" | b"MESSAGE" | b"ERROR");
    let is_body_ignored = version == V1_0 && head.command() == b"SUBSCRIBE";
    if length > 0 && !is_body_allowed && !is_body_ignored {
        reading.faults.push(Kind::UnexpectedBody);
    }
    if body_start + length + 1 > limits.max_frame_bytes {
        reading
            .faults
            .push(Kind::FrameTooLong(limits.max_frame_bytes));
        reading.is_refused = true;
    }
    if rest.get(length).is_some_and(|byte| *byte != 0) {
        reading.faults.push(Kind::MissingNul);
    }
    let headers = head.texts(version, &mut reading.faults);
    if rest.len() <= length {
        return None;
    }
    reading.is_refused = !reading.faults.is_empty();
    if reading.is_refused {
        return None;
    }
    let command = String::from_utf8(head.command().to_vec()).unwrap();
    let body = if is_body_allowed {
        rest[..length].to_vec()
    } else {
        Vec::new()
    };
    reading.frames.push(Plain {
        command,
        headers: headers.unwrap(),
        body,
    });
    Some(body_start + length + 1)
}

/// The lines of a head without their EOLs.
#[derive(Debug, Default)]
struct Head {
    /// Those that are ended, without the empty one.
    lines: Vec<Vec<u8>>,
    /// The one that is not.
    last: Vec<u8>,
    /// Bytes up to where the bytes end, or the head does, or to a NUL.
    length: usize,
    /// Where the body begins, if the empty line was there.
    end: Option<usize>,
    has_nul: bool,
}

impl Head {
    /// EOL = [CR] LF
    fn read(bytes: &[u8]) -> Head {
        let mut head = Head::default();
        for byte in bytes {
            if *byte == 0 {
                head.has_nul = true;
                break;
            }
            head.length += 1;
            if *byte != b'\n' {
                head.last.push(*byte);
                continue;
            }
            let line = without_cr(&std::mem::take(&mut head.last));
            if line.is_empty() {
                head.end = Some(head.length);
                break;
            }
            head.lines.push(line);
        }
        head.last = without_cr(&head.last);
        head
    }

    /// The command, or what there is of it.
    fn command(&self) -> &[u8] {
        self.lines.first().unwrap_or(&self.last)
    }

    /// header = header-name ":" header-value
    fn headers(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let split = |line: &Vec<u8>| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line[..colon].to_vec(), line[colon + 1..].to_vec()))
        };
        self.lines.iter().skip(1).filter_map(split).collect()
    }

    /// The first value of `name`.
    fn first(&self, name: &str) -> Option<Vec<u8>> {
        self.headers()
            .into_iter()
            .find(|header| header.0 == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// What is wrong, apart from the text.
    fn faults(&self, limits: &Limits) -> Vec<Kind> {
        let mut faults = Vec::new();
        let mut check = |is_fault: bool, kind: Kind| faults.extend(is_fault.then_some(kind));
        let is_command = |word: &&str| match self.lines.first() {
            Some(command) => command == word.as_bytes(),
            None => word.as_bytes().starts_with(&self.last),
        };
        check(!COMMANDS.iter().any(is_command), Kind::UnknownCommand);
        check(self.has_nul, Kind::NulInHead);
        check(
            self.lines.iter().any(|line| line.contains(&b'\r')),
            Kind::BareCarriageReturn,
        );
        let headers = self.lines.get(1..).unwrap_or_default();
        check(
            headers.iter().any(|line| line[0] == b':'),
            Kind::EmptyHeaderName,
        );
        check(
            headers.iter().any(|line| !line.contains(&b':')),
            Kind::MissingColon,
        );
        let length = self.first("content-length");
        check(
            length.is_some_and(|digits| number(&digits).is_none()),
            Kind::InvalidContentLength,
        );

        // A line that was begun is a header, unless it may still be the empty one.
        let last = if self.lines.is_empty() {
            0
        } else {
            self.last.len()
        };
        check(
            headers.len() + usize::from(last > 0) > limits.max_headers,
            Kind::TooManyHeaders(limits.max_headers),
        );
        let longest = headers.iter().map(Vec::len).max().unwrap_or(0).max(last);
        check(
            longest > limits.max_line_bytes,
            Kind::LineTooLong(limits.max_line_bytes),
        );
        // Of a head that goes on, an LF is to come at least; of a frame, a NUL.
        let length = if self.end.is_some() {
            self.length
        } else {
            self.length + 1
        };
        check(
            length > limits.max_head_bytes,
            Kind::HeadTooLong(limits.max_head_bytes),
        );
        check(
            length + 1 > limits.max_frame_bytes,
            Kind::FrameTooLong(limits.max_frame_bytes),
        );
        faults
    }

    /// The headers as text, unless there are faults in it.
    fn texts(&self, version: Version, faults: &mut Vec<Kind>) -> Option<Vec<(String, String)>> {
        let mut text = |bytes| {
            self.text(version, bytes)
                .map_err(|kind| faults.push(kind))
                .ok()
        };
        let texts: Vec<_> = self
            .headers()
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        texts
            .into_iter()
            .map(|(name, value)| name.zip(value))
            .collect()
    }

    /// A name or value, escapes undone.
    fn text(&self, version: Version, bytes: Vec<u8>) -> Result<String, Kind> {
        let is_escaped =
            version != V1_0 && !matches!(self.command(), b"CONNECT" | b"STOMP" | b"CONNECTED");
        let text = String::from_utf8(bytes).map_err(|_| Kind::NotUtf8)?;
        if is_escaped {
            unescape(version, &text).ok_or(Kind::UndefinedEscape)
        } else {
            Ok(text)
        }
    }
}

fn without_cr(line: &[u8]) -> Vec<u8> {
    line.strip_suffix(b"\r").unwrap_or(line).to_vec()
}

/// A count of bytes: one to ten digits.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    String::from_utf8(digits.to_vec()).unwrap().parse().ok()
}

/// "When decoding frame headers, the following transformations MUST be applied"
fn unescape(version: Version, text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('r') if version == V1_2 => plain.push('\r'),
            Some('n') => plain.push('\n'),
            Some('c') => plain.push(':'),
            Some('\\') => plain.push('\\'),
            _ => return None,
        }
    }
    Some(plain)
}

/// command = client-command | server-command
const COMMANDS: [&str; 15] = [
    "SEND",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "BEGIN",
    "COMMIT",
    "ABORT",
    "ACK",
    "NACK",
    "DISCONNECT",
    "CONNECT",
    "STOMP",
    "CONNECTED",
    "MESSAGE",
    "RECEIPT",
    "ERROR",
];

/// What the decoder makes of the same, in these pieces.
fn decode(version: Version, limits: Limits, pieces: &[&[u8]]) -> (Vec<Plain>, Option<DecodeError>) {
    let mut decoder = Decoder::new(limits);
    decoder.resume(version, limits);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            match decoder.decode() {
                Err(error) => return (frames, Some(error)),
                Ok(None) => break,
                Ok(Some(Decoded::HeartBeat)) => {}
                Ok(Some(Decoded::Frame(frame))) => {
                    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                    let headers = frame.headers.iter().map(owned).collect();
                    frames.push(Plain {
                        command: frame.command.to_string(),
                        headers,
                        body: frame.body.to_vec(),
                    });
                    decoder.resume(version, limits);
                }
            }
        }
    }
    (frames, None)
}

/// Compares both, in every version.
fn compare(bytes: &[u8], cuts: &[Index], limits: Limits) -> Result<(), TestCaseError> {
    for version in Version::ALL {
        let expected = read(version, &limits, bytes);
        let shown = || format!("STOMP {version}: {}, {expected:?}", bytes.escape_ascii());
        let (frames, error) = decode(version, limits, &[bytes]);
        prop_assert_eq!(&frames, &expected.frames, "{}", shown());
        match &error {
            Some(error) => {
                prop_assert!(
                    expected.faults.contains(&error.kind),
                    "{:?}: {}",
                    error,
                    shown()
                );
                let is_known = tells_receipt(error.kind) || error.receipt.is_some();
                let is_told = !is_known || error.receipt.as_deref() == expected.receipt.as_deref();
                prop_assert!(is_told, "{:?}: {}", error, shown());
            }
            None => prop_assert!(!expected.is_refused, "accepted: {}", shown()),
        }
        let pieces = cut(bytes, cuts);
        prop_assert_eq!(
            decode(version, limits, &pieces),
            (frames, error),
            "in {:?}: {}",
            pieces,
            shown()
        );
    }
    Ok(())
}

/// Whether all headers are known by the time that this is found.
fn tells_receipt(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::InvalidContentLength
            | Kind::UnexpectedBody
            | Kind::MissingNul
            | Kind::UndefinedEscape
    )
}

fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decoder_agrees_with_the_reference(
        bytes in mutated(),
        cuts in vec(any::<Index>(), 0..6),
        limits in limits(),
    ) {
        compare(&bytes, &cuts, limits)?;
    }
}

fn cases() -> u32 {
    env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(10_000)
}

/// The comparison is worth as much as what is compared.
#[test]
fn what_is_generated_holds_frames_and_every_fault() {
    let mut runner = TestRunner::deterministic();
    let (mut whole, mut refused, mut faults) = (0, 0, BTreeMap::<String, usize>::new());
    for _ in 0..2_000 {
        let bytes = mutated().new_tree(&mut runner).unwrap().current();
        let limits = limits().new_tree(&mut runner).unwrap().current();
        let reading = read(V1_2, &limits, &bytes);
        whole += usize::from(!reading.frames.is_empty());
        refused += usize::from(reading.is_refused);
        for kind in reading.faults {
            *faults
                .entry(format!("{kind:?}").replace(|c: char| !c.is_alphabetic(), ""))
                .or_default() += 1;
        }
    }
    println!("{whole} with frames, {refused} refused, {faults:#?}");
    assert!(
        whole > 600 && refused > 600,
        "{whole} with frames, {refused} refused"
    );
    assert_eq!(faults.len(), 14, "{faults:?}");
    assert!(faults.values().all(|count| *count >= 10), "{faults:?}");
}

/// One to three frames, of which some bytes were changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
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
    /// Puts a line behind some LF.
    Splice(Index, &'static [u8]),
    Cut(Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            _ if bytes.is_empty() => {}
            Change::Replace(at, byte) => *at.get_mut(bytes) = *byte,
            Change::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Change::Delete(at) => drop(bytes.remove(at.index(bytes.len()))),
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
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
    let byte = || prop_oneof![3 => select(&b"\0\r\n:\\ncrt05\xc3\xa9\xffS"[..]), 1 => any::<u8>()];
    prop_oneof![
        2 => (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        2 => (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        2 => any::<Index>().prop_map(Change::Delete),
        3 => (any::<Index>(), select(LINES)).prop_map(|(at, line)| Change::Splice(at, line)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

/// Lines that mean something, or must not, and more than a line.
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

/// The bytes of a frame, and EOLs behind it. It is right in every version; but one in ten has a body that may not have.
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
        |((command, headers, eol), mut body, (states_length, is_right), eols)| {
            let mut bytes = format!("{command}{eol}");
            for (name, value) in headers {
                bytes += &format!("{name}:{value}{eol}");
            }
            if is_right && !["SEND", "MESSAGE", "ERROR"].contains(&command) {
                body.clear();
            }
            if body.contains(&0) || states_length {
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

/// Often none that matter. A command's line has no limit but its own.
fn limits() -> impl Strategy<Value = Limits> {
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
