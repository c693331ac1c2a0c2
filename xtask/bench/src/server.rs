//! A server under test, as a child process.

use crate::{dialect::Dialect, proc};
use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Maximum time until a server prints its address.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server. Dropping this value ends the server.
pub(crate) struct Server {
    child: KillOnDrop,
    pub(crate) address: SocketAddr,
    pub(crate) dialect: Dialect,
}

impl Server {
    pub(crate) fn baseline() -> io::Result<Server> {
        Server::start("baseline", Dialect::Raw)
    }

    pub(crate) fn socket() -> io::Result<Server> {
        Server::start("socket", Dialect::Frames)
    }

    pub(crate) fn app() -> io::Result<Server> {
        Server::start("app", Dialect::Stomp)
    }

    fn start(name: &str, dialect: Dialect) -> io::Result<Server> {
        let program = std::env::current_exe()?
            .with_file_name(name)
            .with_extension(std::env::consts::EXE_EXTENSION);
        let child = Command::new(&program)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        let mut child = KillOnDrop(child);
        let address = read_address(child.0.stdout.take())
            .ok_or_else(|| io::Error::other(format!("{name} did not print its address")))?;
        Ok(Server {
            child,
            address,
            dialect,
        })
    }

    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        proc::cpu_time(self.child.0.id())
    }

    pub(crate) fn resident(&self) -> Option<u64> {
        proc::resident(self.child.0.id())
    }
}

/// Reads the address from the line `listening on ADDR`. A thread keeps reading, so that the server's pipe never fills.
fn read_address(output: Option<ChildStdout>) -> Option<SocketAddr> {
    let mut output = BufReader::new(output?);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = output.read_line(&mut line);
        let _ = sender.send(line);
        let _ = io::copy(&mut output, &mut io::sink());
    });
    let line = lines.recv_timeout(START_TIMEOUT).ok()?;
    line.trim().strip_prefix("listening on ")?.parse().ok()
}

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
