//! Tests for STOMP 1.2, "Value Encoding".

use super::{UNESCAPED, escaped_commands, inexpressible, pairs, parse, send};
use stomp_frame::{
    Command, DecodeErrorKind as Kind, Decoded, Decoder, Frame, Limits,
    Version::{self, V1_0, V1_1, V1_2},
};

/// Clause: "The commands and headers are encoded in UTF-8."
#[test]
fn headers_must_be_utf_8() {
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
    // A lone continuation byte, two truncated sequences, an overlong sequence, a surrogate, a code point beyond
    // U+10FFFF, and Latin-1.
    let invalid = [
        &b"\x80"[..],
        b"\xc3",
        b"\xe6\x97",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe9t\xe9",
    ];
    for (version, bytes) in pairs(Version::ALL, invalid) {
        for line in [[b"a:", bytes].concat(), [bytes, b":a"].concat()] {
            let frame = [b"SEND\n", &line[..], b"\n\n\0"].concat();
            assert_eq!(parse(version, frame), Err(Kind::NotUtf8), "{bytes:x?}");
        }
    }
}

/// Clause: "All frames except the CONNECT and CONNECTED frames will also escape any carriage return, line feed or colon
/// found in the resulting UTF-8 encoded headers." "Conversely when encoding frame headers, the reverse transformation
/// MUST be applied."
#[test]
fn cr_lf_colon_and_backslash_are_escaped_when_encoding() {
    for command in escaped_commands() {
        let frame = Frame::new(command).with_header("a\rb\nc:d\\e", "f\rg\nh:i\\j");
        let expected = format!("{command}\na\\rb\\nc\\cd\\\\e:f\\rg\\nh\\ci\\\\j\n\n\0");
        assert_eq!(frame.to_bytes(V1_2).unwrap(), expected);
    }
}

/// The same clause applies to a decoded frame: its headers are escaped for the version in which it is encoded.
#[test]
fn a_decoded_frame_is_escaped_for_the_version_that_encodes_it() {
    let decoded = |version, text: &str| parse(version, text).unwrap();
    let raw = decoded(V1_0, "SEND\na\\n:b:c\\t\n\n\0");
    assert_eq!(raw.to_bytes(V1_0).unwrap(), "SEND\na\\n:b:c\\t\n\n\0");
    for version in [V1_1, V1_2] {
        assert_eq!(
            raw.to_bytes(version).unwrap(),
            "SEND\na\\\\n:b\\cc\\\\t\n\n\0"
        );
    }
    let colon = decoded(V1_2, "CONNECT\nhost:[::1]\n\n\0");
    assert_eq!(colon.to_bytes(V1_2).unwrap(), "CONNECT\nhost:[::1]\n\n\0");
    let with_line_feed = decoded(V1_2, "SEND\nx:y\na:b\\nc\\cd\n\n\0");
    assert_eq!(
        with_line_feed.to_bytes(V1_1).unwrap(),
        "SEND\nx:y\na:b\\nc\\cd\n\n\0"
    );
    assert_eq!(inexpressible(V1_0, &with_line_feed), Some('\n'));
    assert_eq!(
        inexpressible(V1_1, &decoded(V1_2, "SEND\nx:y\na:b\\r\n\n\0")),
        Some('\r')
    );
    let with_cr_lf = decoded(V1_2, "SEND\r\na:b\r\nc:\r\n\r\n\0");
    assert_eq!(with_cr_lf.to_bytes(V1_0).unwrap(), "SEND\na:b\nc:\n\n\0");
}

/// Clause: "When decoding frame headers, the following transformations MUST be applied"
#[test]
fn escapes_in_names_and_values_are_decoded_once() {
    let escapes = [("\\r", "\r"), ("\\n", "\n"), ("\\c", ":"), ("\\\\", "\\")];
    let longer = [
        ("\\\\n", "\\n"),
        ("\\\\\\n", "\\\n"),
        ("\\\\\\\\c", "\\\\c"),
        ("a\\cb\\cc", "a:b:c"),
        ("\\né", "\né"),
    ];
    for (command, (escaped, plain)) in pairs(escaped_commands(), escapes) {
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

/// Clause: "Undefined escape sequences such as \t (octet 92 and 116) MUST be treated as a fatal protocol error."
#[test]
fn undefined_escapes_are_errors() {
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
                "a backslash at the end of {text:?}"
            );
        }
    }
}

/// Clause: "The CONNECT and CONNECTED frames do not escape the carriage return, line feed or colon octets in order to
/// remain backward compatible with STOMP 1.0."
#[test]
fn connect_stomp_and_connected_are_never_escaped() {
    for (version, command) in pairs(Version::ALL, UNESCAPED) {
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

/// Clause: "STOMP servers MUST handle a STOMP frame in the same manner as a CONNECT frame."
///
/// For the effects of stopping, see `the_decoder_stops_after_connect` in decoding.rs.
#[test]
fn the_decoder_stops_only_after_connect_stomp_and_connected() {
    for command in Command::ALL {
        let mut decoder = Decoder::new(Limits::default());
        decoder.feed(format!("{command}\n\n\0"));
        assert_eq!(
            decoder.decode(),
            Ok(Some(Decoded::Frame(Frame::new(command))))
        );
        assert_eq!(
            decoder.is_stopped(),
            UNESCAPED.contains(&command),
            "{command}"
        );
    }
}

/// Clause: "In STOMP 1.2, clients and servers MUST never trim or pad headers with spaces." (1.1 has the same clause.)
#[test]
fn headers_are_never_trimmed_or_padded() {
    for version in [V1_1, V1_2] {
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
