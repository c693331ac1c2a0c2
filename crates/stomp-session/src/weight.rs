//! The approximate memory of a frame.

use stomp_frame::Frame;

/// Returns the approximate bytes that a frame occupies in memory. The limits of the inbox and of transactions count
/// these bytes.
pub(crate) fn frame_weight(frame: &Frame) -> usize {
    let headers: usize = frame
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    size_of::<Frame>() + headers + frame.body.len()
}
