//! The printed report: a table of ratios, and the method of measurement.

use crate::{
    compare::{Pair, Ratio, median},
    load::{Work, after_large, latency::Latency, memory},
    options::Options,
    proc, writes,
};

/// A line of the table.
pub(crate) struct Row {
    name: &'static str,
    cells: Vec<(&'static str, Option<Ratio>)>,
    note: String,
}

impl Row {
    pub(crate) fn work(name: &'static str, rounds: &[Pair<Work>]) -> Row {
        Row {
            name,
            cells: vec![
                ("per CPU second", Ratio::of(rounds, Work::per_cpu_second)),
                (
                    "per second",
                    Ratio::of(rounds, |work| Some(work.per_second())),
                ),
            ],
            note: busy(rounds).unwrap_or_default(),
        }
    }

    pub(crate) fn latency(name: &'static str, rounds: &[Pair<Latency>]) -> Row {
        Row {
            name,
            cells: vec![
                ("time, p50", Ratio::of(rounds, |time| Some(time.p50))),
                ("time, p99", Ratio::of(rounds, |time| Some(time.p99))),
            ],
            note: "lower is better".to_owned(),
        }
    }

    pub(crate) fn memory(name: &'static str, rounds: &[Pair<Option<f64>>]) -> Row {
        Row {
            name,
            cells: vec![("memory", Ratio::of(rounds, |bytes| *bytes))],
            note: format!(
                "lower is better; {} connections, {} rounds of fresh processes",
                memory::connections(),
                memory::ROUNDS,
            ),
        }
    }

    pub(crate) fn after_large(name: &'static str, rounds: &[Pair<Option<f64>>]) -> Row {
        Row {
            name,
            cells: vec![("memory", Ratio::of(rounds, |bytes| *bytes))],
            note: format!(
                "lower is better; {} connections, {:?} after a message of {} bytes each; those of the \
                 baseline sent none; {} rounds of fresh processes",
                after_large::connections(),
                after_large::PAUSE,
                after_large::BYTES,
                after_large::ROUNDS,
            ),
        }
    }
}

/// The share of the time in which each server ran on a processor. A share well below 1.00 means that the load or other
/// programs were the bottleneck, not the server.
fn busy(rounds: &[Pair<Work>]) -> Option<String> {
    let baseline = median(rounds.iter().map(|pair| pair.baseline.busy()))?;
    let app = median(rounds.iter().map(|pair| pair.app.busy()))?;
    Some(format!("servers busy {baseline:.2}, {app:.2}"))
}

pub(crate) fn print_head(options: &Options) {
    if options.noise {
        println!("baseline / baseline: the distance from 1.00 is noise");
    } else {
        let measured = if options.socket {
            "stomp-socket"
        } else {
            "webstomp"
        };
        println!("{measured} / baseline: 1.00 is a bare tokio-tungstenite server");
    }
}

pub(crate) fn print(row: &Row) {
    let mut line = format!("{:<16}", row.name);
    for (label, ratio) in &row.cells {
        let ratio = ratio.as_ref().map_or("–".to_owned(), Ratio::to_string);
        line += &format!("  {:<32}", format!("{label} {ratio}"));
    }
    println!("{line}  {}", row.note);
}

pub(crate) fn print_writes(calls: usize) {
    let (frames, bytes) = (writes::FRAMES, writes::BYTES);
    println!(
        "{:<16}  {calls} for {frames} frames of {bytes} bytes, fed and then flushed",
        "write calls"
    );
}

pub(crate) fn print_method(options: &Options) {
    let plan = &options.plan;
    println!(
        "measured: medians (lowest–highest) of {} interleaved rounds of {:?} after {:?} of warm-up, \
         over loopback; busy: the share of a round in which a server ran on a processor",
        plan.rounds, plan.interval, plan.warm_up,
    );
    match proc::cpu_source() {
        Some(source) => println!("CPU time: of the server alone, from {source}"),
        None => println!("this system has no /proc: only throughput and latency are compared"),
    }
}
