//! Accepts connections, upgrades them to WebSocket, and returns STOMP sockets.
//!
//! A [`Server`] has its own listeners and returns [`Socket`](stomp_socket::Socket)s. An [`Upgrade`] is a tower service
//! that answers WebSocket handshakes on your existing HTTP server.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use stomp_server::{Config, Server, bind};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut server = Server::new(bind("127.0.0.1:8000").await?, Config::default())?;
//! while let Some(mut socket) = server.accept().await {
//!     tokio::spawn(async move { while let Some(item) = socket.next().await {} });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | topic | items |
//! |---|---|
//! | listening for WebSockets, STOMP over TCP and TLS | [`Server`], [`bind`], [`Listeners`], [`Listener`], `tls::Tls` |
//! | mounting on axum, hyper and other HTTP servers | [`Upgrade`] |
//! | allowed origins and hosts, connection limits, timeouts, TCP keep-alive | [`Config`], [`Origins`], [`ConnectionLimits`] |
//! | numbers of connections | [`ConnectionCounts`] |
//! | shutting down | [`Shutdown`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tls` | no | the module `tls`: listeners with TLS, by rustls |

#![forbid(unsafe_code)]

mod config;
mod limits;
mod listener;
mod listeners;
mod origin;
mod server;
mod shutdown;
#[cfg(feature = "tls")]
pub mod tls;
mod upgrade;

mod acceptor;
mod host;
mod log_throttle;
mod refusal;
mod sniff;
mod tcp;
mod websocket_handshake;

pub use config::Config;
pub use limits::{ConnectionCounts, ConnectionLimits};
pub use listener::{Incoming, Listener, bind};
pub use listeners::Listeners;
pub use origin::Origins;
pub use server::Server;
pub use shutdown::{Abortable, Shutdown};
pub use upgrade::Upgrade;

pub use stomp_socket::{InvalidConfig, Peer};

/// The example in the README, as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
