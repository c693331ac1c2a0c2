//! Starts the workspace's own servers, on ports that the system chooses.

use super::process::{KillOnDrop, READY_TIMEOUT};
use crate::{Result, shell};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Instant,
};

/// A running server. Dropping this value ends it.
#[derive(Debug)]
pub(super) struct Server<const N: usize> {
    _process: KillOnDrop,
    pub(super) addresses: [SocketAddr; N],
}

impl<const N: usize> Server<N> {
    /// Starts `program` and waits until it has printed an address after each of `labels`, in this order. It listens by
    /// then.
    pub(super) fn start(
        program: &Path,
        arguments: &[&str],
        labels: [&str; N],
    ) -> Result<Server<N>> {
        let mut command = shell::command(program, arguments);
        let line = shell::line(&command);
        println!("\n$ {line} &");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{line}` did not start: {error}"))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || forward(stdout, &sender));
        }
        let process = KillOnDrop::new(child);

        let deadline = Instant::now() + READY_TIMEOUT;
        let mut addresses = [SocketAddr::from(([0; 4], 0)); N];
        for (label, address) in labels.iter().zip(&mut addresses) {
            *address = next_address(&lines, label, deadline)
                .ok_or_else(|| format!("`{line}` did not print an address after {label:?}"))?;
        }
        Ok(Server {
            _process: process,
            addresses,
        })
    }
}

/// Prints the server's lines until the server ends, so that its pipe never fills, and sends them to `lines`.
fn forward(stdout: impl Read, lines: &Sender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        println!("server: {line}");
        // Fails as soon as all addresses are known.
        let _ = lines.send(line);
    }
}

/// Returns the first address after `label` in the lines that arrive before the deadline.
fn next_address(lines: &Receiver<String>, label: &str, deadline: Instant) -> Option<SocketAddr> {
    loop {
        let time = deadline.saturating_duration_since(Instant::now());
        if let Some(address) = address(&lines.recv_timeout(time).ok()?, label) {
            return Some(address);
        }
    }
}

/// Returns the address that follows `label` in the line.
fn address(line: &str, label: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(label)?;
    let end = rest.find(['/', ' ']).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_after_the_label_is_found_in_a_line() {
        let expected = "127.0.0.1:4711".parse().ok();
        let found = address("open http://127.0.0.1:4711/ in two tabs", "http://");
        assert_eq!(found, expected);
        assert_eq!(address("over TCP: 127.0.0.1:4711", "TCP: "), expected);
        assert_eq!(address("no address here", "http://"), None);
        assert_eq!(address("http://somewhere/", "http://"), None);
    }
}
