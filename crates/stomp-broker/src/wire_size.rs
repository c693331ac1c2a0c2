//! The size of a message, as it counts for limits in bytes.

use stomp_session::Message;

/// The size of a message without headers and body, in bytes. It stands for the parts of a `MESSAGE` frame that the
/// server adds.
pub(crate) const MIN_WIRE_SIZE: usize = 128;

/// Returns the approximate size of a message on the wire, in bytes.
pub(crate) fn wire_size(message: &Message) -> usize {
    let headers: usize = message
        .headers()
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    MIN_WIRE_SIZE + headers + message.body().len()
}
