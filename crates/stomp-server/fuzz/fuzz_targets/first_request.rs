//! Calls the check in `src/first_request.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_server_fuzz::first_request::check(input));
