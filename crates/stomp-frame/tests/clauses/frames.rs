//! Tests for STOMP 1.2, "STOMP Frames".

use super::{parse, send};
use stomp_frame::{
    Command, DecodeErrorKind as Kind, Decoded, Decoder, Frame, Limits, Version::V1_2,
};

/// Clause: "an end-of-line (EOL), which consists of an OPTIONAL carriage return (octet 13) followed by a REQUIRED line
/// feed"
///
/// For a frame whose lines all end with CR LF, see `lines_may_end_with_cr_lf` in decoding.rs.
#[test]
fn each_line_may_end_with_lf_or_cr_lf() {
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

/// Clause: "Following the command are zero or more header entries in <key>:<value> format. Each header entry is
/// terminated by an EOL."
#[test]
fn a_frame_may_have_any_number_of_headers() {
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

/// Clause: "A blank line (i.e. an extra EOL) indicates the end of the headers and the beginning of the body."
#[test]
fn the_first_empty_line_ends_the_head() {
    assert_eq!(
        parse(V1_2, "SEND\n\n\n\na:b\n\0"),
        Ok(send().with_body("\n\na:b\n"))
    );
    assert_eq!(
        parse(V1_2, "SEND\r\n\r\n\r\n\0"),
        Ok(send().with_body("\r\n"))
    );
}

/// Clause: "The body is then followed by the NULL octet."
#[test]
fn a_frame_ends_with_nul() {
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

/// Clause: "The NULL octet can be optionally followed by multiple EOLs."
#[test]
fn eols_may_separate_frames() {
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

/// Clause: "All commands and header names referenced in this document are case sensitive."
///
/// For commands, see `malformed_frames_are_errors` in decoding.rs.
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
