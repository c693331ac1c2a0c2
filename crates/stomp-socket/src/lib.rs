//! STOMP frames over one WebSocket or byte stream.
//!
//! A [`Socket`] gives the frames a peer sends and takes the frames it is to get. It knows how bytes become frames and
//! how a connection ends, and nothing of what the frames mean.
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
//! // Nothing is read beyond CONNECT until the version is known.
//! server.resume(Version::V1_2, Limits::default());
//! # Ok(())
//! # }
//! ```
//!
//! | to read about | see |
//! |---|---|
//! | reading and writing | [`Socket`], [`Inbound`], [`Outbound`], [`Encoded`] |
//! | how it ends | [`End`], [`CloseCode`] |
//! | who is at the other end | [`Peer`], [`TlsIdentity`] |
//! | a server's hold on it | [`Permit`] |
//! | answering a WebSocket handshake | [`handshake`] |

#![forbid(unsafe_code)]

mod config;
mod end;
mod peer;
mod permit;
mod socket;

mod byte_stream;
mod input;
mod linger;
mod output;
mod websocket;
mod wire;

pub use config::Config;
pub use end::{CloseCode, End, SendError};
pub use peer::{Peer, TlsIdentity};
pub use permit::Permit;
pub use socket::{Encoded, Inbound, Outbound, Socket};
pub use websocket::handshake;

pub use stomp_frame::InvalidConfig;
