//! Tests for the clauses of STOMP 1.1 and 1.0 that differ from STOMP 1.2.

use super::{escaped_commands, inexpressible, missing_header, parse, send};
use stomp_frame::{
    Command, DecodeErrorKind as Kind, Frame, InvalidFrame,
    Version::{V1_0, V1_1},
};

// STOMP 1.1
//
// "Undefined escape sequences such as \r (octet 92 and 114) MUST be treated as a fatal protocol error.": see
// `escapes_depend_on_the_version` in decoding.rs.

/// Clause: "Conversely when encoding frame headers, the reverse transformation MUST be applied." STOMP 1.1 has no
/// transformation for CR.
#[test]
fn stomp_1_1_cannot_express_cr() {
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

/// Grammar: `frame = command LF *( header LF ) LF *OCTET NULL *( LF )`
///
/// According to this production, a CR before the LF belongs to the value, also in 1.0. But a peer that sends CR LF
/// means an end of line, so decoding accepts it as such. Encoding writes LF alone.
#[test]
fn cr_lf_also_ends_a_line_in_stomp_1_0_and_1_1() {
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

// STOMP 1.0

/// Grammar: `header-value = 1*<any CHAR except LF>`: this includes the backslash and the colon. Nothing is escaped.
#[test]
fn stomp_1_0_has_no_escapes() {
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

/// Grammar: `header-value = 1*<any CHAR except LF>`, where CHAR is US-ASCII. But peers send empty values, so they are
/// allowed. For characters that are not ASCII, see `headers_must_be_utf_8` in value_encoding.rs.
#[test]
fn a_header_value_may_also_be_empty_in_stomp_1_0() {
    let frame = send().with_header("a", "");
    assert_eq!(parse(V1_0, "SEND\na:\n\n\0"), Ok(frame.clone()));
    assert_eq!(frame.to_bytes(V1_0).unwrap(), "SEND\na:\n\n\0");
}

/// Clause: "If a content-length header is included, this number of bytes should be read, regardless of whether or not
/// there are null characters in the body."
#[test]
fn content_length_also_sets_the_length_of_the_body_in_stomp_1_0_and_1_1() {
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

/// Clause: "The body of the SUBSCRIBE command is ignored." This includes a body with a content-length. For a body
/// without one, see `only_send_message_error_and_subscribe_1_0_may_have_a_body` in decoding.rs.
#[test]
fn the_ignored_body_of_a_stomp_1_0_subscribe_may_have_a_content_length() {
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

/// The production `client-command` of STOMP 1.0 contains neither `NACK` nor `STOMP`.
#[test]
fn stomp_1_0_has_no_nack_and_no_stomp_frame() {
    for (command, header) in [
        (Command::Nack, "message-id"),
        (Command::Stomp, "accept-version"),
    ] {
        let frame = Frame::new(command).with_header(header, "1");
        let error = frame.validate(V1_0).unwrap_err();
        assert!(
            matches!(error, InvalidFrame::NotInVersion { .. }),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("STOMP 1.0 has no {command} frame")
        );
        let frame = frame.with_header("subscription", "0");
        assert_eq!(frame.validate(V1_1), Ok(()));
    }
}

/// Clause: "It requires either a destination header or an id header"
#[test]
fn a_stomp_1_0_unsubscribe_may_use_the_destination_instead_of_an_id() {
    let by_destination = Frame::new(Command::Unsubscribe).with_header("destination", "/a");
    assert_eq!(by_destination.validate(V1_0), Ok(()));
    assert_eq!(missing_header(V1_1, &by_destination), Some("id"));
}
