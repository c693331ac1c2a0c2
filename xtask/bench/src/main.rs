//! `cargo xtask bench` and `cargo xtask profile`: the costs of the things that users do with webstomp, beside a bare
//! WebSocket server.
//!
//! The benchmark starts the example broker, apps of plain handlers (`bin/handler.rs`) and a bare tokio-tungstenite server
//! (`bin/baseline.rs`) as processes, and loads them in turn from this one. `works.rs` lists the works. Absolute figures
//! depend on the machine; ratios carry over.

mod connection;
mod connects;
mod cores;
mod histogram;
mod load;
mod measure;
mod memory;
mod numbers;
mod options;
mod plot;
mod proc;
mod profile;
mod report;
mod sample;
mod server;
mod target;
mod tool;
mod wire;
mod works;
mod writes;

use crate::{
    cores::Cores,
    measure::Subject,
    options::{Options, Plan, USAGE},
    report::Row,
    sample::Sample,
    server::{Running, Server},
    target::Protocol,
    works::{Kind, WORKS, Work},
};
use std::{fs, io, process::ExitCode, thread, time::Duration};

/// Time for a server to close the connections of a load before the next one begins.
const SETTLE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match Options::parse(&arguments).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("webstomp-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    if options.is_list {
        WORKS.iter().for_each(|work| println!("{}", work.name));
        return Ok(());
    }
    if let Some(word) = &options.profile {
        return profile::run(options, word);
    }
    let works: Vec<&Work> = options.works().collect();
    if works.is_empty() {
        return Err(io::Error::other(format!("no work has this name\n{USAGE}")));
    }
    let (plan, cores) = (options.plan(), Cores::pin());
    report::warn_if_busy();
    let mut rows = Vec::new();
    report::print_head();
    for work in &works {
        let first = rows.len();
        rows.extend(compare(work, &options.servers(work.kind)?, &plan, &cores)?);
        rows.iter().skip(first).for_each(report::print);
    }
    if works.iter().any(|work| work.kind.is_socket()) {
        writes::print()?;
    }
    let failed = rows.iter().filter(|row| row.has_failed).count();
    report::print_method(&plan, &cores, failed);
    if let Some(path) = &options.svg {
        fs::write(path, plot::svg(&rows))?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(io::Error::other(format!("failed rows: {failed}"))),
    }
}

/// Runs a work on all servers in turn, so that changes in the speed of the machine affect all of them. A server that
/// fails is not measured again; its samples are empty.
fn compare(work: &Work, servers: &[Server], plan: &Plan, cores: &Cores) -> io::Result<Vec<Row>> {
    eprintln!("measuring: {}", work.name);
    let start = || servers.iter().map(|server| server.start(cores));
    let mut running: Vec<Running> = start().collect::<io::Result<_>>()?;
    let delivery = sample_delivery(work.kind, &running)?;
    let mut samples = vec![Some(Vec::new()); servers.len()];
    for round in 0..plan.rounds {
        if round > 0 && work.kind.needs_fresh_servers() {
            running = start().collect::<io::Result<_>>()?;
        }
        for ((server, info), samples) in running.iter().zip(servers).zip(&mut samples) {
            let Some(list) = samples else { continue };
            let subject = Subject {
                server,
                delivery: &delivery,
                tool: None,
            };
            match work.kind.measure(&subject, plan) {
                Ok(sample) => list.push(sample),
                Err(error) => {
                    eprintln!("{}: {}", work.name, server.explain(&info.name, &error));
                    *samples = None;
                }
            }
            thread::sleep(SETTLE);
        }
    }
    let samples: Vec<_> = samples.into_iter().map(Option::unwrap_or_default).collect();
    Ok(rows(work, servers, &running, &samples))
}

/// Publishes a message on the first STOMP server, and returns the delivery, which the bare server then repeats.
fn sample_delivery(kind: Kind, running: &[Running]) -> io::Result<String> {
    let Some(body) = kind.published_body() else {
        return Ok(String::new());
    };
    let is_stomp = |it: &&Running| it.target.protocol == Protocol::Stomp;
    match running.iter().find(is_stomp) {
        Some(server) => server.target.sample_delivery(body),
        None => Ok(target::typical_delivery(body)),
    }
}

fn rows(work: &Work, servers: &[Server], running: &[Running], samples: &[Vec<Sample>]) -> Vec<Row> {
    let has_cpu = samples.iter().flatten().all(|it| it.server_cpu.is_some());
    let metric = if has_cpu {
        work.metric
    } else {
        work.metric.without_cpu()
    };
    let bare = running
        .iter()
        .position(|it| it.target.protocol == Protocol::Bare)
        .and_then(|at| samples.get(at));
    let row = |(server, samples): (&Server, &Vec<Sample>)| {
        let is_bare = bare.is_some_and(|bare| std::ptr::eq(bare, samples));
        let bare = bare.map(Vec::as_slice).filter(|_| !is_bare);
        Row::new(work.name, &server.name, metric, samples, bare)
    };
    servers.iter().zip(samples).map(row).collect()
}
