//! Accepts and upgrades connections, and emits STOMP sockets.
//!
//! A [`Server`] listens and gives [`Socket`](stomp_socket::Socket)s; an [`Upgrade`] does the same where an HTTP server
//! runs already: it is a tower service that answers WebSocket handshakes.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use stomp_server::{Config, Server};
//!
//! # async fn example() -> std::io::Result<()> {
//! let mut server = Server::bind("127.0.0.1:8000", Config::default()).await?;
//! loop {
//!     let mut socket = server.accept().await;
//!     tokio::spawn(async move { while let Some(item) = socket.next().await {} });
//! }
//! # }
//! ```
//!
//! | to read about | see |
//! |---|---|
//! | listening | [`Server`] |
//! | mounting on axum, hyper and others | [`Upgrade`] |
//! | who may connect, and how long it may take | [`Config`], [`Origins`] |

#![forbid(unsafe_code)]

mod config;
mod origin;
mod server;
mod upgrade;

pub use config::Config;
pub use origin::Origins;
pub use server::Server;
pub use upgrade::Upgrade;
