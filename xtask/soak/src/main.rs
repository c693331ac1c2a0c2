//! `cargo xtask soak [--list | RUN...]`: tests that need a real process under real load.
//!
//! Each run starts servers as child processes, loads them from this process, prints figures, and fails if a claim does
//! not hold.

mod app;
mod client;
mod descriptors;
mod drain;
mod server;
mod slow;
mod storm;

use std::{future::Future, pin::Pin, process::ExitCode};

/// The result of a run. An error is a sentence to print.
type Result<T = (), E = String> = std::result::Result<T, E>;

/// A test that can be selected by its name.
struct Run {
    name: &'static str,
    about: &'static str,
    start: fn() -> Pin<Box<dyn Future<Output = Result>>>,
}

const RUNS: &[Run] = &[
    Run {
        name: "slow",
        about: "2,000 clients that send one byte per second",
        start: || Box::pin(slow::run()),
    },
    Run {
        name: "descriptors",
        about: "1,000 connections to a server with 256 file descriptors",
        start: || Box::pin(descriptors::run()),
    },
    Run {
        name: "storm",
        about: "5,000 handshakes at the same time",
        start: || Box::pin(storm::run()),
    },
    Run {
        name: "drain",
        about: "SIGTERM while 200 clients are sending, beside unfinished connections",
        start: || Box::pin(drain::run()),
    },
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["--list"] => {
            RUNS.iter()
                .for_each(|run| println!("{:12} {}", run.name, run.about));
            Ok(())
        }
        // The runs start this process as their server.
        ["server", limit] => app::serve(limit).await,
        names => run(names).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("webstomp-soak: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Executes the runs with these names, or all runs if there are none. Stops at the first failure.
async fn run(names: &[&str]) -> Result {
    if let Some(unknown) = names
        .iter()
        .find(|name| RUNS.iter().all(|run| run.name != **name))
    {
        return Err(format!(
            "there is no run {unknown:?}; --list prints the names"
        ));
    }
    for run in RUNS
        .iter()
        .filter(|run| names.is_empty() || names.contains(&run.name))
    {
        println!("\n{}: {}", run.name, run.about);
        (run.start)()
            .await
            .map_err(|reason| format!("{}: {reason}", run.name))?;
    }
    Ok(())
}

/// Prints a claim, and returns an error if it does not hold.
fn claim(holds: bool, what: impl Into<String>) -> Result {
    let what = what.into();
    println!("  {} {what}", if holds { "ok    " } else { "FAILED" });
    if holds { Ok(()) } else { Err(what) }
}
