//! Tests for the decoder with fixed inputs: valid frames, each kind of error, and each limit.

use stomp_frame::{
    Command, DecodeError, DecodeErrorKind as Kind, Decoded, Decoder, Frame, Limits, Version,
};

/// Decodes all frames in `bytes` in the given version.
fn decode(version: Version, bytes: &[u8]) -> Result<Vec<Frame>, Kind> {
    decode_within(Limits::default(), version, bytes)
}

fn decode_within(limits: Limits, version: Version, bytes: &[u8]) -> Result<Vec<Frame>, Kind> {
    let mut decoder = Decoder::new(limits);
    decoder.resume(version, limits);
    decoder.feed(bytes.to_vec());
    let mut frames = Vec::new();
    while let Some(item) = decoder.decode().map_err(|error| error.kind())? {
        if let Decoded::Frame(frame) = item {
            frames.push(frame);
            decoder.resume(version, limits);
        }
    }
    Ok(frames)
}

#[track_caller]
fn check(version: Version, bytes: &[u8], expected: &[Frame]) {
    assert_eq!(decode(version, bytes).as_deref(), Ok(expected));
}

#[track_caller]
fn check_error(version: Version, bytes: &[u8], expected: Kind) {
    assert_eq!(decode(version, bytes), Err(expected));
}

fn send() -> Frame {
    Frame::new(Command::Send).with_header("destination", "/a")
}

#[test]
fn a_body_without_content_length_ends_at_the_first_nul() {
    check(
        Version::V1_2,
        b"SEND\ndestination:/a\n\nhello\0",
        &[send().with_body("hello")],
    );
}

#[test]
fn a_body_with_content_length_may_contain_nul() {
    let expected = send()
        .with_header("content-length", "3")
        .with_body(&b"a\0b"[..]);
    check(
        Version::V1_2,
        b"SEND\ndestination:/a\ncontent-length:3\n\na\0b\0",
        &[expected],
    );
}

#[test]
fn lines_may_end_with_cr_lf() {
    check(
        Version::V1_2,
        b"SEND\r\ndestination:/a\r\n\r\nhi\0\r\n\n",
        &[send().with_body("hi")],
    );
}

#[test]
fn header_values_are_not_trimmed() {
    let expected = Frame::new(Command::Send).with_header("destination", " /a ");
    check(Version::V1_2, b"SEND\ndestination: /a \n\n\0", &[expected]);
}

#[test]
fn escapes_depend_on_the_version() {
    let value = |text: &str| Frame::new(Command::Send).with_header("x", text);
    let bytes = b"SEND\nx:a\\nb\\cc\\\\d\n\n\0";
    check(Version::V1_0, bytes, &[value("a\\nb\\cc\\\\d")]);
    check(Version::V1_1, bytes, &[value("a\nb:c\\d")]);
    check(Version::V1_2, bytes, &[value("a\nb:c\\d")]);
    check_error(Version::V1_1, b"SEND\nx:\\r\n\n\0", Kind::UndefinedEscape);
    check(Version::V1_2, b"SEND\nx:\\r\n\n\0", &[value("\r")]);
    for undefined in [
        &b"SEND\nx:\\t\n\n\0"[..],
        b"SEND\nx:\\\n\n\0",
        b"SEND\n\\t:x\n\n\0",
    ] {
        check_error(Version::V1_2, undefined, Kind::UndefinedEscape);
    }
}

#[test]
fn connect_is_never_unescaped() {
    let expected = Frame::new(Command::Connect).with_header("passcode", "a\\nb:c");
    check(
        Version::V1_2,
        b"CONNECT\npasscode:a\\nb:c\n\n\0",
        &[expected],
    );
}

#[test]
fn only_send_message_error_and_subscribe_1_0_may_have_a_body() {
    check_error(Version::V1_2, b"CONNECT\n\nx\0", Kind::UnexpectedBody);
    check_error(
        Version::V1_2,
        b"RECEIPT\nreceipt-id:1\ncontent-length:1\n\nx\0",
        Kind::UnexpectedBody,
    );
    check(
        Version::V1_2,
        b"DISCONNECT\ncontent-length:0\n\n\0",
        &[Frame::new(Command::Disconnect).with_header("content-length", "0")],
    );
    // STOMP 1.0: "The body of the SUBSCRIBE command is ignored."
    let subscribe = Frame::new(Command::Subscribe).with_header("destination", "/a");
    check(
        Version::V1_0,
        b"SUBSCRIBE\ndestination:/a\n\nx\0",
        &[subscribe],
    );
    check_error(
        Version::V1_1,
        b"SUBSCRIBE\ndestination:/a\n\nx\0",
        Kind::UnexpectedBody,
    );
}

#[test]
fn the_offset_of_an_error_counts_from_the_first_byte_of_its_frame_in_pieces_of_any_size() {
    for (text, offset) in [
        ("SENT\na:b\n\n\0", 0),
        ("SEND\na:b\nnone\n\n\0", 9),
        ("SEND\na:b\n:c\n\n\0", 9),
        ("SEND\na:b\ncontent-length:ten\n\n\0", 24),
        ("SEND\na:b\nc:\\d\n\n\0", 11),
        ("SEND\na:b\ncontent-length:1\n\nxy\0", 28),
        ("ACK\nid:1\ncontent-length:1\n\nx\0", 27),
        ("SEND\na:b\0", 8),
    ] {
        for eol in ["\n", "\r\n"] {
            let before = "SEND\n\nx\0\n\n".replace('\n', eol);
            let text = text.replace('\n', eol);
            // Each line before the error is longer by the length of the CR.
            let lines = text.bytes().scan(0, |end, byte| {
                *end += 1;
                Some((*end, byte))
            });
            let added = match eol {
                "\n" => 0,
                _ => lines
                    .filter(|(_, byte)| *byte == b'\r')
                    .enumerate()
                    .take_while(|(count, (end, _))| end - count <= offset)
                    .count(),
            };
            for size in [1, 2, 3, 7, 1_000] {
                let stream = [&*before, &*text].concat();
                let mut decoder = Decoder::new(Limits::default());
                decoder.resume(Version::V1_2, Limits::default());
                let error = stream.as_bytes().chunks(size).find_map(|piece| {
                    decoder.feed(piece.to_vec());
                    loop {
                        match decoder.decode() {
                            Ok(Some(_)) => {}
                            Ok(None) => return None,
                            Err(error) => return Some(error),
                        }
                    }
                });
                let found = error.map(|error| error.offset());
                assert_eq!(found, Some(offset + added), "{text:?} in pieces of {size}");
            }
        }
    }
}

#[test]
fn an_error_quotes_the_text_that_is_wrong_unless_it_may_be_a_secret() {
    for (text, expected) in [
        (
            "SENT\n\n\0",
            r#"unknown command: "SENT", at byte 0 of the frame"#,
        ),
        (
            "SEND\ncontent-length:ten\n\n\0",
            r#"content-length is not a number of one to ten digits: "ten", at byte 20 of the frame"#,
        ),
        (
            "SEND\ncontent-length:1\n\nxy\0",
            r#"no NUL after the number of bytes in content-length: "1", at byte 24 of the frame"#,
        ),
        (
            "ACK\ncontent-length:2\n\nxy\0",
            r#"body on a frame that must not have one: "ACK", at byte 22 of the frame"#,
        ),
        (
            "SEND\na:b\\\u{e9}\n\n\0",
            r#"undefined escape sequence: "\\é", at byte 8 of the frame"#,
        ),
        (
            "SEND\npasscode secret\n\n\0",
            "header line without a colon, at byte 5 of the frame",
        ),
    ] {
        let error = Frame::parse(text, Version::V1_2).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn malformed_frames_are_errors() {
    for (bytes, kind) in [
        (&b"GET / HTTP/1.1\r\n"[..], Kind::UnknownCommand),
        (b"send\n\n\0", Kind::UnknownCommand),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x7f",
            Kind::NulInHead,
        ),
        (b"SEND\ndestination\n\n\0", Kind::MissingColon),
        (b"SEND\n:x\n\n\0", Kind::EmptyHeaderName),
        (b"SEND\na\rb:x\n\n\0", Kind::BareCarriageReturn),
        (b"SEND\nb:a\rx\n\n\0", Kind::BareCarriageReturn),
        (b"SEND\nb:\xff\n\n\0", Kind::NotUtf8),
        (b"SEND\nb:x\0\n\n\0", Kind::NulInHead),
        (b"SEND\0", Kind::NulInHead),
        (b"SEND\ncontent-length:-1\n\n\0", Kind::InvalidContentLength),
        (
            b"SEND\ncontent-length:99999999999\n\n\0",
            Kind::InvalidContentLength,
        ),
        (b"SEND\ncontent-length:1\n\nab\0", Kind::MissingNul),
        (
            b"SEND\ncontent-length:9999999999\n\n",
            Kind::FrameTooLong(262_144),
        ),
    ] {
        check_error(Version::V1_2, bytes, kind);
    }
}

/// Feeds `bytes` in pieces of each size, and checks that the error is always the same.
#[track_caller]
fn error_of(bytes: &[u8]) -> DecodeError {
    let error_in_pieces = |size: usize| {
        let mut decoder = Decoder::new(Limits::default());
        decoder.resume(Version::V1_2, Limits::default());
        bytes
            .chunks(size)
            .find_map(|piece| {
                decoder.feed(piece.to_vec());
                decoder.decode().err()
            })
            .expect("the bytes contain an error")
    };
    let whole = error_in_pieces(bytes.len());
    for size in 1..bytes.len() {
        assert_eq!(error_in_pieces(size), whole, "in pieces of {size} bytes");
    }
    whole
}

#[test]
fn an_unknown_command_is_quoted_up_to_11_bytes() {
    for (bytes, found) in [
        (&b"SENT\n\n\0"[..], "SENT"),
        (b"send\r\n\r\n\0", "send"),
        (b"\tSEND\n\n\0", "\tSEND"),
        (b"ELEVENBYTES\n\n\0", "ELEVENBYTES"),
        (b"ELEVENBYTES\r\n\n\0", "ELEVENBYTES"),
        (b"TWELVE BYTES\n\n\0", "TWELVE BYTE…"),
        (b"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/…"),
        (b"\x16\x03\xff\n\n\0", "\u{16}\u{3}\u{fffd}"),
        (b"1234567890\xc3\xa9\n\n\0", "1234567890\u{fffd}…"),
        (b"ELEVENBYTES\rX\n\n\0", "ELEVENBYTES"),
    ] {
        let error = error_of(bytes);
        assert_eq!(
            (error.kind(), error.offset(), error.found()),
            (Kind::UnknownCommand, 0, Some(found))
        );
        assert_eq!(
            error.to_string(),
            format!("unknown command: {found:?}, at byte 0 of the frame")
        );
    }
}

#[test]
fn an_invalid_content_length_is_quoted_with_its_position() {
    let long = "9".repeat(100);
    for (value, found) in [
        ("ten", "ten"),
        ("", ""),
        (" 1", " 1"),
        (&long, &format!("{}…", "9".repeat(40))),
    ] {
        let error = error_of(format!("SEND\na:b\ncontent-length:{value}\nc:d\n\n\0").as_bytes());
        assert_eq!(
            (error.kind(), error.offset(), error.found()),
            (Kind::InvalidContentLength, 24, Some(found))
        );
        assert_eq!(
            error.to_string(),
            format!(
                "content-length is not a number of one to ten digits: {found:?}, at byte 24 of the frame"
            )
        );
    }
}

#[test]
fn the_offset_of_an_error_counts_from_the_first_byte_of_its_frame() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.resume(Version::V1_2, Limits::default());
    decoder.feed("SEND\n\nhi\0\n\nSEND\ncontent-length:x\n\n\0");
    let error = loop {
        match decoder.decode() {
            Ok(item) => assert!(item.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.offset(), 20);
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn a_truncated_frame_leaves_buffered_bytes() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.resume(Version::V1_2, Limits::default());
    decoder.feed("SEND\n\nhi\0\nSEND\n\nh");
    while decoder.decode().unwrap().is_some() {}
    assert_eq!(decoder.buffered_bytes(), 7);
    decoder.feed("i\0\n");
    while decoder.decode().unwrap().is_some() {}
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn a_new_decoder_reads_stomp_1_0() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.feed("SEND\nx:a\\nb\n\n\0");
    let expected = Frame::new(Command::Send).with_header("x", "a\\nb");
    assert_eq!(decoder.decode(), Ok(Some(Decoded::Frame(expected))));
}

#[test]
fn a_decode_error_contains_the_receipt() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.resume(Version::V1_2, Limits::default());
    decoder.feed("SEND\nreceipt:a\\c7\nx:\\t\n\n\0");
    let error = decoder.decode().unwrap_err();
    assert_eq!(
        (error.kind(), error.offset(), error.receipt()),
        (Kind::UndefinedEscape, 20, Some("a:7"))
    );
    assert_eq!(
        decoder.decode(),
        Err(error),
        "later calls return the same error"
    );
}

#[test]
fn a_head_that_is_not_utf_8_has_its_receipt_if_that_is_utf_8() {
    for (version, head, receipt) in [
        (
            Version::V1_2,
            &b"SEND\nreceipt:7\nx:\xff\n\n"[..],
            Some("7"),
        ),
        (
            Version::V1_2,
            b"SEND\nx:\xff\nreceipt:a\\c7\n\n",
            Some("a:7"),
        ),
        (Version::V1_0, b"SEND\n\xff: 1\nreceipt: 7\n\n", Some("7")),
        (
            Version::V1_2,
            b"SEND\nx:\xff\r\nreceipt:7\r\n\r\n",
            Some("7"),
        ),
        (Version::V1_2, b"SEND\nx:\xff\nreceipt:\xff\n\n", None),
        (Version::V1_2, b"SEND\nx:\xff\n\n", None),
    ] {
        let mut decoder = Decoder::new(Limits::default());
        decoder.resume(version, Limits::default());
        decoder.feed([head, b"body\0SEND\nreceipt:next\n\n\0"].concat());
        let error = decoder.decode().unwrap_err();
        assert_eq!((error.kind(), error.receipt()), (Kind::NotUtf8, receipt));
    }
}

#[test]
fn limits_are_exact_to_the_byte() {
    let limits = Limits::default()
        .max_frame_bytes(60)
        .max_head_bytes(40)
        .max_line_bytes(20)
        .max_headers(2);
    let outcome =
        |bytes: &[u8]| decode_within(limits, Version::V1_2, bytes).map(|frames| frames.len());
    let line = |length: usize| format!("SEND\na:{}\n\n\0", "x".repeat(length - 2)).into_bytes();
    assert_eq!(outcome(&line(20)), Ok(1));
    assert_eq!(outcome(&line(21)), Err(Kind::LineTooLong(20)));
    assert_eq!(
        outcome(&line(21)[..26]),
        Err(Kind::LineTooLong(20)),
        "before the end of the line has arrived"
    );
    let head = |length: usize| {
        format!(
            "SEND\na:{}\nb:{}\n\n\0",
            "x".repeat(14),
            "x".repeat(length - 26)
        )
        .into_bytes()
    };
    assert_eq!(outcome(&head(40)), Ok(1));
    assert_eq!(outcome(&head(41)), Err(Kind::HeadTooLong(40)));
    assert_eq!(outcome(b"SEND\na:1\nb:1\n\n\0"), Ok(1));
    assert_eq!(
        outcome(b"SEND\na:1\nb:1\na:1\n\n\0"),
        Err(Kind::TooManyHeaders(2))
    );
    let body = |length: usize| [b"SEND\n\n", &b"x".repeat(length - 7)[..], b"\0"].concat();
    assert_eq!(outcome(&body(60)), Ok(1));
    assert_eq!(outcome(&body(61)), Err(Kind::FrameTooLong(60)));
    assert_eq!(
        outcome(b"SEND\ncontent-length:35\n\n"),
        Ok(0),
        "60 bytes in all"
    );
    assert_eq!(
        outcome(b"SEND\ncontent-length:36\n\n"),
        Err(Kind::FrameTooLong(60))
    );
}

#[test]
fn the_decoder_stops_after_connect() {
    let mut decoder = Decoder::new(Limits::default().max_frame_bytes(64));
    decoder.feed("CONNECT\n\n\0\n\nSEND\ndestination:/a\n\n\0");
    assert!(matches!(decoder.decode(), Ok(Some(Decoded::Frame(_)))));
    assert_eq!(decoder.decode(), Ok(None));
    decoder.resume(Version::V1_2, Limits::default());
    assert_eq!(decoder.decode(), Ok(Some(Decoded::HeartBeat)));
    assert_eq!(decoder.decode(), Ok(Some(Decoded::Frame(send()))));
}

#[test]
fn bytes_buffered_after_connect_are_bounded() {
    let mut decoder = Decoder::new(Limits::default().max_frame_bytes(64));
    decoder.feed("CONNECT\n\n\0");
    assert!(matches!(decoder.decode(), Ok(Some(Decoded::Frame(_)))));
    decoder.feed(vec![b'\n'; 64]);
    assert_eq!(decoder.decode(), Ok(None));
    decoder.feed("\n");
    assert_eq!(
        decoder.decode().map_err(|error| error.kind()),
        Err(Kind::FrameTooLong(64))
    );
}

/// Counts the frames and heart-beats of a stream that is fed in pieces.
fn count_in_pieces(
    limits: Limits,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> Result<usize, DecodeError> {
    let mut decoder = Decoder::new(limits);
    decoder.resume(Version::V1_2, limits);
    let mut items = 0;
    for piece in pieces {
        decoder.feed(piece.to_vec());
        while decoder.decode()?.is_some() {
            items += 1;
        }
    }
    Ok(items)
}

/// The decoder reports the limit that was exceeded first. A CR exceeds no limit, because it may be half of an EOL.
#[test]
fn the_reported_limit_does_not_depend_on_the_pieces_of_the_stream() {
    const ALPHABET: &[u8] = b"A\r\n:";
    const LENGTH: u32 = 5;
    for number in 0..ALPHABET.len().pow(LENGTH) {
        let stream: Vec<u8> = (0..LENGTH)
            .map(|place| ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()])
            .collect();
        for (frame, head) in [
            (4, 4),
            (4, 9),
            (5, 4),
            (5, 9),
            (9, 3),
            (9, 4),
            (9, 5),
            (9, 9),
        ] {
            for (line, headers) in [
                (0, 0),
                (0, 9),
                (1, 0),
                (1, 9),
                (2, 9),
                (9, 0),
                (9, 1),
                (9, 9),
            ] {
                let limits = Limits::default()
                    .max_frame_bytes(frame)
                    .max_head_bytes(head)
                    .max_line_bytes(line)
                    .max_headers(headers);
                let whole = count_in_pieces(limits, &mut [&stream[..]].into_iter());
                let pieces = count_in_pieces(limits, &mut stream.chunks(1));
                assert_eq!(
                    pieces.as_ref().err(),
                    whole.as_ref().err(),
                    "{stream:?} {limits:?}"
                );
            }
        }
    }
}

#[test]
fn an_incomplete_frame_is_described_by_what_has_arrived() {
    let describe = |bytes: &'static str| {
        let mut decoder = Decoder::new(Limits::default());
        decoder.resume(Version::V1_2, Limits::default());
        decoder.feed(bytes);
        while decoder.decode().unwrap().is_some() {}
        decoder.incomplete_frame().map(|frame| {
            let receipt = frame.receipt.as_deref().map(str::to_owned);
            (frame.bytes, frame.command, frame.length, receipt)
        })
    };
    let receipt = || Some("a:b".to_owned());
    for (bytes, expected) in [
        ("", None),
        ("\n", None),
        ("SEND\n\n\0", None),
        ("SE", Some((2, None, None, None))),
        ("\nSEND\n", Some((5, Some(Command::Send), None, None))),
        (
            "SEND\nreceipt:a\\cb\n",
            Some((18, Some(Command::Send), None, receipt())),
        ),
        (
            "SEND\n\n\0SEND\nreceipt:a\\cb\n\nbody",
            Some((23, Some(Command::Send), None, receipt())),
        ),
        (
            "SEND\ncontent-length:9\n\nbody",
            Some((27, Some(Command::Send), Some(33), None)),
        ),
        (
            "STOMP\nreceipt:a\\cb\n\n",
            Some((20, Some(Command::Stomp), None, Some("a\\cb".to_owned()))),
        ),
    ] {
        assert_eq!(describe(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_stopped_decoder_has_no_incomplete_frame() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.feed("CONNECT\n\n\0SEND\n");
    assert!(decoder.decode().unwrap().is_some());
    assert_eq!(decoder.incomplete_frame(), None);
    decoder.resume(Version::V1_2, Limits::default());
    assert_eq!(decoder.decode().unwrap(), None);
    assert_eq!(decoder.incomplete_frame().unwrap().bytes, 5);
}
