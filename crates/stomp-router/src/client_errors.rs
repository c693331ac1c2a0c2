//! The errors with which the router itself rejects requests, and the error of an argument that is not available.

use std::{any::type_name, borrow::Cow, fmt};
use stomp_frame::Command;
use stomp_session::{BoxError, ClientError};

/// Maximum number of characters of a destination that an error quotes.
const MAX_DESTINATION_CHARS: usize = 64;
/// Maximum number of characters in an error's text. The text may quote the client's body or destination.
const MAX_TEXT_CHARS: usize = 400;

/// The error for a `SEND` or `SUBSCRIBE` whose destination no route matches.
pub(crate) fn not_found(command: Command, destination: &str) -> ClientError {
    let destination = Excerpt::new(destination, MAX_DESTINATION_CHARS);
    ClientError::new(
        "not-found",
        format!("No {command} route matches the destination \"{destination}\"."),
    )
}

/// The error for a `SUBSCRIBE` with a pattern that covers destinations of other routes.
pub(crate) fn covers_other_routes(pattern: &str) -> ClientError {
    let pattern = Excerpt::new(pattern, MAX_DESTINATION_CHARS);
    ClientError::new(
        "forbidden",
        format!("The pattern \"{pattern}\" covers destinations with rules of their own."),
    )
}

/// The error `bad-request`: the request lacks something that its handler needs, or it cannot be parsed.
pub(crate) fn bad_request(text: &str) -> ClientError {
    let text = Excerpt::new(text, MAX_TEXT_CHARS);
    ClientError::new("bad-request", text.to_string())
}

/// The error for a request or argument that needs a principal.
pub(crate) fn login_required() -> ClientError {
    ClientError::new("login-required", "This request requires a login.")
}

/// Error: an argument of a handler cannot be taken from any request to its route. It is a mistake of the application,
/// which the client cannot correct, so the client gets `internal-error`.
#[derive(Debug, thiserror::Error)]
#[error("the argument `{argument}` of the handler `{handler}` is not available: {reason}")]
pub(crate) struct UnavailableArgument {
    argument: &'static str,
    /// Set when the error reaches the handler: an argument does not know for which handler it is taken.
    handler: &'static str,
    reason: Cow<'static, str>,
}

impl UnavailableArgument {
    /// Creates the error for an argument of the type `T`.
    pub(crate) fn new<T>(reason: impl Into<Cow<'static, str>>) -> UnavailableArgument {
        UnavailableArgument {
            argument: type_name::<T>(),
            handler: "",
            reason: reason.into(),
        }
    }

    /// Names the handler `F` in an error of its arguments.
    pub(crate) fn name_handler<F>(mut error: BoxError) -> BoxError {
        if let Some(unavailable) = error.downcast_mut::<UnavailableArgument>() {
            unavailable.handler = type_name::<F>();
        }
        error
    }
}

/// The beginning of a text that a client has sent. It has a limited number of characters, and control characters are
/// escaped so that they do not affect a terminal.
struct Excerpt<'a> {
    text: &'a str,
    max_chars: usize,
}

impl<'a> Excerpt<'a> {
    fn new(text: &'a str, max_chars: usize) -> Excerpt<'a> {
        Excerpt { text, max_chars }
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text
            .chars()
            .take(self.max_chars)
            .try_for_each(|char| match char.is_control() {
                true => write!(f, "{}", char.escape_debug()),
                false => write!(f, "{char}"),
            })?;
        if self.text.chars().nth(self.max_chars).is_some() {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_escape_control_characters() {
        let excerpt = |text| Excerpt::new(text, 3).to_string();
        assert_eq!(excerpt("a\u{1b}b"), "a\\u{1b}b");
        assert_eq!(excerpt("abcd"), "abc…");
        assert_eq!(excerpt("\"é\""), "\"é\"");
    }
}
