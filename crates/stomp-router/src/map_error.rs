//! Maps errors of handlers and layers to the errors that clients get.

use std::{error::Error, iter};
use stomp_session::ClientError;
use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

/// Maps an error of a handler or layer to the error that the client gets.
///
/// Set it as the session's `Config::error_mapper` if the service has tower layers. It follows the chain of the error's
/// sources until it finds an error of this table:
///
/// | error | code |
/// |---|---|
/// | a [`ClientError`], also one behind a wrapper such as `anyhow::Error`: see [`ClientError::find`] | its own |
/// | [`InvalidDestination`](stomp_session::InvalidDestination) | `bad-destination` |
/// | tower's [`Elapsed`] | `timeout` |
/// | tower's [`Overloaded`] | `overloaded` |
/// | [`NotSubscribed`](stomp_session::NotSubscribed), also as an [`ObserveError`](stomp_session::ObserveError) | `not-subscribed` |
/// | [`ObserveError::TooManyStreams`](stomp_session::ObserveError::TooManyStreams) | `too-many-streams` |
/// | [`TooManyErrors`](stomp_session::TooManyErrors) | `too-many-errors` |
/// | any other error, or a panic | `internal-error`; the error itself is only logged |
///
/// An application with its own error types can set its own function, and call this one for all other errors.
#[must_use]
pub fn map_error(error: &(dyn Error + 'static)) -> ClientError {
    // The errors of tower have no sources, and so do not contain a `ClientError`.
    let from_tower = || {
        iter::successors(Some(error), |&error| error.source())
            .take(MAX_SOURCES)
            .find_map(map_tower_error)
    };
    ClientError::find(error)
        .or_else(from_tower)
        .unwrap_or_else(|| ClientError::from_error(error))
}

/// Maximum errors of a chain of sources that are read. An error may name itself as its source.
const MAX_SOURCES: usize = 64;

fn map_tower_error(error: &(dyn Error + 'static)) -> Option<ClientError> {
    if error.is::<Elapsed>() {
        Some(ClientError::new(
            "timeout",
            "The server took too long to handle this frame.",
        ))
    } else if error.is::<Overloaded>() {
        Some(ClientError::new(
            "overloaded",
            "The server is too busy to handle this frame.",
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_session::{Destination, NotSubscribed, ObserveError};

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] stomp_session::BoxError);

    #[test]
    fn known_errors_are_found_behind_wrapping_errors() {
        for (error, code) in [
            (Elapsed::new().into(), "timeout"),
            (Overloaded::new().into(), "overloaded"),
            (NotSubscribed.into(), "not-subscribed"),
            (ObserveError::from(NotSubscribed).into(), "not-subscribed"),
            (
                Destination::from_segments("/a", [""]).unwrap_err().into(),
                "bad-destination",
            ),
            (ClientError::new("own", "Own words.").into(), "own"),
            ("secret".into(), "internal-error"),
        ] {
            let error: stomp_session::BoxError = error;
            let wrapped = Wrapped(Wrapped(error).into());
            assert_eq!(map_error(&wrapped).code(), code);
        }
    }
}
