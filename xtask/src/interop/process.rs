//! Child processes for servers, with their directories and ports.

use crate::Result;
use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{self, Child},
    thread,
    time::{Duration, Instant},
};

/// Maximum time until a server accepts connections. It usually needs less than a second, but much longer on a busy
/// machine.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A process that is killed when this value is dropped.
#[derive(Debug)]
pub(super) struct KillOnDrop(Child);

impl KillOnDrop {
    pub(super) fn new(process: Child) -> KillOnDrop {
        KillOnDrop(process)
    }

    /// Waits until the process accepts connections at `address`. Returns the last error if the process ends first, or
    /// if no connection has succeeded at the deadline.
    pub(super) fn wait_until_accepting(
        &mut self,
        address: SocketAddr,
        deadline: Instant,
    ) -> io::Result<()> {
        loop {
            let Err(error) = connect(address) else {
                return Ok(());
            };
            if self.has_ended() || Instant::now() > deadline {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

/// Opens and closes a connection.
fn connect(address: SocketAddr) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    // As long as nothing listens, the system may choose the same port for the client, which then reaches itself.
    if stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(())
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of a temporary directory, which is removed when this value is dropped.
pub(super) struct TemporaryDirectory(pub(super) PathBuf);

impl TemporaryDirectory {
    /// Chooses a path that no running process uses, removes what an earlier process has left there, and does not create
    /// the directory.
    pub(super) fn new(name: &str) -> TemporaryDirectory {
        let name = format!("webstomp-interop-{name}-{}", process::id());
        let path = env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        TemporaryDirectory(path)
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Leftovers in the system's temporary directory are harmless.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns loopback addresses with different free ports. Another program can take such a port before it is used.
pub(super) fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    // All listeners stay open until every address is known, so that no address is returned twice.
    let mut listeners = Vec::new();
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(addresses)
}

/// Calls `start` until it succeeds, up to three times. A server can fail to start because another program has taken a
/// port that was free.
pub(super) fn with_retries<T>(start: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 1..3 {
        match start() {
            Ok(running) => return Ok(running),
            Err(reason) => println!("{reason}\nretrying with other ports"),
        }
    }
    start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, process::Command};

    #[test]
    fn a_server_that_ends_before_it_accepts_connections_is_not_waited_for() {
        let [address] = free_addresses().expect("a free port");
        let child = Command::new("true").spawn().expect("a program that ends");
        let deadline = Instant::now() + Duration::from_secs(24 * 60 * 60);
        let waited = KillOnDrop::new(child).wait_until_accepting(address, deadline);
        assert!(waited.is_err());
    }

    #[test]
    fn a_server_that_does_not_start_is_started_up_to_three_times() {
        let attempts = Cell::new(0);
        let succeeds_at = |last| {
            attempts.set(0);
            with_retries(|| {
                attempts.set(attempts.get() + 1);
                if attempts.get() == last {
                    Ok(last)
                } else {
                    Err("taken".to_owned())
                }
            })
        };
        assert_eq!(succeeds_at(3), Ok(3));
        assert_eq!(succeeds_at(4), Err("taken".to_owned()));
        assert_eq!(attempts.get(), 3);
    }
}
