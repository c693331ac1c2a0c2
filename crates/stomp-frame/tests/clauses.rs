//! The specification's sections on frames, clause by clause: what it says, and a test that it is so.
//!
//! The order is that of STOMP 1.2: frames, value encoding, body, content-length, repeated headers, size limits,
//! grammar, and the headers each frame needs; then what 1.1 and 1.0 say otherwise. Where we chose, the test says so.

use bytes::Bytes;
use stomp_frame::{
    Command, DecodeErrorKind as Kind, Decoded, Decoder, EncodeError, Frame, Headers, InvalidFrame,
    Limits,
    Version::{self, V1_0, V1_1, V1_2},
};

fn parse(version: Version, bytes: impl AsRef<[u8]>) -> Result<Frame, Kind> {
    Frame::parse(Bytes::copy_from_slice(bytes.as_ref()), version).map_err(|error| error.kind)
}

/// The byte that a version has no way to say, if that is why the frame was not written.
fn inexpressible(version: Version, frame: &Frame) -> Option<char> {
    match frame.to_bytes(version) {
        Err(EncodeError::Inexpressible { byte, .. }) => Some(byte),
        _ => None,
    }
}

/// Each of the first with each of the second.
fn pairs<A: Copy, B: Copy, const N: usize>(
    first: impl IntoIterator<Item = A>,
    second: [B; N],
) -> impl Iterator<Item = (A, B)> {
    first.into_iter().flat_map(move |a| second.map(|b| (a, b)))
}

fn send() -> Frame {
    Frame::new(Command::Send)
}

/// All frames but those that open a session, which are never escaped.
fn escaped_commands() -> impl Iterator<Item = Command> {
    Command::ALL
        .into_iter()
        .filter(|command| !OPENING.contains(command))
}

const OPENING: [Command; 3] = [Command::Connect, Command::Stomp, Command::Connected];

const WITH_BODY: [Command; 3] = [Command::Send, Command::Message, Command::Error];

// "STOMP Frames"

/// "an end-of-line (EOL), which consists of an OPTIONAL carriage return (octet 13) followed by a REQUIRED line feed"
/// (CR LF throughout: decoding.rs, `lines_may_end_with_cr_lf`)
#[test]
fn every_line_ends_with_lf_or_cr_lf_whatever_the_others_end_with() {
    let expected = Ok(send().with_header("a", "b").with_body("c"));
    for choice in 0..8 {
        let eol = |line: u8| {
            if choice >> line & 1 == 1 {
                "\r\n"
            } else {
                "\n"
            }
        };
        let text = format!("SEND{}a:b{}{}c\0", eol(0), eol(1), eol(2));
        assert_eq!(parse(V1_2, &text), expected, "{text:?}");
    }
    for text in [
        "SEND\ra:b\n\n\0",
        "SEND\na:b\rc:d\n\n\0",
        "SEND\na:b\n\r\r\n\n\0",
        "SEND\na:b\r\r\n\n\0",
    ] {
        assert_eq!(parse(V1_2, text), Err(Kind::BareCarriageReturn), "{text:?}");
    }
}

/// "Following the command are zero or more header entries in <key>:<value> format. Each header entry is terminated by
/// an EOL."
#[test]
fn there_may_be_any_number_of_headers() {
    let mut expected = send();
    assert_eq!(parse(V1_2, "SEND\n\n\0"), Ok(expected.clone()));
    for number in 0..100 {
        expected
            .headers
            .append(&format!("name-{number}"), &format!("value-{number}"));
        let lines: String = (0..=number)
            .map(|number| format!("name-{number}:value-{number}\n"))
            .collect();
        assert_eq!(
            parse(V1_2, format!("SEND\n{lines}\n\0")),
            Ok(expected.clone())
        );
    }
}

/// "A blank line (i.e. an extra EOL) indicates the end of the headers and the beginning of the body."
#[test]
fn only_the_first_empty_line_is_not_of_the_body() {
    assert_eq!(
        parse(V1_2, "SEND\n\n\n\na:b\n\0"),
        Ok(send().with_body("\n\na:b\n"))
    );
    assert_eq!(
        parse(V1_2, "SEND\r\n\r\n\r\n\0"),
        Ok(send().with_body("\r\n"))
    );
}

/// "The body is then followed by the NULL octet."
#[test]
fn a_frame_ends_with_nul_and_not_before() {
    for text in [
        "SEND\n\nhello",
        "SEND\n\n",
        "SEND\ncontent-length:5\n\nhello",
    ] {
        assert_eq!(parse(V1_2, text), Err(Kind::Incomplete), "{text:?}");
    }
    for command in Command::ALL {
        let bytes = Frame::new(command).to_bytes(V1_2).unwrap();
        assert_eq!(bytes, format!("{command}\n\n\0"));
    }
}

/// "The NULL octet can be optionally followed by multiple EOLs."
#[test]
fn eols_may_stand_between_frames() {
    for eols in ["", "\n", "\r\n", "\n\r\n\n", &"\r\n".repeat(10_000)] {
        let text = format!("{eols}ACK\nid:1\n\n\0{eols}SEND\n\nhi\0{eols}");
        let mut decoder = Decoder::new(Limits::default());
        decoder.resume(V1_2, Limits::default());
        decoder.feed(text);
        let mut frames = Vec::new();
        while let Some(item) = decoder.decode().unwrap() {
            if let Decoded::Frame(frame) = item {
                frames.push(frame);
            }
        }
        assert_eq!(
            frames,
            [
                Frame::new(Command::Ack).with_header("id", "1"),
                send().with_body("hi")
            ]
        );
        assert_eq!(decoder.buffered_bytes(), 0);
    }
}

/// "All commands and header names referenced in this document are case sensitive."
/// (a command: decoding.rs, `malformed_heads_are_refused`)
#[test]
fn header_names_are_case_sensitive() {
    let frame = parse(
        V1_2,
        "SEND\nDestination:/a\nContent-Length:1\n\nnot one byte\0",
    )
    .unwrap();
    assert_eq!(frame.headers.get("destination"), None);
    assert_eq!(frame.headers.get("Destination"), Some("/a"));
    assert_eq!(frame.body, "not one byte");
}

// "Value Encoding"

/// "The commands and headers are encoded in UTF-8."
#[test]
fn headers_are_utf_8_and_nothing_else() {
    let texts = [
        "é",
        "日本",
        "😀",
        "\u{10ffff}",
        "\u{80}",
        "\u{feff}",
        "e\u{301}",
        "\u{7f}\u{1}",
    ];
    for (version, text) in pairs(Version::ALL, texts) {
        let expected = send().with_header(text, text);
        assert_eq!(
            parse(version, format!("SEND\n{text}:{text}\n\n\0")),
            Ok(expected.clone())
        );
        assert_eq!(
            parse(version, expected.to_bytes(version).unwrap()),
            Ok(expected)
        );
    }
    // Alone, cut short, over-long, a surrogate, beyond the last character, Latin-1.
    let wrong = [
        &b"\x80"[..],
        b"\xc3",
        b"\xe6\x97",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe9t\xe9",
    ];
    for (version, bytes) in pairs(Version::ALL, wrong) {
        for line in [[b"a:", bytes].concat(), [bytes, b":a"].concat()] {
            let frame = [b"SEND\n", &line[..], b"\n\n\0"].concat();
            assert_eq!(parse(version, frame), Err(Kind::NotUtf8), "{bytes:x?}");
        }
    }
}

/// "All frames except the CONNECT and CONNECTED frames will also escape any carriage return, line feed or colon found
/// in the resulting UTF-8 encoded headers." "Conversely when encoding frame headers, the reverse transformation MUST be
/// applied."
#[test]
fn what_would_break_a_header_is_written_escaped() {
    for command in escaped_commands() {
        let frame = Frame::new(command).with_header("a\rb\nc:d\\e", "f\rg\nh:i\\j");
        let expected = format!("{command}\na\\rb\\nc\\cd\\\\e:f\\rg\\nh\\ci\\\\j\n\n\0");
        assert_eq!(frame.to_bytes(V1_2).unwrap(), expected);
    }
}

/// The same clause, of a frame that was read: it is written as the version has it in which it is written.
#[test]
fn what_was_read_in_one_version_is_written_in_another() {
    let from = |version, text: &str| parse(version, text).unwrap();
    let raw = from(V1_0, "SEND\na\\n:b:c\\t\n\n\0");
    assert_eq!(raw.to_bytes(V1_0).unwrap(), "SEND\na\\n:b:c\\t\n\n\0");
    for version in [V1_1, V1_2] {
        assert_eq!(
            raw.to_bytes(version).unwrap(),
            "SEND\na\\\\n:b\\cc\\\\t\n\n\0"
        );
    }
    let colon = from(V1_2, "CONNECT\nhost:[::1]\n\n\0");
    assert_eq!(colon.to_bytes(V1_2).unwrap(), "CONNECT\nhost:[::1]\n\n\0");
    let breaking = from(V1_2, "SEND\nx:y\na:b\\nc\\cd\n\n\0");
    assert_eq!(
        breaking.to_bytes(V1_1).unwrap(),
        "SEND\nx:y\na:b\\nc\\cd\n\n\0"
    );
    assert_eq!(inexpressible(V1_0, &breaking), Some('\n'));
    assert_eq!(
        inexpressible(V1_1, &from(V1_2, "SEND\nx:y\na:b\\r\n\n\0")),
        Some('\r')
    );
    let ended_by_cr_lf = from(V1_2, "SEND\r\na:b\r\nc:\r\n\r\n\0");
    assert_eq!(
        ended_by_cr_lf.to_bytes(V1_0).unwrap(),
        "SEND\na:b\nc:\n\n\0"
    );
}

/// "When decoding frame headers, the following transformations MUST be applied"
#[test]
fn each_escape_is_undone_once_in_names_and_values() {
    let meant = [("\\r", "\r"), ("\\n", "\n"), ("\\c", ":"), ("\\\\", "\\")];
    let longer = [
        ("\\\\n", "\\n"),
        ("\\\\\\n", "\\\n"),
        ("\\\\\\\\c", "\\\\c"),
        ("a\\cb\\cc", "a:b:c"),
        ("\\né", "\né"),
    ];
    for (command, (escaped, plain)) in pairs(escaped_commands(), meant) {
        let expected = Frame::new(command)
            .with_header(plain, plain)
            .with_header("x", &plain.repeat(3));
        let text = format!(
            "{command}\n{escaped}:{escaped}\nx:{}\n\n\0",
            escaped.repeat(3)
        );
        assert_eq!(parse(V1_2, text), Ok(expected));
    }
    for (escaped, plain) in longer {
        let text = format!("SEND\n{escaped}:{escaped}\n\n\0");
        assert_eq!(
            parse(V1_2, text),
            Ok(send().with_header(plain, plain)),
            "{escaped}"
        );
    }
}

/// "Undefined escape sequences such as \t (octet 92 and 116) MUST be treated as a fatal protocol error."
#[test]
fn every_other_escape_is_fatal() {
    for (version, defined) in [(V1_1, "nc\\"), (V1_2, "rnc\\")] {
        let others = (1..=0x7f)
            .map(char::from)
            .filter(|other| !"\r\n".contains(*other) && !defined.contains(*other));
        for other in others.chain(['é', '😀']) {
            let mut texts = vec![
                format!("SEND\na:b\nx:\\{other}\n\n\0"),
                format!("SEND\na:b\nx:y\\{other}y\n\n\0"),
            ];
            if other != ':' {
                texts.push(format!("SEND\na:b\n\\{other}:x\n\n\0"));
            }
            for text in texts {
                assert_eq!(
                    parse(version, &text),
                    Err(Kind::UndefinedEscape),
                    "{text:?}"
                );
            }
        }
        for text in [
            "SEND\nx:\\\n\n\0",
            "SEND\nx\\:y\n\n\0",
            "SEND\nx:\\\r\n\n\0",
            "SEND\nx:\\\\\\\n\n\0",
        ] {
            assert_eq!(
                parse(version, text),
                Err(Kind::UndefinedEscape),
                "{text:?}, where the line ends"
            );
        }
    }
}

/// "The CONNECT and CONNECTED frames do not escape the carriage return, line feed or colon octets in order to remain
/// backward compatible with STOMP 1.0."
#[test]
fn what_opens_a_session_is_neither_escaped_nor_unescaped() {
    for (version, command) in pairs(Version::ALL, OPENING) {
        let frame = Frame::new(command).with_header("pass\\code", "a\\n:\\t\\c\\");
        let text = format!("{command}\npass\\code:a\\n:\\t\\c\\\n\n\0");
        assert_eq!(frame.to_bytes(version).unwrap(), text);
        assert_eq!(parse(version, text), Ok(frame));
        for byte in ['\r', '\n', '\0'] {
            let value = Frame::new(command).with_header("a", &format!("b{byte}c"));
            assert_eq!(inexpressible(version, &value), Some(byte));
        }
        for byte in ['\r', '\n', '\0', ':'] {
            let name = Frame::new(command).with_header(&format!("a{byte}b"), "c");
            assert_eq!(inexpressible(version, &name), Some(byte));
        }
    }
}

/// "STOMP servers MUST handle a STOMP frame in the same manner as a CONNECT frame."
/// (what waiting is: decoding.rs, `after_connect_the_decoder_waits`)
#[test]
fn the_decoder_waits_after_what_opens_a_session_and_nothing_else() {
    for command in Command::ALL {
        let mut decoder = Decoder::new(Limits::default());
        decoder.feed(format!("{command}\n\n\0"));
        assert_eq!(
            decoder.decode(),
            Ok(Some(Decoded::Frame(Frame::new(command))))
        );
        assert_eq!(
            decoder.is_stopped(),
            OPENING.contains(&command),
            "{command}"
        );
    }
}

/// "In STOMP 1.2, clients and servers MUST never trim or pad headers with spaces." (1.1 says the same of itself)
#[test]
fn nothing_is_trimmed_or_padded() {
    for version in Version::ALL {
        let frame = send()
            .with_header(" a\t", "  b \t")
            .with_header("c", " ")
            .with_header("d", "e")
            .with_header(" ", "");
        let text = " a\t:  b \t\nc: \nd:e\n :\n";
        assert_eq!(
            frame.to_bytes(version).unwrap(),
            format!("SEND\n{text}\n\0")
        );
        assert_eq!(parse(version, format!("SEND\n{text}\n\0")), Ok(frame));
    }
    for text in ["SEND \n\n\0", " SEND\n\n\0", "SEND\n \n\0", "SEND\n\n\0 "] {
        assert!(parse(V1_2, text).is_err(), "{text:?}");
    }
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length: 1\n\na\0"),
        Err(Kind::InvalidContentLength)
    );
}

// "Body"

/// "Only the SEND, MESSAGE, and ERROR frames MAY have a body. All other frames MUST NOT have a body."
#[test]
fn three_commands_have_bodies_and_the_others_none() {
    for (version, command) in pairs([V1_1, V1_2], Command::ALL) {
        let frame = Frame::new(command).with_body("x");
        let plain = parse(version, format!("{command}\n\nx\0"));
        let stated = parse(version, format!("{command}\ncontent-length:1\n\nx\0"));
        if WITH_BODY.contains(&command) {
            assert_eq!(plain, Ok(frame.clone()));
            let frame = frame.with_header("content-length", "1");
            assert_eq!(stated, Ok(frame.clone()));
            assert_eq!(parse(version, frame.to_bytes(version).unwrap()), Ok(frame));
        } else {
            assert_eq!(
                (plain, stated),
                (Err(Kind::UnexpectedBody), Err(Kind::UnexpectedBody))
            );
            assert_eq!(
                frame.to_bytes(version),
                Err(EncodeError::UnexpectedBody(command))
            );
        }
    }
}

// "Header content-length"
//
// "If a content-length header is included, this number of octets MUST be read, regardless of whether or not there are
// NULL octets in the body.": decoding.rs, `a_body_with_content_length_may_hold_nul`.

/// "All frames MAY include a content-length header."
#[test]
fn every_frame_may_state_that_it_is_empty() {
    for (version, command) in pairs(Version::ALL, Command::ALL) {
        let frame = Frame::new(command).with_header("content-length", "0");
        let text = format!("{command}\ncontent-length:0\n\n\0");
        assert_eq!(frame.to_bytes(version).unwrap(), text);
        assert_eq!(parse(version, text), Ok(frame));
    }
}

/// "This header is an octet count for the length of the message body."
#[test]
fn bytes_are_counted_and_not_characters() {
    let frame = send().with_body("日本");
    let bytes = frame.to_bytes(V1_2).unwrap();
    assert_eq!(bytes, "SEND\ncontent-length:6\n\n日本\0");
    assert_eq!(
        parse(V1_2, bytes),
        Ok(frame.with_header("content-length", "6"))
    );
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length:2\n\n日本\0"),
        Err(Kind::MissingNul)
    );
    for stated in ["2", "5", "7", "", "six", "+6", "00000000006"] {
        let frame = send()
            .with_header("content-length", stated)
            .with_body("日本");
        let wrong = EncodeError::WrongContentLength {
            stated: stated.to_owned(),
            actual: 6,
        };
        assert_eq!(frame.to_bytes(V1_2), Err(wrong));
    }
}

/// "The frame still needs to be terminated with a NULL octet."
#[test]
fn a_stated_length_does_not_replace_the_nul() {
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length:2\n\nab\n\0"),
        Err(Kind::MissingNul)
    );
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length:0\n\na\0"),
        Err(Kind::MissingNul)
    );
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length:2\n\nabSEND\n\n\0"),
        Err(Kind::MissingNul)
    );
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length:3\n\nab\0"),
        Err(Kind::Incomplete),
        "the NUL is of the body"
    );
}

/// "If the frame body contains NULL octets, the frame MUST include a content-length header." (And with any other body
/// it SHOULD.)
#[test]
fn every_body_is_written_with_its_length() {
    for (version, command) in pairs(Version::ALL, WITH_BODY) {
        for body in [&b"\0"[..], b"a\0b", b"\0\0\0", b"a"] {
            let frame = Frame::new(command).with_header("a", "b").with_body(body);
            let length = body.len().to_string();
            let head = format!("{command}\na:b\ncontent-length:{length}\n\n");
            let bytes = frame.to_bytes(version).unwrap();
            assert_eq!(bytes, [head.as_bytes(), body, b"\0"].concat());
            assert_eq!(
                parse(version, bytes),
                Ok(frame.with_header("content-length", &length))
            );
        }
    }
}

// "Header content-type": "its value MUST be a MIME type" is for who writes it. The codec passes on any.

/// "All STOMP clients and servers MUST support UTF-8 encoding and decoding." A body is bytes: no encoding is changed,
/// nor asked for.
#[test]
fn a_body_may_be_any_bytes() {
    let body: Vec<u8> = (0..=255).chain("日本".bytes()).collect();
    for content_type in [
        "text/plain",
        "text/html;charset=utf-16",
        "application/octet-stream",
    ] {
        let frame = send()
            .with_header("content-type", content_type)
            .with_body(body.clone());
        let read = parse(V1_2, frame.to_bytes(V1_2).unwrap()).unwrap();
        assert_eq!(read.headers.get("content-type"), Some(content_type));
        assert_eq!(read.body, body);
    }
}

// "Repeated Header Entries"

/// "only the first header entry SHOULD be used as the value of header entry. Subsequent values are only used to
/// maintain a history of state changes of the header"
#[test]
fn the_first_of_repeated_headers_counts_and_the_others_stay_readable() {
    let text = "MESSAGE\nfoo:World\nbar:1\nfoo:Hello\n\n\0";
    let frame = parse(V1_2, text).unwrap();
    assert_eq!(frame.headers.get("foo"), Some("World"));
    let all: Vec<_> = frame.headers.iter().collect();
    assert_eq!(all, [("foo", "World"), ("bar", "1"), ("foo", "Hello")]);
    assert_eq!(frame.to_bytes(V1_2).unwrap(), text);
}

/// The same of the header that the codec itself uses.
#[test]
fn the_first_content_length_counts() {
    let frame = parse(V1_2, "SEND\ncontent-length:1\ncontent-length:x\n\na\0").unwrap();
    assert_eq!(frame.body, "a");
    assert_eq!(
        parse(V1_2, "SEND\ncontent-length:2\ncontent-length:1\n\na\0"),
        Err(Kind::Incomplete)
    );
    let lengths: Headers = [("content-length", "1"), ("content-length", "9")]
        .into_iter()
        .collect();
    let frame = Frame {
        headers: lengths,
        ..send().with_body("a")
    };
    assert_eq!(parse(V1_2, frame.to_bytes(V1_2).unwrap()), Ok(frame));
}

// "Size Limits"
//
// "servers MAY place maximum limits on: the number of frame headers allowed in a single frame, the maximum length of
// header lines, the maximum size of a frame body": decoding.rs, `limits_are_exact`.

/// "If these limits are exceeded the server SHOULD send the client an ERROR frame": it can tell that this is why.
#[test]
fn a_limit_is_told_from_a_fault() {
    let limits = Limits::default()
        .max_frame_bytes(64)
        .max_head_bytes(48)
        .max_line_bytes(20)
        .max_headers(2);
    let refused = |text: String| {
        let mut decoder = Decoder::new(limits);
        decoder.feed(text);
        decoder.decode().unwrap_err().kind
    };
    for (text, kind) in [
        (
            format!("SEND\na:{}\n\n\0", "x".repeat(19)),
            Kind::LineTooLong(20),
        ),
        (
            format!("SEND\n{}\n\0", "a:b\n".repeat(3)),
            Kind::TooManyHeaders(2),
        ),
        (
            format!("SEND\n\n{}\0", "x".repeat(58)),
            Kind::FrameTooLong(64),
        ),
        (
            "SEND\ncontent-length:64\n\n".to_owned(),
            Kind::FrameTooLong(64),
        ),
    ] {
        assert_eq!(refused(text), kind);
        assert!(kind.is_limit());
    }
    let fault = refused("SENT\n\n\0".to_owned());
    assert_eq!((fault, fault.is_limit()), (Kind::UnknownCommand, false));
}

// "Augmented BNF"

/// `command = client-command | server-command`
#[test]
fn there_are_fifteen_commands_and_no_others() {
    let words = "SEND SUBSCRIBE UNSUBSCRIBE BEGIN COMMIT ABORT ACK NACK DISCONNECT CONNECT STOMP \
                 CONNECTED MESSAGE RECEIPT ERROR";
    assert_eq!(words.split(' ').count(), 15);
    for word in words.split(' ') {
        let frame = parse(V1_2, format!("{word}\n\n\0")).unwrap();
        assert_eq!(frame.command.as_str(), word);
        let (lower, shorter) = (word.to_lowercase(), word.get(1..).unwrap());
        for other in [
            &lower,
            shorter,
            &format!("{word}X"),
            &format!("{word} "),
            &format!("{word}:"),
        ] {
            let known = words.split(' ').any(|word| word == other);
            assert_eq!(
                parse(V1_2, format!("{other}\n\n\0")).is_ok(),
                known,
                "{other}"
            );
        }
    }
    assert_eq!(parse(V1_2, "COMMAND\n\n\0"), Err(Kind::UnknownCommand));
}

/// `header-name = 1*<any OCTET except CR or LF or ":">`, `header-value = *<any OCTET except CR or LF or ":">`
#[test]
fn a_name_is_not_empty_but_a_value_may_be() {
    assert_eq!(
        parse(V1_2, "SEND\na:\n\n\0"),
        Ok(send().with_header("a", ""))
    );
    for text in ["SEND\n:a\n\n\0", "SEND\n:\n\n\0", "SEND\na:b\n::\n\n\0"] {
        assert_eq!(parse(V1_2, text), Err(Kind::EmptyHeaderName), "{text:?}");
    }
    assert_eq!(
        send().with_header("", "a").to_bytes(V1_2),
        Err(EncodeError::EmptyHeaderName)
    );
    assert_eq!(
        send().with_header("a", "").to_bytes(V1_2).unwrap(),
        "SEND\na:\n\n\0"
    );
}

/// The same productions: what a name and a value may hold. NUL is an OCTET too, but one in a head is refused, for with
/// it the end of a frame could be read in two ways.
#[test]
fn names_and_values_hold_any_byte_that_ends_nothing() {
    for byte in (1..=0x7f)
        .map(char::from)
        .filter(|byte| !"\r\n:\\".contains(*byte))
    {
        let (name, value) = (format!("a{byte}b"), format!("c{byte}d"));
        for version in Version::ALL {
            let frame = send().with_header(&name, &value);
            let text = format!("SEND\n{name}:{value}\n\n\0");
            assert_eq!(frame.to_bytes(version).unwrap(), text);
            assert_eq!(parse(version, text), Ok(frame));
        }
    }
    for version in Version::ALL {
        assert_eq!(parse(version, "SEND\na\0:b\n\n\0"), Err(Kind::NulInHead));
        assert_eq!(
            inexpressible(version, &send().with_header("a\0", "b")),
            Some('\0')
        );
        assert_eq!(
            inexpressible(version, &send().with_header("a", "b\0")),
            Some('\0')
        );
    }
}

/// The same productions allow no colon in a value. Widely used clients write one all the same, and it can be read in
/// one way only: it is data, when read, and escaped, when written.
#[test]
fn a_colon_in_a_value_is_data() {
    for version in Version::ALL {
        let frame = send().with_header("a", "b:c::").with_header("d", ":");
        assert_eq!(parse(version, "SEND\na:b:c::\nd::\n\n\0"), Ok(frame));
    }
    let frame = send().with_header("a", "b:c");
    assert_eq!(frame.to_bytes(V1_2).unwrap(), "SEND\na:b\\cc\n\n\0");
}

/// `header = header-name ":" header-value`
/// (one without a colon: decoding.rs, `malformed_heads_are_refused`)
#[test]
fn no_header_is_continued_on_the_next_line() {
    for text in [
        "SEND\na:b\n c\n\n\0",
        "SEND\na:b\n\tc\n\n\0",
        "SEND\na\n:b\n\n\0",
    ] {
        assert_eq!(parse(V1_2, text), Err(Kind::MissingColon), "{text:?}");
    }
}

// "Frames and Headers"

/// "here are all the headers defined in this specification that each frame MUST or MAY use". Not asked for: what
/// CONNECT needs, since its absence has a meaning.
#[test]
fn each_frame_has_the_headers_that_its_version_requires() {
    use Command::*;
    let (destination, transaction) = ("destination", "transaction");
    for (command, in_1_0, in_1_1, in_1_2) in [
        (Connect, &[][..], &[][..], &[][..]),
        (Connected, &[], &["version"], &["version"]),
        (Send, &[destination], &[destination], &[destination]),
        (
            Subscribe,
            &[destination],
            &[destination, "id"],
            &[destination, "id"],
        ),
        (Unsubscribe, &["id"], &["id"], &["id"]),
        (
            Ack,
            &["message-id"],
            &["message-id", "subscription"],
            &["id"],
        ),
        (Begin, &[transaction], &[transaction], &[transaction]),
        (Commit, &[transaction], &[transaction], &[transaction]),
        (Abort, &[transaction], &[transaction], &[transaction]),
        (Disconnect, &[], &[], &[]),
        (
            Message,
            &[destination, "message-id"],
            &[destination, "message-id", "subscription"],
            &[destination, "message-id", "subscription"],
        ),
        (Receipt, &["receipt-id"], &["receipt-id"], &["receipt-id"]),
        (Error, &[], &[], &[]),
    ] {
        for (version, required) in [(V1_0, in_1_0), (V1_1, in_1_1), (V1_2, in_1_2)] {
            let mut frame = Frame::new(command);
            frame
                .headers
                .extend(required.iter().map(|name| (name, "x")));
            assert_eq!(frame.validate(version), Ok(()));
            for name in required {
                let mut without = frame.clone();
                without.headers.remove(name);
                assert_eq!(
                    without.validate(version),
                    Err(InvalidFrame::MissingHeader { command, name }),
                    "{version}"
                );
            }
        }
    }
}

// What 1.1 says otherwise
//
// "Undefined escape sequences such as \r (octet 92 and 114) MUST be treated as a fatal protocol error.": decoding.rs,
// `escapes_depend_on_the_version`.

/// "Conversely when encoding frame headers, the reverse transformation MUST be applied.": there is none for CR.
#[test]
fn a_cr_cannot_be_said_in_1_1() {
    for command in escaped_commands() {
        let frame = Frame::new(command).with_header("a\nb:c\\d", "e\nf:g\\h");
        assert_eq!(
            frame.to_bytes(V1_1).unwrap(),
            format!("{command}\na\\nb\\cc\\\\d:e\\nf\\cg\\\\h\n\n\0")
        );
        assert_eq!(
            inexpressible(V1_1, &Frame::new(command).with_header("a", "b\r")),
            Some('\r')
        );
        assert_eq!(
            inexpressible(V1_1, &Frame::new(command).with_header("a\r", "b")),
            Some('\r')
        );
    }
}

/// `frame = command LF *( header LF ) LF *OCTET NULL *( LF )`, in 1.0 too: a CR before the LF would be of the value.
/// Peers that write CR LF mean an end of line, so that is what is read; what is written has LF alone.
#[test]
fn cr_lf_ends_a_line_before_1_2_too() {
    for version in [V1_0, V1_1] {
        let frame = send().with_header("a", "b").with_body("c");
        assert_eq!(parse(version, "\r\nSEND\r\na:b\r\n\r\nc\0\r\n"), Ok(frame));
        assert_eq!(
            parse(version, "SEND\na:b\rc\n\n\0"),
            Err(Kind::BareCarriageReturn)
        );
        assert_eq!(
            send().with_header("a", "b").to_bytes(version).unwrap(),
            "SEND\na:b\n\n\0"
        );
    }
}

// What 1.0 says otherwise

/// `header-value = 1*<any CHAR except LF>`: a backslash is one, and so is a colon. Nothing is escaped.
#[test]
fn there_are_no_escapes_in_1_0() {
    for command in Command::ALL {
        let frame = Frame::new(command).with_header("a\\n", "b:c\\c\\t\\");
        let text = format!("{command}\na\\n:b:c\\c\\t\\\n\n\0");
        assert_eq!(frame.to_bytes(V1_0).unwrap(), text);
        assert_eq!(parse(V1_0, text), Ok(frame));
        assert_eq!(
            inexpressible(V1_0, &Frame::new(command).with_header("a", "b\nc")),
            Some('\n')
        );
        assert_eq!(
            inexpressible(V1_0, &Frame::new(command).with_header("a:b", "c")),
            Some(':')
        );
        assert_eq!(
            inexpressible(V1_0, &Frame::new(command).with_header("a", "b\rc")),
            Some('\r')
        );
    }
}

/// `header-value = 1*<any CHAR except LF>`, where CHAR is US-ASCII: peers leave values empty all the same.
/// (what is not ASCII: `headers_are_utf_8_and_nothing_else`)
#[test]
fn a_value_may_be_empty_in_1_0_too() {
    let frame = send().with_header("a", "");
    assert_eq!(parse(V1_0, "SEND\na:\n\n\0"), Ok(frame.clone()));
    assert_eq!(frame.to_bytes(V1_0).unwrap(), "SEND\na:\n\n\0");
}

/// "If a content-length header is included, this number of bytes should be read, regardless of whether or not there are
/// null characters in the body."
#[test]
fn a_stated_length_counts_before_1_2_too() {
    let expected = send().with_header("content-length", "3").with_body("a\0b");
    for version in [V1_0, V1_1] {
        assert_eq!(
            parse(version, "SEND\ncontent-length:3\n\na\0b\0"),
            Ok(expected.clone())
        );
        assert_eq!(
            parse(version, "SEND\ncontent-length:2\n\na\0b\0"),
            Err(Kind::MissingNul)
        );
    }
}

/// "The body of the SUBSCRIBE command is ignored.": to its end, wherever that is.
/// (one without content-length: decoding.rs, `only_some_frames_have_bodies`)
#[test]
fn the_ignored_body_of_a_1_0_subscribe_may_state_its_length() {
    let expected = Frame::new(Command::Subscribe)
        .with_header("destination", "/a")
        .with_header("content-length", "3");
    assert_eq!(
        parse(
            V1_0,
            "SUBSCRIBE\ndestination:/a\ncontent-length:3\n\nx\0y\0"
        ),
        Ok(expected)
    );
}

/// `client-command` of 1.0 has neither NACK nor STOMP.
#[test]
fn nack_and_stomp_are_not_of_1_0() {
    for (command, header) in [
        (Command::Nack, "message-id"),
        (Command::Stomp, "accept-version"),
    ] {
        let frame = Frame::new(command).with_header(header, "1");
        assert_eq!(
            frame.validate(V1_0),
            Err(InvalidFrame::NotInVersion {
                command,
                version: V1_0
            })
        );
        let frame = frame.with_header("subscription", "0");
        assert_eq!(frame.validate(V1_1), Ok(()));
    }
}

/// "It requires either a destination header or an id header"
#[test]
fn a_1_0_unsubscribe_may_name_the_destination() {
    let by_destination = Frame::new(Command::Unsubscribe).with_header("destination", "/a");
    assert_eq!(by_destination.validate(V1_0), Ok(()));
    let missing = InvalidFrame::MissingHeader {
        command: Command::Unsubscribe,
        name: "id",
    };
    assert_eq!(by_destination.validate(V1_1), Err(missing));
}
