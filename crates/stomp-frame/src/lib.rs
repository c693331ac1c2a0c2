//! The STOMP 1.0, 1.1 and 1.2 codec: frames from bytes and back, without I/O.
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
//! From a connection, where bytes arrive in any pieces, a [`Decoder`] finds the frames and keeps the
//! unfinished rest; an [`Encoder`] appends frames to a `BytesMut`. Everything a peer can make grow is bounded by
//! [`Limits`], counted before bytes are kept.
//!
//! | to read about | see |
//! |---|---|
//! | one frame | [`Frame`], [`Command`], [`Headers`] |
//! | bytes to frames | [`Decoder`], [`Decoded`], [`Limits`], [`DecodeError`] |
//! | frames to bytes | [`Encoder`], [`EncodeError`] |
//! | header values | [`Version`], [`HeartBeat`], [`AckMode`] |
//! | header names | [`header`] |
//!
//! # What a frame costs
//!
//! A frame that arrives whole is a slice of what was fed: one allocation, for the place of its headers, and none if it
//! has no headers. More than eight headers, escapes, and pieces that must be put together cost a few more. Writing a
//! frame into a buffer with room costs none. Each byte is looked at a bounded number of times, however small the
//! pieces. The tests count all of this.
//!
//! What this crate does not do: it knows no clock, no stream and no connection. What depends on earlier frames
//! (subscriptions, receipts, transactions) is `stomp-session`'s.

#![forbid(unsafe_code)]

mod command;
mod frame;
pub mod header;
mod headers;
mod value;
mod version;

mod body;
mod decoder;
mod escape;
mod grammar;
mod head;
mod input;
mod invalid_config;
mod limits;
mod marks;

mod encoder;
mod error;
mod validate;

pub use command::Command;
pub use decoder::{Decoded, Decoder};
pub use encoder::Encoder;
pub use error::{DecodeError, DecodeErrorKind, EncodeError, InvalidFrame, InvalidValue};
pub use frame::Frame;
pub use headers::Headers;
pub use invalid_config::InvalidConfig;
pub use limits::Limits;
pub use value::{AckMode, HeartBeat};
pub use version::Version;
