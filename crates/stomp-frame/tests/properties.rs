//! What holds for any frame and any pieces it comes in.

use proptest::{collection::vec, prelude::*};
use stomp_frame::{Command, Decoded, Decoder, EncodeError, Frame, Headers, Limits, Version};

proptest! {
    #[test]
    fn any_pieces_give_the_same_frames(frames in vec(frame(), 1..4), cuts in vec(1usize..40, 0..80), version in version(), crlf: bool) {
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
    fn what_is_encoded_reads_back(frame in frame(), version in version()) {
        match frame.to_bytes(version) {
            Ok(bytes) => {
                let mut expected = frame;
                if !expected.body.is_empty() {
                    expected.headers.append("content-length", &expected.body.len().to_string());
                }
                prop_assert_eq!(Frame::parse(bytes, version).unwrap(), expected);
            }
            Err(EncodeError::EmptyHeaderName | EncodeError::UnexpectedBody(_)) => {}
            Err(EncodeError::Inexpressible { character, .. }) => prop_assert!("\r\n\0:".contains(character)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), version in version()) {
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
