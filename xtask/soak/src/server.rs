//! The server as a child process, and its figures in `/proc`.

use crate::Result;
use std::{
    env, fs,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A running server. Dropping this value ends the server.
pub(crate) struct Server {
    child: Child,
    pid: u32,
    output: Lines<BufReader<ChildStdout>>,
    /// The address for WebSockets.
    pub(crate) web: SocketAddr,
    /// The address for STOMP over TCP.
    pub(crate) raw: SocketAddr,
}

/// The default of `ConnectionLimits::max_unauthenticated`.
pub(crate) const MAX_UNAUTHENTICATED: u32 = 1_024;

impl Server {
    /// Starts a server with this limit of unauthenticated connections.
    pub(crate) async fn start(max_unauthenticated: u32) -> Result<Server> {
        Server::spawn(&mut command("exec \"$0\" \"$@\"", max_unauthenticated)?).await
    }

    /// Starts a server with these limits of file descriptors and of unauthenticated connections.
    pub(crate) async fn start_with(descriptors: u32, max_unauthenticated: u32) -> Result<Server> {
        let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        Server::spawn(&mut command(&script, max_unauthenticated)?).await
    }

    async fn spawn(command: &mut Command) -> Result<Server> {
        let mut child = command
            .spawn()
            .map_err(|error| format!("the server did not start: {error}"))?;
        let (pid, stdout) = child
            .id()
            .zip(child.stdout.take())
            .ok_or("the server has ended")?;
        let mut output = BufReader::new(stdout).lines();
        let (web, raw) = (address(&mut output).await?, address(&mut output).await?);
        Ok(Server {
            child,
            pid,
            output,
            web,
            raw,
        })
    }

    /// Sends the signal `SIG` plus `name` to the server.
    pub(crate) async fn signal(&self, name: &str) -> Result {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid.to_string()])
            .status()
            .await;
        sent.ok()
            .filter(ExitStatus::success)
            .map(|_| ())
            .ok_or_else(|| format!("SIG{name} could not be sent"))
    }

    /// Waits until the server ends, and returns the lines that it printed after its addresses.
    pub(crate) async fn wait(mut self, limit: Duration) -> Result<(ExitStatus, Vec<String>)> {
        let end = async {
            let mut lines = Vec::new();
            while let Ok(Some(line)) = self.output.next_line().await {
                lines.push(line);
            }
            self.child
                .wait()
                .await
                .map(|status| (status, lines))
                .map_err(|error| error.to_string())
        };
        timeout(limit, end)
            .await
            .map_err(|_| format!("the server did not end within {limit:?}"))?
    }

    /// The resident memory of the server, in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .map_err(|error| error.to_string())?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("/proc has no VmRSS of the server")?;
        line.split_whitespace()
            .next()
            .and_then(|kib| kib.parse().ok())
            .ok_or_else(|| format!("VmRSS {line}"))
    }

    /// The CPU time of the server, in steps of 10 ms.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .map_err(|error| error.to_string())?;
        // After the name, which ends with the last parenthesis, utime and stime are the fields 11 and 12, counted from
        // 0.
        let fields = stat
            .rsplit_once(')')
            .map(|(_, fields)| fields)
            .unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// The number of the server's open file descriptors.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))
            .map_err(|error| error.to_string())?
            .count())
    }
}

fn command(script: &str, max_unauthenticated: u32) -> Result<Command> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(program)
        .args(["server", &max_unauthenticated.to_string()]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

async fn address(output: &mut Lines<BufReader<ChildStdout>>) -> Result<SocketAddr> {
    let line = timeout(Duration::from_secs(10), output.next_line()).await;
    let line = line
        .ok()
        .and_then(|line| line.ok().flatten())
        .ok_or("the server did not print its address")?;
    line.parse()
        .map_err(|_| format!("the server printed {line:?} instead of an address"))
}
