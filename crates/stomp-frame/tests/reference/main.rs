//! Compares the [`Decoder`] with a reference decoder, which is slow, simple and written from the specification.
//!
//! The reference decoder examines a buffer that contains the whole stream, one byte after the other. It collects all
//! errors of a head and of a body, but the [`Decoder`] stops at the first error that it finds. So the two decoders must
//! agree on the frames and the receipt, and on the existence of an error. The kind of the [`Decoder`]'s error must be
//! one of those that the reference decoder has collected. If the stream arrives in pieces, the [`Decoder`] must return
//! the same frames and the same error.
//!
//! The specification leaves some choices. Both decoders choose the following: CR LF ends a line in each version, and
//! any other CR is an error; a colon in a value is data; a head is UTF-8 and contains no NUL; a body is allowed on
//! `SEND`, `MESSAGE` and `ERROR`, and ignored on `SUBSCRIBE` in 1.0; `content-length` is one to ten digits, and means
//! nothing if a NUL follows the head of a frame without a body; in 1.0 spaces around a value are no part of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic in a helper fails the test"
)]

mod generator;
mod parser;

use bytes::Bytes;
use generator::{limits, mutated_stream};
use parser::{PlainFrame, parse};
use proptest::{
    collection::vec, prelude::*, sample::Index, strategy::ValueTree, test_runner::TestRunner,
};
use std::{collections::BTreeMap, env};
use stomp_frame::{
    DecodeError, DecodeErrorKind as Kind, Decoded, Decoder, Limits,
    Version::{self, V1_2},
};

/// Decodes `pieces` with the [`Decoder`].
fn decode(
    version: Version,
    limits: Limits,
    pieces: &[&[u8]],
) -> (Vec<PlainFrame>, Option<DecodeError>) {
    let mut decoder = Decoder::new(limits);
    decoder.resume(version, limits);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            match decoder.decode() {
                Err(error) => return (frames, Some(error)),
                Ok(None) => break,
                Ok(Some(Decoded::HeartBeat)) => {}
                Ok(Some(Decoded::Frame(frame))) => {
                    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                    let headers = frame.headers.iter().map(owned).collect();
                    frames.push(PlainFrame {
                        command: frame.command.to_string(),
                        headers,
                        body: frame.body.to_vec(),
                    });
                    decoder.resume(version, limits);
                }
            }
        }
    }
    (frames, None)
}

/// Compares the two decoders in each version of STOMP.
fn compare(bytes: &[u8], cuts: &[Index], limits: Limits) -> Result<(), TestCaseError> {
    for version in Version::ALL {
        let expected = parse(version, &limits, bytes);
        let shown = || format!("STOMP {version}: {}, {expected:?}", bytes.escape_ascii());
        let (frames, error) = decode(version, limits, &[bytes]);
        prop_assert_eq!(&frames, &expected.frames, "{}", shown());
        match &error {
            Some(error) => {
                prop_assert!(
                    expected.errors.contains(&error.kind()),
                    "{:?}: {}",
                    error,
                    shown()
                );
                if has_all_headers(error.kind()) || error.receipt().is_some() {
                    let receipt = expected.receipt.as_deref();
                    prop_assert_eq!(error.receipt(), receipt, "{:?}: {}", error, shown());
                }
            }
            None => prop_assert!(!expected.must_fail, "no error: {}", shown()),
        }
        let pieces = cut(bytes, cuts);
        prop_assert_eq!(
            decode(version, limits, &pieces),
            (frames, error),
            "in the pieces {:?}: {}",
            pieces,
            shown()
        );
    }
    Ok(())
}

/// Returns true if errors of this kind can occur only after the head is complete, so that the receipt is known.
fn has_all_headers(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::InvalidContentLength
            | Kind::UnexpectedBody
            | Kind::MissingNul
            | Kind::UndefinedEscape
    )
}

fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decoder_agrees_with_the_reference_decoder(
        bytes in mutated_stream(),
        cuts in vec(any::<Index>(), 0..6),
        limits in limits(),
    ) {
        compare(&bytes, &cuts, limits)?;
    }
}

fn cases() -> u32 {
    env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(10_000)
}

/// Checks the generators of streams: the comparison proves nothing about errors that they never generate.
#[test]
fn the_generated_streams_contain_frames_and_every_kind_of_error() {
    let mut runner = TestRunner::deterministic();
    let (mut with_frames, mut failing, mut errors) = (0, 0, BTreeMap::<String, usize>::new());
    for _ in 0..2_000 {
        let bytes = mutated_stream().new_tree(&mut runner).unwrap().current();
        let limits = limits().new_tree(&mut runner).unwrap().current();
        let parsed = parse(V1_2, &limits, &bytes);
        with_frames += usize::from(!parsed.frames.is_empty());
        failing += usize::from(parsed.must_fail);
        for kind in parsed.errors {
            *errors
                .entry(format!("{kind:?}").replace(|c: char| !c.is_alphabetic(), ""))
                .or_default() += 1;
        }
    }
    println!("{with_frames} streams with frames, {failing} with errors, {errors:#?}");
    assert!(
        with_frames > 600 && failing > 600,
        "{with_frames} streams with frames, {failing} with errors"
    );
    assert_eq!(errors.len(), 14, "{errors:?}");
    assert!(errors.values().all(|count| *count >= 10), "{errors:?}");
}
