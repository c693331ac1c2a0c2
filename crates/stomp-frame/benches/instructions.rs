//! Instructions instead of time: the same on a busy machine.
//!
//! The bench runs itself under callgrind, twice for each figure, once with more work than the other time. What differs
//! is the work alone: starting, preparing and warming up are in both counts.

use crate::{
    rows::{ROWS, Row},
    sides::ours_decodes,
    workload::{Workload, dribbled},
};
use std::process::{Command, ExitCode};

/// The word that makes the bench a program to be counted.
pub(crate) const REPEAT: &str = "repeat";

/// To callgrind, glibc's `rep movsb` is an instruction per byte, which would make long copies look slow.
const NO_REP_MOVSB: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.x86_rep_movsb_threshold=0x40000000",
);

type Dribbled = (&'static str, fn() -> Workload);

/// Frames that come byte by byte. Twice the frame should cost the same a byte.
const DRIBBLED: [Dribbled; 4] = [
    ("128 KiB byte by byte, length stated", || {
        dribbled(128 << 10, true)
    }),
    ("256 KiB byte by byte, length stated", || {
        dribbled(256 << 10, true)
    }),
    ("128 KiB byte by byte, up to a NUL", || {
        dribbled(128 << 10, false)
    }),
    ("256 KiB byte by byte, up to a NUL", || {
        dribbled(256 << 10, false)
    }),
];

/// Counts all.
pub(crate) fn print() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("instructions are counted by valgrind, which is not installed");
        return ExitCode::FAILURE;
    }
    println!("stomp-frame / floor, instructions a frame");
    for (index, &Row { name, counted, .. }) in
        ROWS.iter().enumerate().filter(|(_, row)| row.counted > 0)
    {
        let (ours, floor) = (
            count("ours", index, counted),
            count("floor", index, counted),
        );
        println!("{name:<40} {:6.2} ({ours:.0} / {floor:.0})", ours / floor);
    }
    println!("stomp-frame, instructions a byte; goal: 100");
    for (index, (name, workload)) in DRIBBLED.iter().enumerate() {
        println!(
            "{name:<40} {:6.1}",
            count("dribbled", index, 1) / workload().len() as f64
        );
    }
    ExitCode::SUCCESS
}

/// What is counted: does some work so many times.
pub(crate) fn repeat(side: &str, index: &str, times: &str) {
    let index: usize = index.parse().expect("a row's number");
    let mut work = match side {
        "floor" => (ROWS[index].floor)(),
        "ours" => (ROWS[index].ours)(),
        _ => ours_decodes(DRIBBLED[index].1()),
    };
    work(times.parse().expect("a number"));
}

/// The instructions of some work done once.
fn count(side: &str, index: usize, times: u64) -> f64 {
    let [few, many] = [times, 2 * times]
        .map(|times| collected([REPEAT, side, &index.to_string(), &times.to_string()]));
    (many - few) / times as f64
}

fn collected(arguments: [&str; 4]) -> f64 {
    let (tunables, value) = NO_REP_MOVSB;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("the path of this program"))
        .args(arguments)
        .env(tunables, value)
        .output()
        .expect("valgrind starts");
    // `==1234== Collected : 5678`, on stderr.
    let report = String::from_utf8_lossy(&output.stderr);
    let total = report
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    total.unwrap_or_else(|| panic!("valgrind counted nothing:\n{report}"))
}
