//! A server under test: a child process that ends with this value.

use crate::{dialect::Dialect, proc};
use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const START: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    child: Guard,
    pub(crate) address: SocketAddr,
    pub(crate) dialect: Dialect,
}

impl Server {
    pub(crate) fn floor() -> io::Result<Self> {
        Self::start("floor", Dialect::Raw)
    }

    pub(crate) fn socket() -> io::Result<Self> {
        Self::start("socket", Dialect::Frames)
    }

    pub(crate) fn app() -> io::Result<Self> {
        Self::start("app", Dialect::Stomp)
    }

    fn start(name: &str, dialect: Dialect) -> io::Result<Self> {
        let program = std::env::current_exe()?
            .with_file_name(name)
            .with_extension(std::env::consts::EXE_EXTENSION);
        let child = Command::new(&program)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        let mut child = Guard(child);
        let address = announced(child.0.stdout.take())
            .ok_or_else(|| io::Error::other(format!("{name} did not say where it listens")))?;
        Ok(Self {
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

/// Reads `listening on ADDR`. The thread stays, so that the server can go on printing.
fn announced(output: Option<ChildStdout>) -> Option<SocketAddr> {
    let mut output = BufReader::new(output?);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = output.read_line(&mut line);
        let _ = tell.send(line);
        let _ = io::copy(&mut output, &mut io::sink());
    });
    let line = told.recv_timeout(START).ok()?;
    line.trim().strip_prefix("listening on ")?.parse().ok()
}

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
