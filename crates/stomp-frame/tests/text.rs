//! Tests for the conversion of frames, commands and versions to text and back.

use stomp_frame::{Command, DecodeErrorKind, Frame, Version};

#[test]
fn a_frame_displays_as_stomp_1_2_text_with_its_nul() {
    let frame = Frame::new(Command::Message)
        .with_header("destination", "/a:b\\c")
        .with_header("x\r", "1\n2")
        .with_body("日本");
    assert_eq!(
        frame.to_string(),
        "MESSAGE\ndestination:/a\\cb\\\\c\nx\\r:1\\n2\ncontent-length:6\n\n日本\0"
    );
    assert_eq!(
        Frame::new(Command::Disconnect).to_string(),
        "DISCONNECT\n\n\0"
    );
}

#[test]
fn the_content_length_of_a_body_that_is_not_utf_8_counts_the_original_bytes() {
    let frame = Frame::new(Command::Send).with_body(&b"a\xffb"[..]);
    assert_eq!(frame.to_string(), "SEND\ncontent-length:3\n\na\u{fffd}b\0");
}

#[test]
fn a_frame_that_stomp_1_2_cannot_express_displays_one_line_per_header() {
    let connect = Frame::new(Command::Connect)
        .with_header("pass:code", "a:b\\c\nevil:1\r\0")
        .with_header("", "unnamed")
        .with_header("content-length", "9")
        .with_body("x");
    assert!(connect.to_bytes(Version::V1_2).is_err());
    assert_eq!(
        connect.to_string(),
        "CONNECT\npass\\ccode:a:b\\c\\nevil:1\\r\\0\n:unnamed\ncontent-length:9\n\nx\0"
    );
}

#[test]
fn display_contains_secrets_and_debug_hides_them() {
    let connect = Frame::new(Command::Connect).with_header("passcode", "hush");
    assert!(connect.to_string().contains("hush"));
    assert!(!format!("{connect:?}").contains("hush"));
}

#[test]
fn a_frame_parses_from_text_with_eols_around_it() {
    let frame: Frame = "\n\r\nSEND\r\na:\\n\r\n\r\nhi\0\n".parse().unwrap();
    assert_eq!(
        frame,
        Frame::new(Command::Send)
            .with_header("a", "\n")
            .with_body("hi")
    );
    for (text, kind) in [
        ("SEND\n\nhi", DecodeErrorKind::Incomplete),
        ("SEND\n\n\0SEND\n\n\0", DecodeErrorKind::TrailingBytes),
        ("SEND\na:\\t\n\n\0", DecodeErrorKind::UndefinedEscape),
    ] {
        let error = text.parse::<Frame>().unwrap_err();
        assert_eq!(error.kind(), kind, "{text:?}");
    }
}

#[test]
fn commands_and_versions_parse_from_their_text() {
    for command in Command::ALL {
        assert_eq!(command.to_string().parse(), Ok(command));
    }
    for version in Version::ALL {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    let error = "1.3".parse::<Version>().unwrap_err();
    assert_eq!(error.value(), "1.3");
    assert_eq!(error.to_string(), r#"version "1.3" is not 1.0, 1.1 or 1.2"#);
}
