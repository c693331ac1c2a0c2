//! `cargo xtask bench [--quick] [--noise]`: what webstomp costs beside the floor.
//!
//! Starts `floor` and `app` as processes, loads them in turn from this one, and prints only
//! ratios of what was measured side by side: a figure in nanoseconds would say more about the
//! machine than about the code. Build all of it with `cargo build --release -p bench`.

mod client;
mod compare;
mod dialect;
mod load;
mod options;
mod proc;
mod report;
mod server;
mod wire;

use std::io;
use std::process::ExitCode;

use tokio::task::LocalSet;

use crate::compare::Pair;
use crate::options::Options;
use crate::report::Row;
use crate::server::Server;

fn main() -> ExitCode {
    match Options::parse().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, compare_all(options))
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

fn start(options: &Options) -> io::Result<Pair<Server>> {
    Ok(Pair { floor: Server::floor()?, app: if options.noise { Server::floor()? } else { Server::app()? } })
}

async fn receipts(options: &Options, servers: &Pair<Server>) -> io::Result<Row> {
    let plan = &options.plan;
    let load = async |server: &Server| load::receipts::run(server, plan).await;
    let rounds = compare::interleaved(plan.rounds, servers, load).await?;
    Ok(Row::work("receipt 50x16", &rounds))
}

async fn fan_out(options: &Options, servers: &Pair<Server>) -> io::Result<Row> {
    let plan = &options.plan;
    // The floor sends what the app delivers, byte for byte.
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

/// Every round has fresh processes, since an allocator seldom gives back what a load took.
async fn memory(options: &Options) -> io::Result<Row> {
    let mut rounds = Vec::new();
    for _ in 0..load::memory::ROUNDS {
        let servers = start(options)?;
        rounds.extend(compare::interleaved(1, &servers, load::memory::run).await?);
    }
    Ok(Row::memory("idle connection", &rounds))
}
