//! Measures the cost of the codec, as ratios to [`floor`].
//!
//! ```text
//! cargo bench -p stomp-frame --bench codec                    # time
//! cargo bench -p stomp-frame --bench codec -- instructions    # instructions, counted by valgrind
//! ```
//!
//! To compare other codecs with the same floor, run `cargo run --release` in `benches/peers`.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench parses no input of a peer, and a bug should stop it"
)]

mod floor;
mod instructions;
mod rounds;
mod rows;
mod sides;
mod workload;

use rows::{ROWS, Row};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with("--"))
        .collect();
    match words[..] {
        [] if is_bench => print_times(),
        // This is what `cargo test --benches` runs.
        [] => run_once(),
        ["instructions"] => return instructions::print(),
        [instructions::REPEAT, side, row, times] => instructions::repeat(side, row, times),
        _ => {
            eprintln!("unknown argument: the only one is \"instructions\"");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn print_times() {
    println!("stomp-frame / floor, time: {}", rounds::method());
    for Row {
        name,
        floor,
        ours,
        goal,
        ..
    } in ROWS
    {
        let ratios = rounds::ratios(floor(), vec![ours()]);
        let goal = if goal.is_empty() {
            String::new()
        } else {
            format!("  goal: {goal}")
        };
        println!("{name:<48} {}{goal}", ratios[0]);
    }
}

fn run_once() {
    for Row { floor, ours, .. } in ROWS {
        floor()(1);
        ours()(1);
    }
}
