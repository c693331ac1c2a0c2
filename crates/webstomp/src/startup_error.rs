//! Errors of an app that cannot start.

use std::io;
use stomp_router::RouteErrors;
use stomp_session::InvalidConfig;
use thiserror::Error;

/// Reason why an app cannot be mounted or listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartupError {
    /// Routes conflict or are malformed, or a route lacks a policy. Each is named, with its place in the source.
    #[error(transparent)]
    Routes(#[from] RouteErrors),
    /// A setting has an impossible value.
    #[error("invalid configuration: {0}")]
    Config(#[from] InvalidConfig),
    /// The address cannot be resolved or listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address, as it was given to [`App::listen`](crate::App::listen).
        address: String,
        /// The error of the operating system.
        #[source]
        error: io::Error,
    },
}
