//! `cargo xtask soak [--list | RUN..]`: what only a real process under real load can show.
//!
//! Every run starts servers as child processes, attacks them from this one, prints figures, and fails if what was
//! promised did not hold.

mod app;
mod client;
mod descriptors;
mod drain;
mod server;
mod slow;
mod storm;

use std::{future::Future, pin::Pin, process::ExitCode};

/// What a run came to; an error is the sentence to print.
type Result<T = (), E = String> = std::result::Result<T, E>;

/// A run by its name.
struct Run {
    name: &'static str,
    about: &'static str,
    start: fn() -> Pin<Box<dyn Future<Output = Result>>>,
}

const RUNS: &[Run] = &[
    Run {
        name: "slow",
        about: "2,000 sockets that send a byte a second",
        start: || Box::pin(slow::run()),
    },
    Run {
        name: "descriptors",
        about: "1,000 dials at 256 descriptors",
        start: || Box::pin(descriptors::run()),
    },
    Run {
        name: "storm",
        about: "5,000 handshakes at once",
        start: || Box::pin(storm::run()),
    },
    Run {
        name: "drain",
        about: "SIGTERM under 200 busy connections",
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
        // What the runs start.
        ["server", limit] => app::serve(limit).await,
        names => run(names).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("soak: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs those of these names, or all, to the first that fails.
async fn run(names: &[&str]) -> Result {
    if let Some(unknown) = names
        .iter()
        .find(|name| RUNS.iter().all(|run| run.name != **name))
    {
        return Err(format!("there is no run {unknown:?}; --list names them"));
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

/// A claim that a run makes.
fn claim(holds: bool, what: impl Into<String>) -> Result {
    let what = what.into();
    println!("  {} {what}", if holds { "ok    " } else { "FAILED" });
    if holds { Ok(()) } else { Err(what) }
}
