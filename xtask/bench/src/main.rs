//! `cargo xtask bench [socket] [--quick] [--noise]`: the costs of webstomp, or of its socket alone, relative to a bare
//! WebSocket server.
//!
//! The benchmark starts `baseline` and `app` as processes, loads them in turn from this one, and prints only ratios of
//! values that were measured side by side: absolute times depend more on the machine than on the code. `cargo build
//! --release -p webstomp-bench` builds all programs.

mod client;
mod compare;
mod dialect;
mod load;
mod options;
mod proc;
mod report;
mod server;
mod wire;
mod writes;

use crate::{compare::Pair, options::Options, report::Row, server::Server};
use std::{io, process::ExitCode};
use tokio::task::LocalSet;

fn main() -> ExitCode {
    match Options::parse().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("webstomp-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let compare = async {
        if options.socket {
            compare_sockets(options).await
        } else {
            compare_all(options).await
        }
    };
    LocalSet::new().block_on(&runtime, compare)
}

async fn compare_all(options: &Options) -> io::Result<()> {
    let servers = start(options)?;
    report::print_head(options);
    report::print(&receipts(options, &servers).await?);
    report::print(&fan_out(options, &servers).await?);
    if !options.quick {
        report::print(&latency(options, &servers).await?);
        drop(servers);
        report::print(&memory(options).await?);
    }
    report::print_method(options);
    Ok(())
}

/// Measures the socket alone: an echo, the memory that stays after a large message, and write calls.
async fn compare_sockets(options: &Options) -> io::Result<()> {
    let servers = start(options)?;
    report::print_head(options);
    report::print(&echo(options, &servers, "echo 50x16", dialect::request).await?);
    report::print(
        &echo(options, &servers, "echo of 1 KiB", |_| {
            dialect::large_request(1 << 10)
        })
        .await?,
    );
    drop(servers);
    if !options.quick {
        report::print(&after_large(options).await?);
    }
    report::print_writes(writes::count().await?);
    report::print_method(options);
    Ok(())
}

fn start(options: &Options) -> io::Result<Pair<Server>> {
    let app = match options {
        Options { noise: true, .. } => Server::baseline(),
        Options { socket: true, .. } => Server::socket(),
        _ => Server::app(),
    };
    Ok(Pair {
        baseline: Server::baseline()?,
        app: app?,
    })
}

async fn echo(
    options: &Options,
    servers: &Pair<Server>,
    name: &'static str,
    request: fn(usize) -> String,
) -> io::Result<Row> {
    let plan = &options.plan;
    let load = async |server: &Server| load::receipts::run_with(server, plan, request).await;
    let rounds = compare::interleaved(plan.rounds, servers, load).await?;
    Ok(Row::work(name, &rounds))
}

/// Measures the memory of connections after a large message, with fresh processes for each round, as in `memory`.
async fn after_large(options: &Options) -> io::Result<Row> {
    let mut rounds = Vec::new();
    for _ in 0..load::after_large::ROUNDS {
        let servers = start(options)?;
        rounds.extend(compare::interleaved(1, &servers, load::after_large::run).await?);
    }
    Ok(Row::after_large("after large", &rounds))
}

async fn receipts(options: &Options, servers: &Pair<Server>) -> io::Result<Row> {
    let plan = &options.plan;
    let load = async |server: &Server| load::receipts::run(server, plan).await;
    let rounds = compare::interleaved(plan.rounds, servers, load).await?;
    Ok(Row::work("receipt 50x16", &rounds))
}

async fn fan_out(options: &Options, servers: &Pair<Server>) -> io::Result<Row> {
    let plan = &options.plan;
    // The baseline delivers the same bytes as the app.
    let delivery = load::fan_out::delivery(&servers.app).await?;
    let load = async |server: &Server| load::fan_out::run(server, plan, &delivery).await;
    let rounds = compare::interleaved(plan.rounds, servers, load).await?;
    Ok(Row::work("fan-out 1->200", &rounds))
}

async fn latency(options: &Options, servers: &Pair<Server>) -> io::Result<Row> {
    let plan = &options.plan;
    let load = async |server: &Server| load::latency::run(server, plan).await;
    let rounds = compare::interleaved(plan.rounds, servers, load).await?;
    Ok(Row::latency("receipt 1x1", &rounds))
}

/// Measures the memory of idle connections. Each round starts fresh processes, because an allocator seldom returns the
/// memory of a load.
async fn memory(options: &Options) -> io::Result<Row> {
    let mut rounds = Vec::new();
    for _ in 0..load::memory::ROUNDS {
        let servers = start(options)?;
        rounds.extend(compare::interleaved(1, &servers, load::memory::run).await?);
    }
    Ok(Row::memory("idle connection", &rounds))
}
