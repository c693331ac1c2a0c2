//! Calls the check in `src/round_trip.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_frame_fuzz::round_trip::check(input));
