//! The memory that this process may use, by its control groups and its machine.

use std::{fs, path::Path};

/// Returns the smallest limit in bytes that applies to the memory of this process. `None` if it is unknown, as on all
/// systems except Linux.
pub(super) fn memory_limit() -> Option<u64> {
    if cfg!(target_os = "linux") {
        smallest_limit(|path| fs::read_to_string(path).ok())
    } else {
        None
    }
}

/// Returns the smallest of the limits that the files say which `read` reads.
fn smallest_limit(read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let of_groups = groups
        .lines()
        .flat_map(limit_files)
        .filter_map(|file| parse_limit(&read(&file)?));
    let of_machine = read("/proc/meminfo").and_then(|info| parse_total(&info));
    of_groups.chain(of_machine).min()
}

/// Returns the files with the memory limits of a control group and of all groups that contain it. `line` is a line of
/// `/proc/self/cgroup`: `ID:CONTROLLERS:PATH`.
///
/// In a container the path may be that of the host. Then its first files do not exist, and the last file, in the
/// directory where the groups are mounted, has the limit of the container.
fn limit_files(line: &str) -> Vec<String> {
    let mut fields = line.splitn(3, ':');
    let (id, controllers, path) = (fields.next(), fields.next(), fields.next());
    let (Some(id), Some(controllers), Some(path)) = (id, controllers, path) else {
        return Vec::new();
    };
    let (mount, file) = if id == "0" && controllers.is_empty() {
        ("/sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let groups = Path::new(path).ancestors().filter_map(Path::to_str);
    groups
        .map(|group| format!("{mount}{}/{file}", group.trim_end_matches('/')))
        .collect()
}

/// Parses the limit of a control group. `None` for `max`, which means no limit.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Parses the physical memory in `/proc/meminfo`.
fn parse_total(info: &str) -> Option<u64> {
    let total = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: (&str, &str) = (
        "/proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:        10793288 kB\n",
    );

    /// Returns the smallest limit on a machine that has these files.
    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        smallest_limit(|path| {
            let file = files.iter().find(|(known, _)| *known == path)?;
            Some(file.1.to_owned())
        })
    }

    #[test]
    fn without_control_groups_the_physical_memory_is_the_limit() {
        assert_eq!(limit(&[MEMORY]), Some(16 << 30));
        let unlimited = [MEMORY, ("/proc/self/cgroup", "0::/\n")];
        assert_eq!(limit(&unlimited), Some(16 << 30));
    }

    #[test]
    fn the_smallest_limit_of_a_group_and_of_those_that_contain_it_counts() {
        let files = |own, outer, slice| {
            limit(&[
                MEMORY,
                ("/proc/self/cgroup", "0::/app.slice/a:b.service\n"),
                ("/sys/fs/cgroup/app.slice/a:b.service/memory.max", own),
                ("/sys/fs/cgroup/app.slice/memory.max", outer),
                ("/sys/fs/cgroup/memory.max", slice),
            ])
        };
        assert_eq!(files("1000\n", "2000\n", "3000\n"), Some(1_000));
        assert_eq!(files("max\n", "2000\n", "3000\n"), Some(2_000));
        assert_eq!(files("max\n", "max\n", "3000\n"), Some(3_000));
        assert_eq!(files("max\n", "max\n", "max\n"), Some(16 << 30));
        assert_eq!(files("99999999999999\n", "", "what\n"), Some(16 << 30));
    }

    #[test]
    fn a_container_that_sees_the_path_of_its_host_has_its_limit_at_the_mount() {
        let files = [
            MEMORY,
            ("/proc/self/cgroup", "0::/system.slice/docker-1a2b.scope\n"),
            ("/sys/fs/cgroup/memory.max", "536870912\n"),
        ];
        assert_eq!(limit(&files), Some(512 << 20));
    }

    #[test]
    fn the_memory_controller_of_version_1_is_found_among_others() {
        let files = |own| {
            limit(&[
                MEMORY,
                (
                    "/proc/self/cgroup",
                    "9:name=systemd:/\n4:cpu,memory:/jobs/7\n1:cpuset:/jobs\n0::/\n",
                ),
                ("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", own),
                (
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                    "9223372036854771712\n",
                ),
            ])
        };
        assert_eq!(files("268435456\n"), Some(256 << 20));
        assert_eq!(files("9223372036854771712\n"), Some(16 << 30));
    }

    #[test]
    fn unknown_texts_are_no_limits() {
        for (groups, memory) in [
            ("", ""),
            ("0::", "MemTotal: many kB"),
            ("memory", "MemTotal:"),
            (":::", "MemTotal: 18446744073709551615 kB"),
        ] {
            let files = [("/proc/self/cgroup", groups), ("/proc/meminfo", memory)];
            assert_eq!(limit(&files), None, "{groups:?} {memory:?}");
        }
    }
}
