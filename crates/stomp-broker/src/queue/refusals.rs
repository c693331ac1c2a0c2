//! The errors for clients that get no share of the queues.

use super::shares::NoShare;
use stomp_session::ClientError;

/// Creates the error for a client that gets no name of a queue.
pub(super) fn names_error(refused: NoShare) -> ClientError {
    let NoShare {
        held, total, max, ..
    } = refused;
    let text = if refused.is_largest {
        format!(
            "Clients have created {total} queues, and the limit is {max} (max_destinations). This client has created \
             {held} of them, more than any other."
        )
    } else {
        format!("The broker already has {max} queues, its limit (max_destinations).")
    };
    ClientError::new("too-many-destinations", text)
}

/// Creates the error for a client that gets no room for the bytes of a message.
pub(super) fn bytes_error(refused: NoShare) -> ClientError {
    let NoShare {
        held, total, max, ..
    } = refused;
    let text = if refused.is_largest {
        format!(
            "All queues together hold {total} bytes of clients, and the limit is {max} (max_total_queue_bytes). This \
             client has sent {held} of them, more than any other."
        )
    } else {
        format!(
            "All queues together are full: they hold at most {max} bytes (max_total_queue_bytes)."
        )
    };
    ClientError::new("queue-full", text)
}
