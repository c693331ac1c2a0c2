//! Tools that count what a server does during an interval: `perf`, `strace` and valgrind's `callgrind`. Each works on
//! the process of its own user, without root.

use std::{
    collections::HashMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Maximum time until a tool is attached, and until its output exists.
const TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
/// Time that `perf` and `strace` need until they count. They do not tell.
const ATTACH: Duration = Duration::from_millis(500);

const WRITES: [&str; 5] = ["write", "writev", "sendto", "sendmsg", "sendmmsg"];
const READS: [&str; 5] = ["read", "readv", "recvfrom", "recvmsg", "recvmmsg"];
const POLLS: [&str; 3] = ["epoll_wait", "epoll_pwait", "epoll_pwait2"];
const ALLOCATIONS: [&str; 5] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    Perf,
    Strace,
    /// The server must run under [`Tool::prefix`].
    Callgrind,
}

/// The counts of an interval. A tool knows only some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Instructions in user space.
    pub(crate) instructions: Option<u64>,
    pub(crate) allocations: Option<u64>,
    pub(crate) writes: Option<u64>,
    pub(crate) reads: Option<u64>,
    pub(crate) polls: Option<u64>,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Perf => "perf",
            Tool::Strace => "strace",
            Tool::Callgrind => "valgrind",
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        let mut probe = Command::new(self.name());
        let probe = probe.arg("--version").stdout(Stdio::null());
        probe.stderr(Stdio::null()).status().is_ok()
    }

    /// The words before the command line of a server that the tool can count.
    pub(crate) fn prefix(self) -> Vec<String> {
        if self != Tool::Callgrind {
            return Vec::new();
        }
        let output = format!("--callgrind-out-file={}", self.output().display());
        ["valgrind", "--tool=callgrind", &output]
            .map(ToOwned::to_owned)
            .to_vec()
    }

    /// Begins to count.
    pub(crate) fn attach(self, pid: u32) -> io::Result<Attached> {
        let pid = pid.to_string();
        let output = self.output();
        let path = output.to_string_lossy();
        let child = match self {
            Tool::Perf => spawn(
                "perf",
                &[
                    "stat",
                    "-x,",
                    "-e",
                    "instructions:u",
                    "-o",
                    &path,
                    "-p",
                    &pid,
                ],
            )?,
            Tool::Strace => spawn("strace", &["-c", "-f", "-o", &path, "-p", &pid])?,
            Tool::Callgrind => {
                control("-z", &pid)?;
                return Ok(Attached {
                    tool: self,
                    pid,
                    child: None,
                });
            }
        };
        thread::sleep(ATTACH);
        Ok(Attached {
            tool: self,
            pid,
            child: Some(child),
        })
    }

    fn output(self) -> PathBuf {
        let name = format!("webstomp-profile-{}-{}", self.name(), std::process::id());
        env::temp_dir().join(name)
    }
}

/// A tool that counts.
pub(crate) struct Attached {
    tool: Tool,
    pid: String,
    child: Option<Child>,
}

impl Attached {
    /// Ends the count and reads it.
    pub(crate) fn detach(self) -> io::Result<Counts> {
        let output = self.tool.output();
        let Some(mut child) = self.child else {
            control("-d", &self.pid)?;
            // The first dump has this suffix.
            let dump = output.with_file_name(format!("{}.1", file_name(&output)));
            return Ok(read(&dump, "totals:")
                .map(|text| callgrind(&text))
                .unwrap_or_default());
        };
        let interrupt = ["-INT", &child.id().to_string()];
        Command::new("kill").args(interrupt).status()?;
        child.wait()?;
        let text = read(&output, "")?;
        Ok(match self.tool {
            Tool::Perf => Counts {
                instructions: text
                    .lines()
                    .find_map(|line| line.split(',').next()?.parse().ok()),
                ..Counts::default()
            },
            _ => strace(&text),
        })
    }
}

fn spawn(program: &str, arguments: &[&str]) -> io::Result<Child> {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Sends a command to a running callgrind.
fn control(command: &str, pid: &str) -> io::Result<()> {
    let output = Command::new("callgrind_control")
        .args([command, pid])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("callgrind_control: {text}")))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Reads and removes an output as soon as it contains `end`.
fn read(path: &Path, end: &str) -> io::Result<String> {
    let start = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.contains(end) => {
                fs::remove_file(path)?;
                return Ok(text);
            }
            Err(error) if start.elapsed() > TIMEOUT => return Err(error),
            Ok(_) if start.elapsed() > TIMEOUT => {
                let text = format!("{} is not complete", path.display());
                return Err(io::Error::other(text));
            }
            _ => thread::sleep(PAUSE),
        }
    }
}

/// Parses the table of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn strace(text: &str) -> Counts {
    let calls = |names: &[&str]| {
        let lines = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = names.contains(words.last()?);
            name.then(|| words.get(3)?.parse::<u64>().ok())?
        });
        Some(lines.sum())
    };
    Counts {
        writes: calls(&WRITES),
        reads: calls(&READS),
        polls: calls(&POLLS),
        ..Counts::default()
    }
}

/// Parses a dump of callgrind: its total, and the calls to functions that allocate.
///
/// A name is written only once, as `fn=(7) malloc`; later it is `fn=(7)`. A line `calls=COUNT …` follows the line of
/// the called function.
fn callgrind(text: &str) -> Counts {
    let mut names = HashMap::new();
    let (mut called, mut allocations, mut instructions) = ("", 0, None);
    for line in text.lines() {
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        match key {
            "fn" | "cfn" => {
                let (id, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(id, name);
                }
                if key == "cfn" {
                    called = names.get(id).copied().unwrap_or_default();
                }
            }
            // A recursive function has a number after its name.
            "calls" if ALLOCATIONS.contains(&called.split('\'').next().unwrap_or_default()) => {
                let count = value.split_whitespace().next();
                allocations += count.and_then(|count| count.parse().ok()).unwrap_or(0);
            }
            "totals" => instructions = value.trim().parse().ok(),
            _ => {}
        }
    }
    Counts {
        instructions,
        allocations: Some(allocations),
        ..Counts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_calls_are_summed_from_a_table_with_and_without_errors() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           6       100           sendto
 20.00    0.000200           2        90        40 recvfrom
 10.00    0.000100           1         7           writev
 10.00    0.000100           1        30           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000                   227        40 total
";
        let counts = strace(table);
        let all = (counts.writes, counts.reads, counts.polls);
        assert_eq!(all, (Some(107), Some(90), Some(30)));
    }

    #[test]
    fn allocations_are_summed_over_all_callers() {
        let dump = "\
fn=(1) main
cfn=(2) malloc
calls=3 10
5 20
cfn=(3) other
calls=9 10
fn=(4) realloc
cfn=(2)
calls=2 10
cfn=(4)
calls=1 1
totals: 1234
";
        let counts = callgrind(dump);
        let all = (counts.instructions, counts.allocations);
        assert_eq!(all, (Some(1234), Some(6)));
    }
}
