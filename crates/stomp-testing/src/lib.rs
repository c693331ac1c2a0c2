//! Helpers that the tests of several crates of this workspace share. This crate is not published.
//!
//! - [`Client`]: the other end of a connection under test. It sends frames or any bytes, over a WebSocket or a byte
//!   stream, and checks the frames that the server sends.
//! - [`frames`]: functions that create the frames that nearly every test sends.
//! - [`websocket`]: single WebSocket frames, valid or invalid.
//! - [`seeded`]: a random generator whose seed is printed, so that a failing run can be repeated.
//! - [`soon`], [`until`]: functions that wait with a timeout. [`without_deadlock`]: the same for a test that may hang.
//!
//! To use it, add `stomp-testing.workspace = true` to the `[dev-dependencies]` of a crate. Of this workspace, this
//! crate depends only on `stomp-frame`, so that every other crate can use it.
//!
//! ```
//! # use stomp_testing::{Client, frames};
//! # use stomp_frame::{Command, Version};
//! # async fn example(stream: tokio::io::DuplexStream) {
//! let mut client = Client::over_byte_stream(stream);
//! client.connect(Version::V1_2).await;
//! client.receipt(frames::subscribe("0", "/prices")).await;
//! client.send(frames::send("/prices", "7")).await;
//! let message = client.expect_message("7").await;
//! assert_eq!(message.headers.get("subscription"), Some("0"));
//! client.expect_nothing().await;
//! # }
//! ```
//!
//! The helpers **panic** instead of returning errors, because a helper that fails must fail its test. A few exceptions
//! return a `Result` or a [`Received`].

#![forbid(unsafe_code)]
#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod client;
pub mod frames;
mod random;
mod time;
pub mod websocket;

pub use client::{Client, Received, Stream};
pub use random::{Rng, seed, seeded};
pub use time::{TIMEOUT, soon, until, usual_or_soak, without_deadlock};
