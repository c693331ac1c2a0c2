//! The project's tasks: `cargo xtask <command>`.

mod artifact;
mod bench;
mod fuzz;
mod interop;
mod shell;
mod soak;
mod test;
mod tidy;

use interop::Missing;
use std::{env, process::ExitCode};
use test::Warnings;

/// What a task came to; an error is the sentence to print.
type Result<T = (), E = String> = std::result::Result<T, E>;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--deny-warnings]  formatting, clippy, tidy, tests, documentation; needs only Rust
  interop [--install]     foreign clients against our servers; --install fetches what they need
  bench [socket] [arguments]
                          our costs as ratios, measured in one run; --quick for a first look; socket: its own
  fuzz [--runs N] [targets]
                          the codec's fuzz targets, a million runs each; needs cargo-fuzz
  soak [runs]             slow, many and dying clients against a real process; --list names the runs
  tidy                    the design's rules: edges between crates, words per file, lengths
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(Warnings::Shown),
        ["test", "--deny-warnings"] => test::run(Warnings::Denied),
        ["interop"] => interop::run(Missing::Reported),
        ["interop", "--install"] => interop::run(Missing::Installed),
        ["bench", rest @ ..] => bench::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["tidy"] => tidy::run(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
