//! A server under judgement: started on a free port, killed when dropped.

use crate::{Result, shell};
use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

/// How long a server may take until it accepts connections.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    _process: Killed,
    pub(crate) address: SocketAddr,
}

/// A process that does not outlive this value.
#[derive(Debug)]
pub(super) struct Killed(Child);

impl Server {
    /// Starts `program` and waits until it accepts connections.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let mut command = shell::command(program, &["--listen", "127.0.0.1:0"]);
        let line = shell::line(&command);
        println!("\n$ {line} &");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{line}` did not start: {error}"))?;
        let stdout = child.stdout.take();
        let process = Killed(child);

        let deadline = Instant::now() + READY_WITHIN;
        let address = announced(stdout, deadline)
            .ok_or_else(|| format!("`{line}` did not print http://ADDRESS/"))?;
        accepts(address, deadline).map_err(|error| format!("{address}: {error}"))?;
        Ok(Self {
            _process: process,
            address,
        })
    }
}

impl Killed {
    pub(super) fn new(process: Child) -> Killed {
        Killed(process)
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address the server prints, if it does so in time.
fn announced(stdout: Option<impl Read + Send + 'static>, deadline: Instant) -> Option<SocketAddr> {
    let (sender, addresses): (_, Receiver<SocketAddr>) = mpsc::channel();
    let stdout = stdout?;
    thread::spawn(move || forward(stdout, &sender));
    addresses.recv_timeout(deadline - Instant::now()).ok()
}

/// Passes the server's lines on for as long as it lives, so that its pipe never fills, and
/// tells the addresses in them.
fn forward(stdout: impl Read, addresses: &Sender<SocketAddr>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        println!("server: {line}");
        if let Some(address) = address(&line) {
            // Nobody listens after the first.
            let _ = addresses.send(address);
        }
    }
}

/// The address in the line's first `http://ADDRESS/`.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let (address, _) = rest.split_once('/')?;
    address.parse().ok()
}

/// Waits until a connection to `address` succeeds, and gives the last error at the deadline.
pub(super) fn accepts(address: SocketAddr, deadline: Instant) -> std::io::Result<()> {
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_sentence() {
        let expected = "127.0.0.1:4711".parse().ok();
        assert_eq!(address("open http://127.0.0.1:4711/ in two tabs"), expected);
        assert_eq!(address("no address here"), None);
        assert_eq!(address("http://somewhere/"), None);
    }
}
