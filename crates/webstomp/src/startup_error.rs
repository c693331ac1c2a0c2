//! Errors of an app that cannot start.

use std::{fmt, io};
use stomp_router::RouteErrors;
use stomp_session::InvalidConfig;
use thiserror::Error;

/// The reason for which an app cannot be mounted or cannot listen.
///
/// The message contains the text of the underlying error, so there is no `source`. `Debug` shows the same message,
/// because a failed `main` prints its error with `Debug`.
#[derive(Error)]
#[non_exhaustive]
pub enum StartupError {
    /// Routes conflict or are malformed, or a route lacks a policy. The message names each route and its place in the
    /// source code.
    #[error("invalid routes: {0}")]
    Routes(RouteErrors),
    /// A setting has an impossible value. The message names the setting by its path: `session.…` for
    /// [`App::session_config`](crate::App::session_config), `server.…` for
    /// [`App::server_config`](crate::App::server_config).
    #[error("invalid configuration: {0}")]
    Config(InvalidConfig),
    /// The address cannot be resolved or listened on.
    #[error("cannot listen on {address}: {error}")]
    #[non_exhaustive]
    Listen {
        /// The address that was given to [`App::listen`](crate::App::listen), with control characters escaped.
        address: String,
        /// The error of the operating system.
        error: io::Error,
    },
}

impl fmt::Debug for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<RouteErrors> for StartupError {
    fn from(errors: RouteErrors) -> StartupError {
        StartupError::Routes(errors)
    }
}

impl From<InvalidConfig> for StartupError {
    fn from(invalid: InvalidConfig) -> StartupError {
        StartupError::Config(invalid)
    }
}
