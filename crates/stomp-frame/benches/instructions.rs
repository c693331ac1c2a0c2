//! Counts instructions. Unlike times, these counts do not depend on the load of the machine.
//!
//! For each figure, the bench runs itself under callgrind twice, the second time with more work. The counts of both
//! runs include startup, preparation and warm-up, so their difference is the additional work alone.

use crate::{
    rows::{ROWS, Row},
    sides::ours_decodes,
    workload::{Workload, dribbled},
};
use std::process::{Command, ExitCode};

/// The argument that the bench passes to itself under callgrind, see [`repeat`].
pub(crate) const REPEAT: &str = "repeat";

/// Disables `rep movsb` in glibc. Callgrind counts one instruction per byte for it, so that long copies would look
/// slow.
const NO_REP_MOVSB: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.x86_rep_movsb_threshold=0x40000000",
);

type Dribbled = (&'static str, fn() -> Workload);

/// Frames that arrive byte by byte. A frame of twice the length should cost the same per byte.
const DRIBBLED: [Dribbled; 4] = [
    ("128 KiB byte by byte, with content-length", || {
        dribbled(128 << 10, true)
    }),
    ("256 KiB byte by byte, with content-length", || {
        dribbled(256 << 10, true)
    }),
    ("128 KiB byte by byte, without content-length", || {
        dribbled(128 << 10, false)
    }),
    ("256 KiB byte by byte, without content-length", || {
        dribbled(256 << 10, false)
    }),
];

/// Prints the counts of all rows.
pub(crate) fn print() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("counting instructions requires valgrind, which is not installed");
        return ExitCode::FAILURE;
    }
    println!("stomp-frame / floor, instructions per frame");
    for (index, &Row { name, counted, .. }) in
        ROWS.iter().enumerate().filter(|(_, row)| row.counted > 0)
    {
        let (ours, floor) = (
            count("ours", index, counted),
            count("floor", index, counted),
        );
        println!("{name:<40} {:6.2} ({ours:.0} / {floor:.0})", ours / floor);
    }
    println!("stomp-frame, instructions per byte; goal: 100");
    for (index, (name, workload)) in DRIBBLED.iter().enumerate() {
        println!(
            "{name:<40} {:6.1}",
            count("dribbled", index, 1) / workload().len() as f64
        );
    }
    ExitCode::SUCCESS
}

/// Does the work of one side of a row `times` times. Runs under callgrind, which counts the instructions.
pub(crate) fn repeat(side: &str, index: &str, times: &str) {
    let index: usize = index.parse().expect("the number of a row");
    let mut work = match side {
        "floor" => (ROWS[index].floor)(),
        "ours" => (ROWS[index].ours)(),
        _ => ours_decodes(DRIBBLED[index].1()),
    };
    work(times.parse().expect("a number"));
}

/// Counts the instructions for doing the work once.
fn count(side: &str, index: usize, times: u64) -> f64 {
    let [few, many] = [times, 2 * times]
        .map(|times| run_callgrind([REPEAT, side, &index.to_string(), &times.to_string()]));
    (many - few) / times as f64
}

fn run_callgrind(arguments: [&str; 4]) -> f64 {
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
    total.unwrap_or_else(|| panic!("valgrind printed no count:\n{report}"))
}
