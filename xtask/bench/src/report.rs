//! What is printed: a table of ratios, and how they came about.

use crate::{
    compare::{Pair, Ratio, median},
    load::{Work, latency::Latency, memory, rest},
    options::Options,
    proc, writes,
};

pub(crate) struct Row {
    name: &'static str,
    cells: Vec<(&'static str, Option<Ratio>)>,
    note: String,
}

impl Row {
    pub(crate) fn work(name: &'static str, rounds: &[Pair<Work>]) -> Self {
        Self {
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

    pub(crate) fn latency(name: &'static str, rounds: &[Pair<Latency>]) -> Self {
        Self {
            name,
            cells: vec![
                ("time, p50", Ratio::of(rounds, |time| Some(time.p50))),
                ("time, p99", Ratio::of(rounds, |time| Some(time.p99))),
            ],
            note: "lower is better".to_owned(),
        }
    }

    pub(crate) fn memory(name: &'static str, rounds: &[Pair<Option<f64>>]) -> Self {
        Self {
            name,
            cells: vec![("memory", Ratio::of(rounds, |bytes| *bytes))],
            note: format!(
                "lower is better; {} connections, {} rounds of fresh processes",
                memory::connections(),
                memory::ROUNDS,
            ),
        }
    }

    pub(crate) fn rest(name: &'static str, rounds: &[Pair<Option<f64>>]) -> Self {
        Self {
            name,
            cells: vec![("memory", Ratio::of(rounds, |bytes| *bytes))],
            note: format!(
                "lower is better; {} connections after a message of {} bytes and {:?} of rest, \
                 to as many that have only connected to the floor; {} rounds of fresh processes",
                rest::connections(),
                rest::BYTES,
                rest::REST,
                rest::ROUNDS,
            ),
        }
    }
}

/// Well below 1.00, something else held a server back: the load itself, or other work here.
fn busy(rounds: &[Pair<Work>]) -> Option<String> {
    let floor = median(rounds.iter().map(|pair| pair.floor.busy()))?;
    let app = median(rounds.iter().map(|pair| pair.app.busy()))?;
    Some(format!("servers busy {floor:.2}, {app:.2}"))
}

pub(crate) fn print_head(options: &Options) {
    if options.noise {
        println!("floor / floor: how far from 1.00 is noise here");
    } else {
        let measured = if options.socket {
            "stomp-socket"
        } else {
            "webstomp"
        };
        println!("{measured} / floor: 1.00 is a bare tokio-tungstenite server");
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
        "{:<16}  {calls} for {frames} frames of {bytes} bytes that are fed and then flushed",
        "write calls"
    );
}

pub(crate) fn print_method(options: &Options) {
    let plan = &options.plan;
    println!(
        "measured: medians (lowest–highest) of {} interleaved rounds of {:?} after {:?} of warm-up, \
         over loopback; busy: the share \
         of it in which a server ran",
        plan.rounds, plan.interval, plan.warm_up,
    );
    match proc::cpu_source() {
        Some(source) => println!("CPU time: the server's alone, from {source}"),
        None => println!("there is no /proc here: only throughput and latency are compared"),
    }
}
