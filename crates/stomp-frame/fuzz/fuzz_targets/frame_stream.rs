//! Calls the check in `src/frame_stream.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_frame_fuzz::frame_stream::check(input));
