//! Properties that hold for all frames, in pieces of any size.

use proptest::{collection::vec, prelude::*};
use stomp_frame::{Command, Decoded, Decoder, EncodeError, Frame, Headers, Limits, Version};

proptest! {
    #[test]
    fn a_stream_decodes_to_the_same_frames_in_any_pieces(frames in vec(frame(), 1..4), cuts in vec(1usize..40, 0..80), version in version(), crlf: bool) {
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend(frame.to_bytes(version).unwrap_or_default());
            bytes.extend(if crlf { &b"\r\n"[..] } else { b"\n" });
        }
        let whole = decode(version, [&bytes[..]]);
        let mut rest = &bytes[..];
        let mut pieces: Vec<&[u8]> = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(decode(version, pieces), whole.clone());
        prop_assert_eq!(decode(version, bytes.chunks(1)), whole);
    }

    #[test]
    fn an_encoded_frame_decodes_to_the_same_frame(frame in frame(), version in version()) {
        match frame.to_bytes(version) {
            Ok(bytes) => {
                prop_assert_eq!(Frame::parse(bytes, version).unwrap(), with_length(frame));
            }
            Err(EncodeError::EmptyHeaderName | EncodeError::UnexpectedBody(_)) => {}
            Err(EncodeError::Inexpressible { character, .. }) => prop_assert!("\r\n\0:".contains(character)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn the_text_of_a_frame_is_its_stomp_1_2_encoding_and_parses_back(frame in frame()) {
        let text = frame.to_string();
        if let Ok(bytes) = frame.to_bytes(Version::V1_2) {
            prop_assert_eq!(&text, &String::from_utf8_lossy(&bytes));
            if std::str::from_utf8(&frame.body).is_ok() {
                prop_assert_eq!(text.parse(), Ok(with_length(frame)));
            }
        }
    }

    #[test]
    fn the_text_of_any_frame_has_one_line_per_header(frame in frame()) {
        let text = frame.to_string();
        let (head, _) = text.split_once("\n\n").unwrap();
        let lines = 1 + frame.headers.len() + usize::from(!frame.body.is_empty());
        prop_assert_eq!(head.split('\n').count(), lines, "{:?}", text);
        prop_assert!(!head.contains(['\r', '\0']));
        prop_assert!(text.ends_with('\0'));
    }

    #[test]
    fn decoding_arbitrary_bytes_does_not_panic(bytes in vec(any::<u8>(), 0..200), version in version()) {
        let _ = decode(version, [&bytes[..]]);
    }
}

fn decode<'a>(
    version: Version,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Frame>, String> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.resume(version, Limits::default());
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece.to_vec());
        while let Some(item) = decoder.decode().map_err(|error| error.to_string())? {
            if let Decoded::Frame(frame) = item {
                frames.push(frame);
                decoder.resume(version, Limits::default());
            }
        }
    }
    Ok(frames)
}

/// Returns the frame with the `content-length` that encoding adds.
fn with_length(mut frame: Frame) -> Frame {
    if !frame.body.is_empty() {
        let length = frame.body.len().to_string();
        frame.headers.append("content-length", &length);
    }
    frame
}

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(&Version::ALL[..])
}

fn frame() -> impl Strategy<Value = Frame> {
    let text = prop_oneof![
        "[a-z/:-]{0,12}",
        vec(
            prop::sample::select(&['a', ':', '\\', '\n', '\r', '\0', 'é', 'n', 'c'][..]),
            0..8
        )
        .prop_map(|chars| chars.into_iter().collect::<String>()),
    ];
    let body = prop_oneof![Just(Vec::new()), vec(any::<u8>(), 1..40)];
    (
        prop::sample::select(&Command::ALL[..]),
        vec((text.clone(), text), 0..12),
        body,
    )
        .prop_map(|(command, headers, body)| Frame {
            command,
            headers: Headers::from_iter(headers),
            body: body.into(),
        })
}
