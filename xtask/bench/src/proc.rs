//! Figures of processes from `/proc`. Each is `None` on systems without `/proc`.

use std::{fs, path::Path, time::Duration};

/// CPU time of all threads of a process, in user and kernel mode.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    scheduled(pid)
        .filter(|time| !time.is_zero())
        .or_else(|| ticks(pid))
}

/// The name of the file from which `cpu_time` reads on this machine. The report prints it.
pub(crate) fn cpu_source() -> Option<&'static str> {
    let pid = std::process::id();
    if scheduled(pid).is_some_and(|time| !time.is_zero()) {
        Some("/proc/<pid>/task/*/schedstat")
    } else {
        ticks(pid).map(|_| "/proc/<pid>/stat, in clock ticks")
    }
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = field(&status, "VmRSS:", 0)?;
    Some(kib * 1024)
}

/// Maximum number of files that this process, and each of its children, may have open.
pub(crate) fn open_files_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    field(&limits, "Max open files", 0)
}

/// The number of times that all threads of a process have waited: each ended with a wake.
pub(crate) fn wakes(pid: u32) -> Option<u64> {
    let mut wakes = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let status = fs::read_to_string(task.ok()?.path().join("status")).unwrap_or_default();
        wakes += field(&status, "voluntary_ctxt_switches:", 0).unwrap_or(0);
    }
    Some(wakes)
}

/// The average number of runnable threads on this machine in the last minute.
pub(crate) fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// CPU time from the schedstat files of all threads. The first number in each file is in nanoseconds.
fn scheduled(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end before its file is read.
        nanoseconds += on_cpu(&task.ok()?.path()).unwrap_or(0);
    }
    Some(Duration::from_nanos(nanoseconds))
}

fn on_cpu(task: &Path) -> Option<u64> {
    let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
    field(&schedstat, "", 0)
}

/// CPU time, counted in clock ticks. A tick is assumed to be 10 ms; another length would not change ratios.
fn ticks(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which ends with the last parenthesis, utime and stime are the fields 11 and 12, counted from 0.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks = field(after_name, "", 11)? + field(after_name, "", 12)?;
    Some(Duration::from_millis(ticks * 10))
}

/// Finds the first line that begins with `label`. Returns the word at `index` after the label, as a number.
fn field(text: &str, label: &str, index: usize) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_label_and_position() {
        let limits = "Limit  Soft  Hard\nMax open files            1024   4096  files\n";
        assert_eq!(field(limits, "Max open files", 0), Some(1024));
        assert_eq!(field("548 24 139\n", "", 0), Some(548));
        assert_eq!(field(limits, "Max cpu", 0), None);
    }
}
