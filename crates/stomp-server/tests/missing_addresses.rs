//! The warning about connections without an address. It has a process of its own, because the log is global.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
};
use stomp_server::Config;
use support::{in_memory, serve};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_warns_once_that_max_per_address_needs_addresses() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .init();
    for (limit, expected) in [(None, 0), (Some(1), 1)] {
        let (listener, dial) = in_memory();
        let mut config = Config::default();
        config.connection_limits.max_per_address = limit;
        let _sockets = serve(listener, config);
        let mut held = Vec::new();
        for address in [Some("192.0.2.1"), None, None, None] {
            let mut client = dial.connect_from(address);
            assert_eq!(client.handshake().await, 101);
            held.push(client);
        }
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let count = text
            .matches("`ConnectionLimits::max_per_address` does not apply")
            .count();
        assert_eq!(count, expected, "{text}");
    }
}
