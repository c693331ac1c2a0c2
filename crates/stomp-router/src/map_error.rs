//! What clients are told of errors.

use std::{error::Error, fmt};
use stomp_frame::Command;
use stomp_session::{ClientError, NotSubscribed};
use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

/// What a client is shown of an error: the session's `Config::error_mapper` for services of tower layers.
///
/// The first of these in the chain of the error's sources decides:
///
/// | error | code |
/// |---|---|
/// | a [`ClientError`] | its own |
/// | tower's timeout | `timeout` |
/// | tower's load-shed | `overloaded` |
/// | [`NotSubscribed`] | `not-subscribed` |
/// | any other, and panics | `internal-error`, and it is logged |
///
/// An app with errors of its own sets another function, which may fall back to this one.
#[must_use]
pub fn map_error(error: &(dyn Error + 'static)) -> ClientError {
    let mut next = Some(error);
    while let Some(one) = next {
        if let Some(known) = known(one) {
            return known;
        }
        next = one.source();
    }
    ClientError::from_error(error)
}

fn known(error: &(dyn Error + 'static)) -> Option<ClientError> {
    if let Some(shown) = error.downcast_ref::<ClientError>() {
        Some(shown.clone())
    } else if error.is::<Elapsed>() {
        Some(ClientError::new(
            "timeout",
            "The server took too long to handle this frame.",
        ))
    } else if error.is::<Overloaded>() {
        Some(ClientError::new(
            "overloaded",
            "The server is too busy to handle this frame.",
        ))
    } else if error.is::<NotSubscribed>() {
        Some(ClientError::new(
            "not-subscribed",
            "There is no subscription for the answer to this frame.",
        ))
    } else {
        None
    }
}

/// Nothing is routed where a frame wants to go.
pub(crate) fn not_found(command: Command, destination: &str) -> ClientError {
    ClientError::new(
        "not-found",
        format!(
            "There is nothing to {command} at {}.",
            Shown(destination, 64)
        ),
    )
}

/// A handler's argument could not be had from the request.
pub(crate) fn bad_request(text: &str) -> ClientError {
    ClientError::new("bad-request", Shown(text, 400).to_string())
}

/// A handler wants something that only the application could have given: its bug, and nothing a client can mend.
pub(crate) fn missing(what: &str, from: &str) -> ClientError {
    tracing::error!("a handler takes {what}, and {from}");
    ClientError::internal()
}

/// A client's own text, given back to it: at most so many characters, and nothing that would upset a terminal.
struct Shown<'a>(&'a str, usize);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(text, most) = *self;
        text.chars()
            .take(most)
            .try_for_each(|char| match char.is_control() {
                true => write!(f, "{}", char.escape_debug()),
                false => write!(f, "{char}"),
            })?;
        if text.chars().nth(most).is_some() {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] stomp_session::BoxError);

    #[test]
    fn what_is_known_is_found_behind_other_errors() {
        for (error, code) in [
            (Elapsed::new().into(), "timeout"),
            (Overloaded::new().into(), "overloaded"),
            (NotSubscribed.into(), "not-subscribed"),
            (ClientError::new("own", "Own words.").into(), "own"),
            ("secret".into(), "internal-error"),
        ] {
            let error: stomp_session::BoxError = error;
            let wrapped = Wrapped(Wrapped(error).into());
            assert_eq!(map_error(&wrapped).code(), code);
        }
    }

    #[test]
    fn long_and_odd_texts_are_cut_and_escaped() {
        assert_eq!(Shown("a\u{1b}b", 3).to_string(), "a\\u{1b}b");
        assert_eq!(Shown("abcd", 3).to_string(), "abc…");
        assert_eq!(Shown("\"é\"", 3).to_string(), "\"é\"");
    }
}
