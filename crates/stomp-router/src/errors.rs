//! What can be wrong with routes, and what clients are told of a handler's errors.

use std::{error::Error, fmt};
use stomp_frame::Command;
use stomp_session::ClientError;
use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

/// What a client is shown of an error: the session's `Config::describe` for services of tower layers.
///
/// | error | code |
/// |---|---|
/// | a [`ClientError`] | its own |
/// | tower's timeout | `timeout` |
/// | tower's load-shed | `overloaded` |
/// | any other | `internal-error`, and it is logged |
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> ClientError {
    if error.is::<Elapsed>() {
        ClientError::new("timeout", "The server took too long to handle this frame.")
    } else if error.is::<Overloaded>() {
        ClientError::new("overloaded", "The server is too busy to handle this frame.")
    } else {
        ClientError::of(error)
    }
}

/// Nothing is routed where a frame wants to go.
pub(crate) fn not_found(command: Command, destination: &str) -> ClientError {
    ClientError::new("not-found", format!("There is nothing to {command} at {}.", Shown(destination)))
}

/// A handler's argument could not be had from the request.
pub(crate) fn bad_request(text: impl Into<String>) -> ClientError {
    ClientError::new("bad-request", text.into())
}

/// A client's own text, given back to it: not too long, and nothing that would upset a terminal.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(64).try_for_each(|char| write!(f, "{}", char.escape_debug()))
    }
}

/// All that is wrong with a router's routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteErrors(Vec<RouteError>);

impl RouteErrors {
    /// One by one, in the order in which the routes were added.
    pub fn iter(&self) -> impl Iterator<Item = &RouteError> {
        self.0.iter()
    }
}

impl fmt::Display for RouteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(number, error)| {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")
        })
    }
}

impl Error for RouteErrors {}

/// What is wrong with one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    command: Command,
    pattern: String,
    reason: String,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.command, self.pattern, self.reason)
    }
}

/// Route errors, while routes are being added.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<RouteError>);

impl Problems {
    pub(crate) fn note(&mut self, command: Command, pattern: &str, result: Result<(), String>) {
        if let Err(reason) = result {
            self.0.push(RouteError { command, pattern: pattern.to_owned(), reason });
        }
    }

    pub(crate) fn none(self) -> Result<(), RouteErrors> {
        if self.0.is_empty() { Ok(()) } else { Err(RouteErrors(self.0)) }
    }
}
