//! About how much memory frames take.

use stomp_frame::Frame;

/// About a frame's size in memory.
pub(crate) fn weight(frame: &Frame) -> usize {
    let headers: usize = frame
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    size_of::<Frame>() + headers + frame.body.len()
}
