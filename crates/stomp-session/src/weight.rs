//! The approximate memory of a frame.

use stomp_frame::Frame;

/// Approximate size of a frame in memory, in bytes. The inbox and transactions are bounded by it.
pub(crate) fn frame_weight(frame: &Frame) -> usize {
    let headers: usize = frame
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    size_of::<Frame>() + headers + frame.body.len()
}
