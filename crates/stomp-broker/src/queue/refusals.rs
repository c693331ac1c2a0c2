//! The errors for clients that get no share of the queues, or may not consume from one.

use super::shares::NoShare;
use crate::{Address, Scope, SubscribeRequest, capabilities::not_supported};
use stomp_session::ClientError;

/// Creates the error for a client that gets no name of a queue.
pub(super) fn names_error(refused: NoShare) -> ClientError {
    let NoShare {
        held, total, max, ..
    } = refused;
    let text = if refused.is_largest {
        format!(
            "Clients have created {total} queues, and the limit is {max} (max_destinations). This client has created \
             {held} of them, and no other clearly more."
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
             client has sent {held} of them, and no other clearly more."
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
    let queue = named(&request.address);
    let text = if is_exclusive {
        format!("{queue} has a consumer that is exclusive (exclusive:true).")
    } else {
        format!("{queue} has other consumers, so none can be exclusive (exclusive:true).")
    };
    ClientError::new("queue-in-use", text)
}

/// Creates the error for a subscription that would make an existing queue go with its last consumer.
pub(super) fn auto_delete_error(queue: &Address) -> ClientError {
    let queue = match queue.scope() {
        Scope::Temporary => "a temporary queue".to_owned(),
        _ => format!("the queue {:?}", queue.destination().as_str()),
    };
    not_supported(&format!(
        "the header auto-delete:true for {queue}, which exists already without it"
    ))
}

/// Names a queue at the start of a sentence. The name of a temporary queue is a secret, and error texts may be logged.
fn named(queue: &Address) -> String {
    match queue.scope() {
        Scope::Temporary => "The temporary queue".to_owned(),
        _ => format!("The queue {:?}", queue.destination().as_str()),
    }
}
