//! Calls the check in `src/handshake.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_server_fuzz::handshake::check(input));
