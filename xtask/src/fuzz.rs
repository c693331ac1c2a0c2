//! `cargo xtask fuzz`: runs the fuzz targets of all crates.

use crate::{Result, shell};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, ChildStderr, Command, Stdio},
};

/// A package of fuzz targets.
#[derive(Debug)]
struct Package {
    /// The path relative to the workspace's root.
    path: &'static str,
    /// The file of tokens for libFuzzer, in the package.
    dictionary: &'static str,
}

const PACKAGES: [Package; 3] = [
    Package {
        path: "crates/stomp-broker/fuzz",
        dictionary: "stomp.dict",
    },
    Package {
        path: "crates/stomp-frame/fuzz",
        dictionary: "stomp.dict",
    },
    Package {
        path: "crates/stomp-server/fuzz",
        dictionary: "http.dict",
    },
];

const CARGO_FUZZ: &str = "0.13.2";
const RUNS: u64 = 1_000_000;

/// The targets to run, and the number of runs of each.
#[derive(Debug, PartialEq, Eq)]
struct Plan<'a> {
    runs: u64,
    targets: Vec<&'a str>,
}

/// Runs fuzz targets on the committed corpus and on inputs that libFuzzer derives from it. Without names in
/// `arguments`, runs all targets. Returns an error if a target crashes.
pub(crate) fn run(arguments: &[&str]) -> Result {
    let all = targets()?;
    let plan = plan(arguments, &all)?;
    installed()?;
    let findings = Directory::new()?;
    let mut executed = Vec::new();
    for target in plan.targets {
        let package = PACKAGES.iter().find(|package| package.has(target));
        let package = package.ok_or_else(|| format!("no package has the target {target}"))?;
        executed.push((target, package.fuzz(target, plan.runs, &findings.0)?));
    }
    println!("\nexecutions without a crash:");
    for (target, executions) in executed {
        println!("{target:>16} {executions:>12}");
    }
    Ok(())
}

fn plan<'a>(arguments: &[&'a str], all: &'a [String]) -> Result<Plan<'a>> {
    let (runs, names) = match arguments {
        ["--runs", runs, names @ ..] => (
            runs.parse()
                .map_err(|_| format!("`{runs}` is not a number of runs"))?,
            names,
        ),
        ["--runs"] => return Err("--runs needs a number of runs".to_owned()),
        names => (RUNS, names),
    };
    let unknown = names
        .iter()
        .find(|name| !all.iter().any(|target| target == *name));
    match unknown {
        Some(name) => Err(format!(
            "there is no fuzz target `{name}`; the targets are {}",
            all.join(", ")
        )),
        None if names.is_empty() => Ok(Plan {
            runs,
            targets: all.iter().map(String::as_str).collect(),
        }),
        None => Ok(Plan {
            runs,
            targets: names.to_vec(),
        }),
    }
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for package in &PACKAGES {
        names.extend(package.targets()?);
    }
    names.sort();
    Ok(names)
}

fn installed() -> Result {
    let mut probe = shell::cargo(&["fuzz", "--version"]);
    match probe.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!(
            "cargo-fuzz is missing; install it with `cargo install cargo-fuzz --version {CARGO_FUZZ} --locked` \
             (its targets need a C++ compiler)"
        )),
    }
}

impl Package {
    fn directory(&self) -> PathBuf {
        shell::root().join(self.path).join("fuzz_targets")
    }

    fn has(&self, target: &str) -> bool {
        self.directory().join(format!("{target}.rs")).is_file()
    }

    /// The names of the targets. Each target is a file.
    fn targets(&self) -> Result<Vec<String>> {
        let directory = self.directory();
        let entries = fs::read_dir(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(files
            .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
            .collect())
    }

    /// Runs one target and returns its number of executions.
    fn fuzz(&self, target: &str, runs: u64, findings: &Path) -> Result<u64> {
        let Package { path, dictionary } = self;
        let findings = findings.join(target);
        fs::create_dir_all(&findings)
            .map_err(|error| format!("{}: {error}", findings.display()))?;
        // Stable Rust has no sanitizers, and safe code hardly needs them.
        let mut fuzz = shell::cargo(&["fuzz", "run", "--sanitizer", "none"]);
        fuzz.args(["--fuzz-dir", path, target]);
        // libFuzzer writes new inputs to the first directory.
        fuzz.arg(findings)
            .arg(format!("{path}/corpus/{target}"))
            .arg("--");
        fuzz.arg(format!("-runs={runs}"))
            .arg(format!("-dict={path}/{dictionary}"));
        fuzz.args(["-max_len=4096", "-print_final_stats=1"]);
        executions(&mut fuzz)
    }
}

/// Runs libFuzzer, prints its output, and returns the number of executions that it reports at the end.
fn executions(command: &mut Command) -> Result<u64> {
    let line = shell::line(command);
    println!("\n$ {line}");
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{line}` did not start: {error}"))?;
    let executed = child.stderr.take().and_then(relay);
    match child.wait() {
        Ok(status) if status.success() => {
            executed.ok_or_else(|| format!("`{line}` did not report its executions"))
        }
        Ok(status) => Err(format!("`{line}` failed: {status}")),
        Err(error) => Err(format!("`{line}`: {error}")),
    }
}

fn relay(stderr: ChildStderr) -> Option<u64> {
    let mut executed = None;
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        executed = executed.or_else(|| reported(&line));
        if !is_progress(&line) {
            eprintln!("{line}");
        }
    }
    executed
}

fn reported(line: &str) -> Option<u64> {
    line.strip_prefix("stat::number_of_executed_units:")?
        .trim()
        .parse()
        .ok()
}

/// Returns true if the line only reports a new input, a newly reached function, or an entry of the recommended
/// dictionary.
fn is_progress(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [number, "NEW" | "REDUCE" | "RELOAD", ..] => number.starts_with('#'),
        [.., "#", "Uses:", _] | ["######", ..] => true,
        [first, ..] => first.starts_with("NEW_FUNC["),
        [] => false,
    }
}

/// A temporary directory for inputs that libFuzzer finds, so that a run never changes the committed corpus.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Directory> {
        let path = env::temp_dir().join(format!("webstomp-fuzz-{}", process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Leftovers in the system's temporary directory are harmless.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_choose_runs_and_targets() {
        let all = ["head".to_owned(), "round_trip".to_owned()];
        let chosen = |arguments: &[&'static str]| {
            plan(arguments, &all).map(|plan| (plan.runs, plan.targets.join(" ")))
        };
        assert_eq!(chosen(&[]), Ok((RUNS, "head round_trip".to_owned())));
        assert_eq!(
            chosen(&["--runs", "7"]),
            Ok((7, "head round_trip".to_owned()))
        );
        assert_eq!(chosen(&["--runs", "7", "head"]), Ok((7, "head".to_owned())));
        for wrong in [
            &["--runs"][..],
            &["--runs", "many"],
            &["body"],
            &["head", "--runs", "7"],
        ] {
            assert!(chosen(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_executions_and_the_progress_of_libfuzzer_are_recognized() {
        assert_eq!(
            reported("stat::number_of_executed_units: 1000002"),
            Some(1_000_002)
        );
        assert_eq!(reported("stat::average_exec_per_sec:     50000"), None);
        assert!(is_progress(
            "#123\tNEW    cov: 3 ft: 4 corp: 5/6b lim: 7 exec/s: 0 rss: 29Mb"
        ));
        assert!(is_progress("\tNEW_FUNC[1/2]: 0x55c3cdd9fb81"));
        assert!(is_progress("\"\\377\\011\" # Uses: 690"));
        assert!(!is_progress(
            "#1024\tpulse  cov: 3 ft: 4 corp: 5/6b lim: 7 exec/s: 512 rss: 29Mb"
        ));
        assert!(!is_progress("SUMMARY: libFuzzer: deadly signal"));
    }
}
