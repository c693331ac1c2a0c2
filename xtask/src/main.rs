//! The project's tasks: `cargo xtask COMMAND`.

mod artifact;
mod bench;
mod deny;
mod documentation;
mod fuzz;
mod interop;
mod shell;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::{env, process::ExitCode};
use test::Warnings;

/// The result of a task. An error is a sentence to print.
type Result<T = (), E = String> = std::result::Result<T, E>;

/// The reaction to a tool that is missing on this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Return an error that tells how to install the tool.
    Reported,
    /// Install the tool.
    Installed,
}

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test [--deny-warnings]   Check format, lints, architecture, features, tests, packages and documentation.
                           Needs only Rust.
  tidy                     Check the architecture: dependencies between crates and modules, names, lengths.
  deny [--install]         Check licenses and origins of all dependencies. Needs cargo-deny.
  interop [--install] [--only WORD] [--list]
                           Test the servers with third-party clients, proxies and brokers.
                           --only runs the suites whose names contain WORD; --list prints the names.
  bench [--quick] [--rounds N] [--only WORD] [--list] [--svg PATH]
        [--against PATH] [--url URL [--login NAME --passcode SECRET] [--pid PID]] [--noise]
                           Measure the example broker and plain handlers beside a bare WebSocket server. Prints a
                           table in Markdown. --against also measures an older build of the broker; --url measures
                           any STOMP server instead of it.
  profile WORK [--against PATH | --handler | --layers]
                           Count instructions, allocations, system calls and wakes of a work of the benchmark.
  soak [RUN...] [--list]   Run a server under slow, many and failing clients. Needs Linux.
  fuzz [--runs N] [TARGET...]
                           Fuzz all targets, by default with a million runs for each target. Needs cargo-fuzz.
  help                     Print this text.

--install installs missing tools: with cargo, and on Debian as root with apt-get, npm and pip.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_help = |word: &&str| ["help", "--help", "-h"].contains(word);
    let outcome = match words.as_slice() {
        words if words.iter().any(is_help) => {
            print!("{USAGE}");
            Ok(())
        }
        ["test"] => test::run(Warnings::Shown),
        ["test", "--deny-warnings"] => test::run(Warnings::Denied),
        ["tidy"] => tidy::run(),
        ["deny"] => deny::run(Missing::Reported),
        ["deny", "--install"] => deny::run(Missing::Installed),
        ["interop", rest @ ..] => match interop::Options::parse(rest) {
            Some(options) => interop::run(&options),
            None => return usage_error(),
        },
        ["bench", rest @ ..] => bench::run(rest),
        ["profile", work, rest @ ..] => bench::profile(work, rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        _ => return usage_error(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn usage_error() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}
