//! A server under test: a child process, or a server that somebody else runs.

use crate::{
    cores::Cores,
    proc,
    target::{Destinations, Protocol, Target},
};
use std::{
    collections::VecDeque,
    env,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// Maximum time until a server prints its address. Valgrind needs most of it.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of lines of a server's log that are kept for an error.
const LOG_LINES: usize = 20;

/// The way to a server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The name in the report.
    pub(crate) name: String,
    launch: Launch,
}

#[derive(Clone, Debug)]
enum Launch {
    Program {
        program: PathBuf,
        arguments: Vec<&'static str>,
        protocol: Protocol,
        destinations: Destinations,
    },
    Running {
        target: Target,
        pid: Option<u32>,
    },
}

impl Server {
    /// The bare WebSocket server, to which all others are compared.
    pub(crate) fn bare(arguments: &[&'static str]) -> io::Result<Server> {
        Server::sibling("bare", "baseline", arguments, Protocol::Bare)
    }

    /// Echoes frames without a session.
    pub(crate) fn socket() -> io::Result<Server> {
        Server::sibling("stomp-socket", "socket", &[], Protocol::Frames)
    }

    /// An app of plain handlers.
    pub(crate) fn handler(name: &str, arguments: &[&'static str]) -> io::Result<Server> {
        Server::sibling(name, "handler", arguments, Protocol::Stomp)
    }

    /// The example broker, as a user starts it, but on ports that the system chooses.
    pub(crate) fn broker(name: &str, program: &Path) -> Server {
        Server {
            name: name.to_owned(),
            launch: Launch::Program {
                program: program.to_owned(),
                arguments: vec!["--ws", "127.0.0.1:0", "--tcp", "127.0.0.1:0"],
                protocol: Protocol::Stomp,
                destinations: Destinations::BROKER,
            },
        }
    }

    /// A STOMP server that runs already. Its CPU time and its memory are known if `pid` is.
    pub(crate) fn running(target: Target, pid: Option<u32>) -> Server {
        Server {
            name: "url".to_owned(),
            launch: Launch::Running { target, pid },
        }
    }

    /// Gives the server another name in the report.
    pub(crate) fn named(mut self, name: &str) -> Server {
        self.name = name.to_owned();
        self
    }

    fn sibling(
        name: &str,
        program: &str,
        arguments: &[&'static str],
        protocol: Protocol,
    ) -> io::Result<Server> {
        let program = env::current_exe()?
            .with_file_name(program)
            .with_extension(env::consts::EXE_EXTENSION);
        Ok(Server {
            name: name.to_owned(),
            launch: Launch::Program {
                program,
                arguments: arguments.to_vec(),
                protocol,
                destinations: Destinations::HANDLER,
            },
        })
    }

    /// Starts the server on its own core, unless it runs already.
    pub(crate) fn start(&self, cores: &Cores) -> io::Result<Running> {
        self.start_under(&cores.server_prefix())
    }

    /// Starts the server as an argument of another program, whose words are `prefix`.
    pub(crate) fn start_under(&self, prefix: &[String]) -> io::Result<Running> {
        match &self.launch {
            Launch::Running { target, pid } => Ok(Running {
                _child: None,
                pid: *pid,
                target: target.clone(),
                log: Log::default(),
            }),
            Launch::Program {
                program,
                arguments,
                protocol,
                destinations,
            } => {
                let mut words = prefix.iter().map(AsRef::as_ref);
                let mut command = match words.next() {
                    Some(first) => {
                        let mut command = Command::new::<&Path>(first);
                        command.args(words).arg(program);
                        command
                    }
                    None => Command::new(program),
                };
                let (child, url, log) = spawn(command.args(arguments))?;
                let mut target = Target::parse(&url, *protocol, *destinations)?;
                target.login = Some(("guest".to_owned(), "guest".to_owned()));
                Ok(Running {
                    pid: Some(child.0.id()),
                    _child: Some(child),
                    target,
                    log,
                })
            }
        }
    }
}

/// A running server. Dropping this value ends the server, if this process has started it.
pub(crate) struct Running {
    _child: Option<KillOnDrop>,
    pub(crate) pid: Option<u32>,
    pub(crate) target: Target,
    log: Log,
}

impl Running {
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        proc::cpu_time(self.pid?)
    }

    pub(crate) fn resident(&self) -> Option<u64> {
        proc::resident(self.pid?)
    }

    /// Adds the last lines of the server's log to an error.
    pub(crate) fn explain(&self, name: &str, error: &io::Error) -> io::Error {
        let log = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = log.iter().map(String::as_str).collect();
        let log = if lines.is_empty() {
            String::new()
        } else {
            format!("\nthe end of its log:\n{}", lines.join("\n"))
        };
        io::Error::other(format!("server `{name}`: {error}{log}"))
    }
}

/// The last lines that a server wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Starts a server and waits until it prints a line with its URL. Threads keep reading its output, so that its pipes
/// never fill.
fn spawn(command: &mut Command) -> io::Result<(KillOnDrop, String, Log)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::other(format!("{program} did not start: {error}")))?;
    let mut child = KillOnDrop(child);
    let log = Log::default();
    let (sender, urls) = mpsc::channel();
    let (errors, lines) = (log.clone(), log.clone());
    if let Some(output) = child.0.stderr.take() {
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.for_each(|line| errors.push(line));
        });
    }
    if let Some(output) = child.0.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = url(&line) {
                    // Only the first URL is received.
                    let _ = sender.send(url.to_owned());
                }
                lines.push(line);
            }
        });
    }
    match urls.recv_timeout(START_TIMEOUT) {
        Ok(url) => Ok((child, url, log)),
        Err(_) => {
            let lines = log.0.lock().unwrap_or_else(PoisonError::into_inner);
            let lines: Vec<String> = lines.iter().cloned().collect();
            let lines = lines.join("\n");
            Err(io::Error::other(format!(
                "{program} did not print its address:\n{lines}"
            )))
        }
    }
}

/// Finds a URL that can be measured in a line.
fn url(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find(|word| word.starts_with("ws://") || word.starts_with("tcp://"))
}

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_found_in_the_output_of_a_server() {
        let line = "STOMP over WebSocket: ws://127.0.0.1:15674/ws";
        assert_eq!(url(line), Some("ws://127.0.0.1:15674/ws"));
        assert_eq!(url("STOMP over TCP: 127.0.0.1:61613"), None);
    }
}
