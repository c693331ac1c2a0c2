//! STOMP frames over one WebSocket or byte stream.
//!
//! A [`Socket`] reads and writes frames over one connection. It turns bytes into frames and reports how the connection
//! ends; it does not interpret the frames.
//!
//! ```
//! use futures_util::{SinkExt, StreamExt};
//! use stomp_frame::{Command, Frame, Limits, Version};
//! use stomp_socket::{Config, Inbound, Outbound, Peer, Socket};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ours, theirs) = tokio::io::duplex(1024);
//! let mut server = Socket::over_byte_stream(ours, Peer::default(), &Config::default());
//! let mut client = Socket::over_byte_stream(theirs, Peer::default(), &Config::default());
//!
//! client.send(Outbound::Frame(Frame::new(Command::Connect))).await?;
//! let Some(Inbound::Frame(connect)) = server.next().await else { panic!() };
//! assert_eq!(connect.command, Command::Connect);
//!
//! // After CONNECT, the socket reads nothing more until it knows the version.
//! server.resume(Version::V1_2, Limits::default());
//! # Ok(())
//! # }
//! ```
//!
//! | topic | items |
//! |---|---|
//! | reading and writing | [`Socket`], [`Inbound`], [`Outbound`], [`EncodedFrame`] |
//! | the end of a connection | [`End`], [`CloseCode`], [`SendError`] |
//! | the other end | [`Peer`], [`TlsIdentity`] |
//! | limits and settings | [`Config`], [`InvalidConfig`] |
//! | counting and shutting down connections in a server | [`Permit`] |
//! | answering or starting a WebSocket handshake | [`handshake`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tungstenite` | no | `Socket::from_websocket`, which makes the version of `tokio-tungstenite` part of the API |

#![forbid(unsafe_code)]

mod config;
mod end;
mod peer;
mod permit;
mod socket;

mod byte_stream;
mod input;
mod linger;
mod log_throttle;
mod output;
mod transport;
mod websocket;

pub use config::Config;
pub use end::{CloseCode, End, SendError};
#[doc(hidden)] // for the other crates of this workspace
pub use log_throttle::{LogThrottle, LogThrottles};
pub use peer::{Peer, TlsIdentity};
pub use permit::Permit;
pub use socket::{EncodedFrame, Inbound, Outbound, Socket};
pub use websocket::handshake;

#[doc(inline)]
pub use stomp_frame::InvalidConfig;

/// The example in the README, as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
