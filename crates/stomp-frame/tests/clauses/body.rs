//! Tests for STOMP 1.2, "Body", "Header content-length" and "Header content-type".

use super::{WITH_BODY, pairs, parse, send};
use stomp_frame::{
    Command, DecodeErrorKind as Kind, Decoded, Decoder, EncodeError, Frame, Limits,
    Version::{self, V1_1, V1_2},
};

/// Clause: "Only the SEND, MESSAGE, and ERROR frames MAY have a body. All other frames MUST NOT have a body."
#[test]
fn only_send_message_and_error_may_have_a_body() {
    for (version, command) in pairs([V1_1, V1_2], Command::ALL) {
        let frame = Frame::new(command).with_body("x");
        let plain = parse(version, format!("{command}\n\nx\0"));
        let with_length = parse(version, format!("{command}\ncontent-length:1\n\nx\0"));
        if WITH_BODY.contains(&command) {
            assert_eq!(plain, Ok(frame.clone()));
            let frame = frame.with_header("content-length", "1");
            assert_eq!(with_length, Ok(frame.clone()));
            assert_eq!(parse(version, frame.to_bytes(version).unwrap()), Ok(frame));
        } else {
            assert_eq!(
                (plain, with_length),
                (Err(Kind::UnexpectedBody), Err(Kind::UnexpectedBody))
            );
            assert_eq!(
                frame.to_bytes(version),
                Err(EncodeError::UnexpectedBody(command))
            );
        }
    }
}

/// A command that cannot have a body has none, if a NUL follows its head. Clients acknowledge a `MESSAGE` with all of its
/// headers.
#[test]
fn the_content_length_of_a_command_without_a_body_means_nothing_if_a_nul_follows_the_head() {
    for (version, command) in pairs(Version::ALL, Command::ALL) {
        let text = format!("{command}\na:b\ncontent-length:40\nc:d\n\n\0");
        let next = "SEND\n\nnext\0";
        let mut decoder = Decoder::new(Limits::default());
        decoder.resume(version, Limits::default());
        let mut frames = Vec::new();
        for byte in [&*text, next].concat().bytes() {
            decoder.feed(vec![byte]);
            while let Ok(Some(Decoded::Frame(frame))) = decoder.decode() {
                frames.push(frame);
                decoder.resume(version, Limits::default());
            }
        }
        if WITH_BODY.contains(&command) {
            assert_eq!(frames, [], "{command} waits for its body");
            continue;
        }
        let expected = Frame::new(command)
            .with_header("a", "b")
            .with_header("c", "d");
        assert_eq!(parse(version, text), Ok(expected.clone()));
        assert_eq!(
            frames,
            [
                expected.clone(),
                Frame::new(Command::Send).with_body("next")
            ]
        );
        assert!(expected.to_bytes(version).is_ok());
    }
}

// "Header content-length"
//
// "If a content-length header is included, this number of octets MUST be read, regardless of whether or not there are
// NULL octets in the body.": see `a_body_with_content_length_may_contain_nul` in decoding.rs.

/// Clause: "All frames MAY include a content-length header."
#[test]
fn every_command_accepts_a_content_length_of_0() {
    for (version, command) in pairs(Version::ALL, Command::ALL) {
        let frame = Frame::new(command).with_header("content-length", "0");
        let text = format!("{command}\ncontent-length:0\n\n\0");
        assert_eq!(frame.to_bytes(version).unwrap(), text);
        assert_eq!(parse(version, text), Ok(frame));
    }
}

/// Clause: "This header is an octet count for the length of the message body."
#[test]
fn content_length_counts_bytes_not_characters() {
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
    for length in ["2", "5", "7", "", "six", "+6", "00000000006"] {
        let frame = send()
            .with_header("content-length", length)
            .with_body("日本");
        let error = frame.to_bytes(V1_2).unwrap_err();
        assert!(
            matches!(error, EncodeError::WrongContentLength { body_bytes: 6, .. }),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("content-length is {length:?}, but the body has 6 bytes")
        );
    }
}

/// Clause: "The frame still needs to be terminated with a NULL octet."
#[test]
fn a_body_with_content_length_still_ends_with_nul() {
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
        "the NUL belongs to the body"
    );
}

/// Clause: "If the frame body contains NULL octets, the frame MUST include a content-length header." With any other
/// body, it SHOULD include one.
#[test]
fn every_body_is_encoded_with_its_content_length() {
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

// "Header content-type": "its value MUST be a MIME type". Applications must ensure this; the codec accepts any value.

/// Clause: "All STOMP clients and servers MUST support UTF-8 encoding and decoding." A body may contain text in any
/// encoding, or other bytes.
#[test]
fn a_body_may_contain_any_bytes() {
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
