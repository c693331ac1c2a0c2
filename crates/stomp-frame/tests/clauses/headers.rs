//! Tests for STOMP 1.2, "Repeated Header Entries", "Size Limits", "Augmented BNF" and "Frames and Headers".

use super::{inexpressible, missing_header, parse, send};
use stomp_frame::{
    Command, DecodeErrorKind as Kind, Decoder, EncodeError, Frame, Headers, Limits,
    Version::{self, V1_0, V1_1, V1_2},
};

// "Repeated Header Entries"

/// Clause: "only the first header entry SHOULD be used as the value of header entry. Subsequent values are only used to
/// maintain a history of state changes of the header"
#[test]
fn the_first_of_repeated_headers_is_used_and_all_are_readable() {
    let text = "MESSAGE\nfoo:World\nbar:1\nfoo:Hello\n\n\0";
    let frame = parse(V1_2, text).unwrap();
    assert_eq!(frame.headers.get("foo"), Some("World"));
    let all: Vec<_> = frame.headers.iter().collect();
    assert_eq!(all, [("foo", "World"), ("bar", "1"), ("foo", "Hello")]);
    assert_eq!(frame.to_bytes(V1_2).unwrap(), text);
}

/// The clause "Repeated Header Entries" also applies to `content-length`, which the codec itself uses.
#[test]
fn the_first_of_repeated_content_length_headers_is_used() {
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
// header lines, the maximum size of a frame body": see `limits_are_exact_to_the_byte` in decoding.rs.

/// Clause: "If these limits are exceeded the server SHOULD send the client an ERROR frame": `is_limit` identifies these
/// errors.
#[test]
fn is_limit_distinguishes_exceeded_limits_from_grammar_errors() {
    let limits = Limits::default()
        .max_frame_bytes(64)
        .max_head_bytes(48)
        .max_line_bytes(20)
        .max_headers(2);
    let error_of = |text: String| {
        let mut decoder = Decoder::new(limits);
        decoder.feed(text);
        decoder.decode().unwrap_err().kind()
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
        assert_eq!(error_of(text), kind);
        assert!(kind.is_limit());
    }
    let unknown = error_of("SENT\n\n\0".to_owned());
    assert_eq!(unknown, Kind::UnknownCommand);
    assert!(!unknown.is_limit());
}

// "Augmented BNF"

/// Grammar: `command = client-command | server-command`
#[test]
fn exactly_the_fifteen_commands_of_the_specification_are_accepted() {
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

/// Grammar: `header-name = 1*<any OCTET except CR or LF or ":">`, `header-value = *<any OCTET except CR or LF or ":">`
#[test]
fn a_header_value_may_be_empty_but_a_header_name_must_not() {
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

/// The productions `header-name` and `header-value` allow any byte except CR, LF and a colon. They also allow NUL, but
/// a NUL in a head is an error here, because the end of the frame would be ambiguous.
#[test]
fn header_names_and_values_may_contain_any_byte_except_special_ones_and_nul() {
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

/// The production `header-value` allows no colon. But widely used clients send values with colons, and their meaning is
/// unambiguous: decoding accepts a colon as data, and encoding escapes it.
#[test]
fn a_colon_in_a_header_value_is_part_of_the_value() {
    for version in Version::ALL {
        let frame = send().with_header("a", "b:c::").with_header("d", ":");
        assert_eq!(parse(version, "SEND\na:b:c::\nd::\n\n\0"), Ok(frame));
    }
    let frame = send().with_header("a", "b:c");
    assert_eq!(frame.to_bytes(V1_2).unwrap(), "SEND\na:b\\cc\n\n\0");
}

/// Grammar: `header = header-name ":" header-value`
///
/// For a line without a colon, see `malformed_frames_are_errors` in decoding.rs.
#[test]
fn a_header_cannot_continue_on_the_next_line() {
    for text in [
        "SEND\na:b\n c\n\n\0",
        "SEND\na:b\n\tc\n\n\0",
        "SEND\na\n:b\n\n\0",
    ] {
        assert_eq!(parse(V1_2, text), Err(Kind::MissingColon), "{text:?}");
    }
}

// "Frames and Headers"

/// Clause: "here are all the headers defined in this specification that each frame MUST or MAY use". The headers of
/// CONNECT are not required, because their absence has a meaning.
#[test]
fn validate_requires_the_headers_of_each_version() {
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
                    missing_header(version, &without),
                    Some(*name),
                    "{command} in {version}"
                );
            }
        }
    }
}
