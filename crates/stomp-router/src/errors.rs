//! What can be wrong with routes.

use std::{error::Error, fmt, panic::Location};
use stomp_frame::Command;

/// All that is wrong with a router's routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteErrors(Vec<RouteError>);

impl RouteErrors {
    /// One by one, in the order in which the routes were added.
    pub fn iter(&self) -> impl Iterator<Item = &RouteError> {
        self.0.iter()
    }

    /// All of them, if there are any.
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
        self.0.iter().enumerate().try_for_each(|(number, error)| {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")
        })
    }
}

impl Error for RouteErrors {}

/// What is wrong with one route. It names the route by its pattern and the place in the source where it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    pub(crate) origin: Origin,
    pub(crate) problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No destination could tell it from this one.
    Conflict(Origin),
    Malformed(String),
    /// There are no routes for such frames.
    NotRouted,
    NoPolicy,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.origin)?;
        match &self.problem {
            Problem::Conflict(other) => write!(f, "is in conflict with {other}"),
            Problem::Malformed(reason) => write!(f, "is malformed: {reason}"),
            Problem::NotRouted => f.write_str("can have no route"),
            Problem::NoPolicy => f.write_str("has no policy"),
        }
    }
}

/// A route's name to those who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// None for a fallback.
    pub(crate) command: Option<Command>,
    /// Empty for `CONNECT` and `DISCONNECT`.
    pub(crate) pattern: String,
    /// Where it was added.
    pub(crate) place: &'static Location<'static>,
}

impl Origin {
    /// Whether it leads peers to destinations.
    pub(crate) fn needs_policy(&self) -> bool {
        matches!(
            self.command,
            None | Some(Command::Send | Command::Subscribe)
        )
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            Some(command) => command.fmt(f)?,
            None => f.write_str("fallback")?,
        }
        if !self.pattern.is_empty() {
            write!(f, " {:?}", self.pattern)?;
        }
        write!(f, " ({})", self.place)
    }
}
