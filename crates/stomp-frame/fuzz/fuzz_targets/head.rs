//! Calls the check in `src/head.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_frame_fuzz::head::check(input));
