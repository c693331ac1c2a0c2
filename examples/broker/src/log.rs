//! The log on the standard error output.
//!
//! A thread writes what was logged in the last moment, in one piece. So a line costs its connection no system call, and
//! nobody waits for a program that reads the log too slowly: then lines are dropped, and counted.

use std::{
    io::{self, Write},
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Time for which lines are collected.
const PAUSE: Duration = Duration::from_millis(50);

/// Maximum bytes of lines that wait.
const MAX_BYTES: usize = 1 << 20;

/// The lines of this process.
static LINES: Lines = Lines {
    waiting: Mutex::new(Waiting {
        text: Vec::new(),
        dropped: 0,
    }),
    is_not_empty: Condvar::new(),
    output: Mutex::new(()),
};

/// Writes the lines that wait when it is dropped.
pub(crate) struct Log(());

struct Lines {
    waiting: Mutex<Waiting>,
    is_not_empty: Condvar,
    /// Locked while lines are written, so that they stay in order.
    output: Mutex<()>,
}

struct Waiting {
    text: Vec<u8>,
    /// The number of lines for which there was no room.
    dropped: u64,
}

/// Starts the log. RUST_LOG selects what it contains, such as `debug` or `info,stomp_session=debug`. The log ends when
/// the result is dropped.
pub(crate) fn start() -> io::Result<Log> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| &LINES)
        .init();
    thread::Builder::new().name("log".to_owned()).spawn(|| {
        loop {
            drop(LINES.wait());
            thread::sleep(PAUSE);
            LINES.write_to(&mut io::stderr());
        }
    })?;
    Ok(Log(()))
}

impl Drop for Log {
    fn drop(&mut self) {
        LINES.write_to(&mut io::stderr());
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a line.
    fn wait(&self) -> MutexGuard<'_, Waiting> {
        let is_empty = |waiting: &mut Waiting| waiting.text.is_empty();
        let waited = self.is_not_empty.wait_while(self.lock(), is_empty);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, if there is room.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.text.len() + line.len() > MAX_BYTES {
            waiting.dropped += 1;
            return;
        }
        let is_first = waiting.text.is_empty();
        waiting.text.extend(line);
        drop(waiting);
        if is_first {
            self.is_not_empty.notify_one();
        }
    }

    /// Writes the lines that wait. An error is ignored: there is no other place to report it.
    fn write_to(&self, output: &mut impl Write) {
        let _writing = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.lock();
        let (mut text, dropped) = (
            mem::take(&mut waiting.text),
            mem::take(&mut waiting.dropped),
        );
        drop(waiting);
        if dropped > 0 {
            let _ = writeln!(
                text,
                "{dropped} lines of the log were dropped, because it is read too slowly."
            );
        }
        let _ = output.write_all(&text);
    }
}

/// Each call adds a line.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_counted() {
        let lines = Lines {
            waiting: Mutex::new(Waiting {
                text: Vec::new(),
                dropped: 0,
            }),
            is_not_empty: Condvar::new(),
            output: Mutex::new(()),
        };
        let long = "x".repeat(MAX_BYTES - 2) + "\n";
        for line in [&long, "y", "lost", "lost"] {
            lines.push(line.as_bytes());
        }
        let mut output = Vec::new();
        lines.write_to(&mut output);
        let end = "\ny2 lines of the log were dropped, because it is read too slowly.\n";
        assert!(output.ends_with(end.as_bytes()));
        lines.push(b"z");
        output.clear();
        lines.write_to(&mut output);
        assert_eq!(output, b"z");
    }
}
