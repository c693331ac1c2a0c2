//! The errors for clients that get no share of the queues, or may not consume from one.

use super::shares::NoShare;
use crate::{Address, SubscribeRequest, capabilities::not_supported};
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

/// Creates the error for a subscription to a queue that has an exclusive consumer, or any while it asks for that.
pub(super) fn in_use_error(request: &SubscribeRequest, is_exclusive: bool) -> ClientError {
    let queue = request.address.destination().as_str();
    let text = if is_exclusive {
        format!("The queue {queue:?} has a consumer that is exclusive (exclusive:true).")
    } else {
        format!(
            "The queue {queue:?} has other consumers, so none can be exclusive (exclusive:true)."
        )
    };
    ClientError::new("queue-in-use", text)
}

/// Creates the error for a subscription that would make an existing queue go with its last consumer.
pub(super) fn auto_delete_error(queue: &Address) -> ClientError {
    let queue = queue.destination().as_str();
    not_supported(&format!(
        "the header auto-delete:true for the queue {queue:?}, which exists already without it"
    ))
}
