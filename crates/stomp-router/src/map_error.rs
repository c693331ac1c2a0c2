//! Maps errors of handlers and layers to the errors that clients get.

use std::error::Error;
use stomp_session::{ClientError, InvalidDestination, NotSubscribed};
use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

/// Maps an error of a handler or layer to the error that the client gets.
///
/// Set it as the session's `Config::error_mapper` if the service has tower layers. It follows the chain of the error's
/// sources, and the first error that it finds in this table decides:
///
/// | error | code |
/// |---|---|
/// | a [`ClientError`] | its own |
/// | [`InvalidDestination`] | `bad-destination` |
/// | tower's [`Elapsed`] | `timeout` |
/// | tower's [`Overloaded`] | `overloaded` |
/// | [`NotSubscribed`] | `not-subscribed` |
/// | any other error, or a panic | `internal-error`; the error itself is only logged |
///
/// An application with its own error types can set its own function, and call this one for all other errors.
#[must_use]
pub fn map_error(error: &(dyn Error + 'static)) -> ClientError {
    let mut next = Some(error);
    while let Some(source) = next {
        if let Some(mapped) = map_known(source) {
            return mapped;
        }
        next = source.source();
    }
    ClientError::from_error(error)
}

fn map_known(error: &(dyn Error + 'static)) -> Option<ClientError> {
    if let Some(client_error) = error.downcast_ref::<ClientError>() {
        Some(client_error.clone())
    } else if let Some(invalid) = error.downcast_ref::<InvalidDestination>() {
        Some(invalid.clone().into())
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
            "The session has no subscription for the reply to this frame.",
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_session::Destination;

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] stomp_session::BoxError);

    #[test]
    fn known_errors_are_found_behind_wrapping_errors() {
        for (error, code) in [
            (Elapsed::new().into(), "timeout"),
            (Overloaded::new().into(), "overloaded"),
            (NotSubscribed.into(), "not-subscribed"),
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
