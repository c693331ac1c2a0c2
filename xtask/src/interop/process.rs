//! Child processes for servers, with their directories and ports.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{self, Child},
    thread,
    time::{Duration, Instant},
};

/// Maximum time until a server accepts connections.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A process that is killed when this value is dropped.
#[derive(Debug)]
pub(super) struct KillOnDrop(Child);

impl KillOnDrop {
    pub(super) fn new(process: Child) -> KillOnDrop {
        KillOnDrop(process)
    }

    /// Returns true if the process has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
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
    /// Chooses a path that only this process uses, and does not create the directory.
    pub(super) fn new(name: &str) -> TemporaryDirectory {
        let name = format!("webstomp-interop-{name}-{}", process::id());
        TemporaryDirectory(env::temp_dir().join(name))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Leftovers in the system's temporary directory are harmless.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns loopback addresses with different free ports.
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

/// Waits until a connection to `address` succeeds. Returns the last error if none has succeeded at the deadline.
pub(super) fn wait_until_accepting(address: SocketAddr, deadline: Instant) -> io::Result<()> {
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
