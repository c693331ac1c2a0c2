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
//! | listening for WebSockets, STOMP over TCP and TLS | [`Server`], [`bind`], [`Listeners`], [`Listener`], `tls::Tls`, `tls::TlsConfig` |
//! | HTTP requests on the port for WebSockets | [`Listeners::http`], [`RequestBody`], [`HttpConfig`] |
//! | mounting on axum, hyper and other HTTP servers | [`Upgrade`] |
//! | allowed origins and hosts, connection limits, timeouts, TCP keep-alive | [`Config`], [`Origins`], [`ConnectionLimits`] |
//! | addresses of clients behind a proxy | [`TrustedProxies`], [`ForwardedHeader`] |
//! | numbers of connections | [`ConnectionCounts`] |
//! | shutting down | [`Shutdown`] |
//! | the state of the process, for load balancers | [`HealthService`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | no | axum's `ConnectInfo<SocketAddr>`, found by an [`Upgrade`] and added to requests of an HTTP service |
//! | `metrics` | no | metrics of connections and refusals, through the crate `metrics` |
//! | `tls` | no | the module `tls`: listeners with TLS, by rustls |

#![forbid(unsafe_code)]

mod config;
mod health;
mod http_config;
mod http_service;
mod limits;
mod listener;
mod listeners;
mod origin;
mod server;
mod shutdown;
#[cfg(feature = "tls")]
pub mod tls;
mod trusted_proxies;
mod upgrade;

mod acceptor;
mod activity;
mod admission;
mod connections;
mod first_request;
mod host;
mod http_connection;
#[cfg(feature = "metrics")]
mod metrics;
mod pace;
mod places;
mod refusal;
mod report;
mod request_head;
mod sniff;
mod tcp;
mod token_bucket;
mod websocket_handshake;

pub use config::Config;
pub use health::HealthService;
pub use http_config::HttpConfig;
pub use http_service::{BoxError, RequestBody};
pub use limits::{ConnectionCounts, ConnectionLimits};
pub use listener::{Incoming, Listener, bind};
pub use listeners::Listeners;
pub use origin::Origins;
pub use server::Server;
pub use shutdown::{Abortable, Shutdown};
pub use trusted_proxies::{ForwardedHeader, TrustedProxies};
pub use upgrade::Upgrade;

#[doc(inline)]
pub use stomp_socket::{InvalidConfig, Peer};

/// The example in the README, as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
