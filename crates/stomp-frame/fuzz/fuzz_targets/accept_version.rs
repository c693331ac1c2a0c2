//! Calls the check in `src/accept_version.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_frame_fuzz::accept_version::check(input));
