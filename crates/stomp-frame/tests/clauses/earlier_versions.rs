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

/// Clause: "The body of the SUBSCRIBE command is ignored." This includes a body with a content-length, which is
/// ignored with it. For a body without one, see `only_send_message_error_and_subscribe_1_0_may_have_a_body` in
/// decoding.rs.
#[test]
fn the_ignored_body_of_a_stomp_1_0_subscribe_may_have_a_content_length() {
    let expected = Frame::new(Command::Subscribe).with_header("destination", "/a");
    assert_eq!(
        parse(
            V1_0,
            "SUBSCRIBE\ndestination:/a\ncontent-length:3\n\nx\0y\0"
        ),
        Ok(expected)
    );
}

/// The production `client-command` of STOMP 1.0 contains neither `NACK` nor `STOMP`. But clients of 1.0 send `NACK`, and
/// it means the same as in 1.1.
#[test]
fn stomp_1_0_has_no_stomp_frame_but_nack_is_allowed() {
    let stomp = Frame::new(Command::Stomp).with_header("accept-version", "1.0");
    let error = stomp.validate(V1_0).unwrap_err();
    assert!(
        matches!(error, InvalidFrame::NotInVersion { .. }),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "STOMP 1.0 has no STOMP frame");
    assert_eq!(stomp.validate(V1_1), Ok(()));
    let nack = Frame::new(Command::Nack);
    assert_eq!(missing_header(V1_0, &nack), Some("message-id"));
    assert_eq!(nack.with_header("message-id", "1").validate(V1_0), Ok(()));
}

/// The examples have spaces around values: "destination: /queue/foo". The clause that forbids to trim came with 1.1.
#[test]
fn spaces_around_a_value_are_no_part_of_it_in_stomp_1_0() {
    let text = " a\t:  b \t\nc: \nd:e f\ncontent-length: 1 \nlast:g ";
    let expected = Frame::new(Command::Send)
        .with_header(" a\t", "b \t")
        .with_header("c", "")
        .with_header("d", "e f")
        .with_header("content-length", "1")
        .with_header("last", "g")
        .with_body("\0");
    for eol in ["\n", "\r\n"] {
        let head = format!("SEND\n{text}\n\n").replace('\n', eol);
        assert_eq!(parse(V1_0, format!("{head}\0\0")), Ok(expected.clone()));
    }
}

/// "If the accept-version header is missing, it means that the client only supports version 1.0 of the protocol." So
/// the frame that opens a session shows whether its values may have spaces around them.
#[test]
fn spaces_around_the_values_of_a_connect_are_ignored_if_it_accepts_no_later_version() {
    let login = |head: &str| {
        let frame = parse(V1_0, format!("{head}\nlogin: guest \n\n\0")).unwrap();
        frame.headers.get("login").map(str::to_owned)
    };
    for head in [
        "CONNECT",
        "STOMP",
        "CONNECT\naccept-version: 1.0",
        "CONNECT\naccept-version:1.0,9.0",
        "CONNECTED",
        "CONNECTED\nversion: 1.0",
    ] {
        assert_eq!(login(head).as_deref(), Some("guest"), "{head:?}");
    }
    for head in [
        "CONNECT\naccept-version:1.0,1.1",
        "STOMP\naccept-version: 1.2 ",
        "CONNECTED\nversion:1.1",
    ] {
        assert_eq!(login(head).as_deref(), Some(" guest "), "{head:?}");
    }
}

#[test]
fn the_receipt_of_a_malformed_frame_has_no_spaces_around_it_in_stomp_1_0() {
    let receipt = |version| {
        let text = "SEND\nreceipt: 7 \ncontent-length:x\n\n\0";
        let error = Frame::parse(text, version).unwrap_err();
        error.receipt().map(str::to_owned)
    };
    assert_eq!(receipt(V1_0).as_deref(), Some("7"));
    assert_eq!(receipt(V1_1).as_deref(), Some(" 7 "));
}

/// Clause: "It requires either a destination header or an id header"
#[test]
fn a_stomp_1_0_unsubscribe_may_use_the_destination_instead_of_an_id() {
    let by_destination = Frame::new(Command::Unsubscribe).with_header("destination", "/a");
    assert_eq!(by_destination.validate(V1_0), Ok(()));
    assert_eq!(missing_header(V1_1, &by_destination), Some("id"));
}
