//! Pins the server to one core and the generator to another, with `taskset`.

use std::{
    fs, io,
    process::{Command, Stdio},
};

/// The cores of the two sides, or the reason why they are not pinned.
pub(crate) struct Cores {
    server: Option<usize>,
    pub(crate) note: String,
}

impl Cores {
    /// Moves this process to its core, and selects another one for servers.
    pub(crate) fn pin() -> Cores {
        match Cores::select() {
            Ok((server, generator)) => Cores {
                server: Some(server),
                note: format!("servers pinned to core {server}, the generator to core {generator}"),
            },
            Err(reason) => Cores {
                server: None,
                note: format!("not pinned to cores: {reason}"),
            },
        }
    }

    /// The words before a command line that let it run on the servers' core.
    pub(crate) fn server_prefix(&self) -> Vec<String> {
        self.server.map_or(Vec::new(), |core| {
            vec!["taskset".to_owned(), "-c".to_owned(), core.to_string()]
        })
    }

    fn select() -> Result<(usize, usize), String> {
        let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .ok_or("the allowed cores are unknown")?;
        let allowed = cores(list);
        let [.., generator, server] = allowed.as_slice() else {
            return Err(format!("this process may use only {} core", allowed.len()));
        };
        taskset(*generator).map_err(|error| format!("`taskset`: {error}"))?;
        Ok((*server, *generator))
    }
}

/// Moves all threads of this process to one core.
fn taskset(core: usize) -> io::Result<()> {
    let pid = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["-apc", &core.to_string(), &pid])
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(status.to_string())),
    }
}

/// Parses a list of cores such as `0-2,5`.
fn cores(list: &str) -> Vec<usize> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_has_ranges_and_single_cores() {
        assert_eq!(cores("\t0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(cores("7"), [7]);
        assert_eq!(cores(""), [0; 0]);
    }
}
