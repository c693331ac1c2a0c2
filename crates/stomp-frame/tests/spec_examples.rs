//! Decodes the example frames of the three specifications, each in its own version, encodes them, and decodes them
//! again.
//!
//! The files `tests/examples/*.txt` contain the examples in the order of the specification. Some examples violate the
//! specification's own grammar; the files contain the decoder's error for these.
//!
//! ```text
//! # SECTION: remark
//! the bytes, with ^@ for NUL and ␠ for a space at the end of a line
//! => COMMAND            or    => error: KIND
//! name "value"          each header, in order
//! | "body"              if it is not empty
//! ```

#![allow(clippy::unwrap_used, reason = "a panic in a helper fails the test")]

use stomp_frame::{Command, Frame, Version};

#[test]
fn the_examples_of_stomp_1_0_decode_to_the_expected_frames() {
    check(Version::V1_0, include_str!("examples/1.0.txt"), 13, 1);
}

#[test]
fn the_examples_of_stomp_1_1_decode_to_the_expected_frames() {
    check(Version::V1_1, include_str!("examples/1.1.txt"), 17, 5);
}

#[test]
fn the_examples_of_stomp_1_2_decode_to_the_expected_frames() {
    check(Version::V1_2, include_str!("examples/1.2.txt"), 17, 5);
}

/// Checks each example of a file, and the number of frames and of errors.
fn check(version: Version, file: &str, frames: usize, errors: usize) {
    let (mut decoded, mut failed) = (0, 0);
    let lines: Vec<&str> = file.lines().collect();
    for example in lines.join("\n").split("\n# ").skip(1).map(Example::from) {
        let Example { title, wire, .. } = &example;
        match example.frame() {
            Ok(frame) => {
                assert_eq!(
                    Frame::parse(wire.clone(), version).as_ref(),
                    Ok(&frame),
                    "{title}"
                );
                let bytes = frame.to_bytes(version).unwrap();
                assert_eq!(
                    Frame::parse(bytes, version),
                    Ok(with_length(frame)),
                    "{title}, encoded and decoded again"
                );
                decoded += 1;
            }
            Err(kind) => {
                let error = Frame::parse(wire.clone(), version)
                    .map_err(|error| format!("{:?}", error.kind()));
                assert_eq!(error, Err(kind.to_owned()), "{title}");
                failed += 1;
            }
        }
    }
    assert_eq!(
        (decoded, failed),
        (frames, errors),
        "examples of STOMP {version}"
    );
}

struct Example<'a> {
    title: &'a str,
    wire: Vec<u8>,
    expected: &'a str,
}

impl<'a> From<&'a str> for Example<'a> {
    fn from(text: &'a str) -> Self {
        let (title, rest) = text.split_once('\n').unwrap();
        let (wire, expected) = rest.split_once("\n=> ").unwrap();
        Example {
            title,
            wire: wire.replace("^@", "\0").replace('␠', " ").into_bytes(),
            expected,
        }
    }
}

impl<'a> Example<'a> {
    /// The expected frame, or the expected kind of error.
    fn frame(&self) -> Result<Frame, &'a str> {
        let mut lines = self.expected.lines().filter(|line| !line.is_empty());
        let first = lines.next().unwrap();
        if let Some(kind) = first.strip_prefix("error: ") {
            return Err(kind);
        }
        let mut frame = Frame::new(Command::from_bytes(first.as_bytes()).unwrap());
        for line in lines {
            let (name, text) = line.split_once(' ').unwrap();
            let text = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap();
            match name {
                "|" => frame.body = text.replace("\\n", "\n").into(),
                name => frame.headers.append(name, text),
            }
        }
        Ok(frame)
    }
}

/// Returns the frame with the `content-length` that encoding adds.
fn with_length(mut frame: Frame) -> Frame {
    if !frame.body.is_empty() && !frame.headers.contains("content-length") {
        frame
            .headers
            .append("content-length", &frame.body.len().to_string());
    }
    frame
}
