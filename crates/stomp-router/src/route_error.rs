//! Errors in the declaration of routes, reported by [`Router::build`](crate::Router::build).

use std::{error::Error, fmt, panic::Location};
use stomp_frame::Command;

/// All errors in a router's routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteErrors(Vec<RouteError>);

impl RouteErrors {
    /// Iterates over the errors, in the order in which the routes were added.
    pub fn iter(&self) -> impl Iterator<Item = &RouteError> {
        self.0.iter()
    }

    /// Returns an error if `errors` is not empty.
    pub(crate) fn check(errors: Vec<RouteError>) -> Result<(), RouteErrors> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(RouteErrors(errors))
        }
    }
}

impl fmt::Display for RouteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, error)| {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")
        })
    }
}

impl Error for RouteErrors {}

/// An error in one route.
///
/// Its text names the route by command, pattern, and the place in the source code where it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    pub(crate) declaration: Declaration,
    pub(crate) problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Another route, declared here, matches the same destinations with the same priority.
    Conflict(Declaration),
    MalformedPattern(String),
    /// The command cannot have routes.
    UnroutableCommand,
    MissingPolicy,
    /// The pattern matches no destination that sessions accept, for this reason.
    NoDestination(String),
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.declaration)?;
        match &self.problem {
            Problem::Conflict(other) => write!(f, "conflicts with {other}"),
            Problem::MalformedPattern(reason) => write!(f, "has a malformed pattern: {reason}"),
            Problem::UnroutableCommand => f.write_str(
                "cannot have a route: only CONNECT, SEND, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT can",
            ),
            Problem::MissingPolicy => f.write_str("has no policy, but policies are required"),
            Problem::NoDestination(reason) => write!(f, "matches no destination: {reason}"),
        }
    }
}

/// The declaration of a route in the application's source code. It identifies the route in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    /// `None` for a fallback.
    pub(crate) command: Option<Command>,
    /// Empty for `CONNECT`, `DISCONNECT` and the fallback of the whole router. The prefix for the fallback of a nested
    /// router.
    pub(crate) pattern: String,
    /// The place of the call that added the route.
    pub(crate) location: &'static Location<'static>,
}

impl Declaration {
    /// Returns true if the route gives clients access to destinations.
    pub(crate) fn needs_policy(&self) -> bool {
        matches!(
            self.command,
            None | Some(Command::Send | Command::Subscribe)
        )
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            Some(command) => command.fmt(f)?,
            None => f.write_str("fallback")?,
        }
        if !self.pattern.is_empty() {
            write!(f, " {:?}", self.pattern)?;
        }
        write!(f, " ({})", self.location)
    }
}
