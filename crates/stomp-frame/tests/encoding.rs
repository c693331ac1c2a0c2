//! Tests for encoding a frame in parts.

use bytes::BytesMut;
use stomp_frame::{Command, Encoder, Frame, Version};

#[test]
fn a_receipt_is_encoded_like_its_frame_or_not_at_all() {
    for version in Version::ALL {
        let encoder = Encoder::new(version);
        for id in ["1", "r:1", "", "a\\b", "\t"] {
            let mut out = BytesMut::from("before");
            encoder.receipt(id, &mut out).unwrap();
            let frame = Frame::new(Command::Receipt).with_header("receipt-id", id);
            assert_eq!(
                out,
                [b"before", &frame.to_bytes(version).unwrap()[..]].concat()[..],
                "{id:?}"
            );
        }

        let mut out = BytesMut::from("before");
        assert!(encoder.receipt("r\0", &mut out).is_err());
        assert_eq!(out, "before");
    }
}
