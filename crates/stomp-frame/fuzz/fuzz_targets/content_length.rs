//! Calls the check in `src/content_length.rs`, and checks that memory is bounded by the bytes that arrived, not by
//! those announced.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let used = allocation_counter::measure(|| stomp_frame_fuzz::content_length::check(input));
    // Some copies of the input, and a fixed overhead.
    let allowed = 4096 + 16 * input.len() as u64;
    assert!(
        used.bytes_total <= allowed,
        "{} bytes allocated for {}",
        used.bytes_total,
        input.len()
    );
});
