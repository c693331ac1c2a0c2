//! A codec for STOMP 1.0, 1.1 and 1.2: decodes bytes to frames and encodes frames to bytes, without I/O.
//!
//! One frame at a time:
//!
//! ```
//! use stomp_frame::{Command, Frame, Version};
//!
//! let frame = Frame::parse(&b"SEND\ndestination:/queue/a\n\nhello\0"[..], Version::V1_2)?;
//! assert_eq!(frame.command, Command::Send);
//! assert_eq!(frame.headers.get("destination"), Some("/queue/a"));
//! assert_eq!(frame.body, "hello");
//!
//! let receipt = Frame::new(Command::Receipt).with_header("receipt-id", "77");
//! assert_eq!(receipt.to_bytes(Version::V1_2)?, "RECEIPT\nreceipt-id:77\n\n\0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! On a connection, bytes arrive in pieces of any size. A [`Decoder`] finds the frames in them and buffers the
//! unfinished rest; an [`Encoder`] appends frames to a `BytesMut`. [`Limits`] bound the memory that a peer can claim:
//! the decoder checks them before it waits for more bytes.
//!
//! | to read about | see |
//! |---|---|
//! | one frame | [`Frame`], [`Command`], [`Headers`] |
//! | bytes to frames | [`Decoder`], [`Decoded`], [`Limits`], [`DecodeError`] |
//! | frames to bytes | [`Encoder`], [`EncodeError`] |
//! | header values | [`Version`], [`HeartBeat`], [`AckMode`] |
//! | header names | [`header`] |
//!
//! # Cost of a frame
//!
//! A frame that is fed whole is a slice of the fed bytes. Decoding it takes one allocation, for the index of its
//! headers, and none if it has no headers. Frames with more than eight headers or with escapes, and frames that arrive
//! in pieces, take more allocations. Encoding a frame into a buffer with enough capacity takes no allocation. The
//! decoder examines each byte a bounded number of times, however small the pieces. Tests verify these numbers.
//!
//! This crate has no clock, no stream and no connection. Everything that depends on earlier frames (subscriptions,
//! receipts, transactions) belongs to the crate `stomp-session`.

#![forbid(unsafe_code)]

mod command;
mod frame;
mod frame_text;
pub mod header;
mod header_value;
mod headers;
mod version;

mod body;
mod decoder;
mod escape;
mod grammar;
mod head;
mod input;
mod limits;
mod padding;
mod structural;

mod encoder;
mod validate;

mod error;
mod excerpt;
mod invalid_config;
mod invalid_value;

pub use command::Command;
pub use decoder::{Decoded, Decoder, IncompleteFrame};
pub use encoder::Encoder;
pub use error::{DecodeError, DecodeErrorKind, EncodeError, InvalidFrame};
pub use frame::Frame;
pub use header_value::{AckMode, HeartBeat};
pub use headers::Headers;
pub use invalid_config::InvalidConfig;
pub use invalid_value::InvalidValue;
pub use limits::Limits;
pub use version::Version;

/// The examples in the README, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
