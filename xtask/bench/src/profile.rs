//! `cargo xtask profile WORK`: instructions, allocations, system calls and wakes of the server for each operation.

use crate::{
    cores::Cores,
    measure::Subject,
    options::{Options, Plan},
    sample::{Metric, Sample},
    server::{Running, Server},
    tool::{Counts, Tool},
    works::Work,
};
use std::{io, time::Duration};

const PLAN: Plan = Plan {
    rounds: 1,
    warm_up: Duration::from_millis(500),
    interval: Duration::from_secs(2),
    idle: 0,
};

/// Valgrind makes a server some fifty times slower.
const PLAN_VALGRIND: Plan = Plan {
    warm_up: Duration::from_secs(2),
    interval: Duration::from_secs(5),
    ..PLAN
};

/// Profiles the first work whose name contains `word`.
pub(crate) fn run(options: &Options, word: &str) -> io::Result<()> {
    let work = crate::works::WORKS
        .iter()
        .find(|work| work.name.contains(word) && !work.kind.needs_fresh_servers())
        .ok_or_else(|| {
            io::Error::other(format!(
                "no work that can be profiled has {word:?} in its name"
            ))
        })?;
    let server = server(options)?;
    let cores = Cores::pin();
    println!("{} on `{}`, {}\n", work.name, server.name, cores.note);
    println!("| for each operation | count | from |\n|---|---|---|");
    let sample = sample(work, &server.start(&cores)?, &PLAN, None)?;
    print("CPU time, ns", Metric::CpuTime.of(&sample), "/proc");
    let wakes = sample.wakes.map(|wakes| per(wakes, &sample));
    print("wakes of a thread", wakes, "/proc");
    let strace = count(work, &server, &cores, Tool::Strace)?;
    print("write calls", strace.per(|it| it.writes), "strace");
    print("read calls", strace.per(|it| it.reads), "strace");
    print("polls for events", strace.per(|it| it.polls), "strace");
    let perf = count(work, &server, &cores, Tool::Perf)?;
    let callgrind = count(work, &server, &cores, Tool::Callgrind)?;
    print("user instructions", perf.per(|it| it.instructions), "perf");
    let instructions = callgrind.per(|it| it.instructions);
    print("user instructions", instructions, "valgrind");
    print(
        "allocations",
        callgrind.per(|it| it.allocations),
        "valgrind",
    );
    Ok(())
}

fn server(options: &Options) -> io::Result<Server> {
    if options.has_layers {
        return Server::handler("handler with layers", &["--layers"]);
    }
    if options.is_handler {
        return Server::handler("handler", &[]);
    }
    let program = options.against.as_ref().or(options.broker.as_ref());
    let program = program.ok_or_else(|| io::Error::other("--broker is missing"))?;
    Ok(Server::broker("broker", program))
}

/// The counts of a tool, or nothing if it is not installed or cannot count on this machine.
#[derive(Default)]
struct Counted(Option<(Counts, Sample)>);

impl Counted {
    fn per(&self, figure: impl Fn(&Counts) -> Option<u64>) -> Option<f64> {
        let (counts, sample) = self.0.as_ref()?;
        Some(per(figure(counts)?, sample))
    }
}

fn count(work: &Work, server: &Server, cores: &Cores, tool: Tool) -> io::Result<Counted> {
    if !tool.is_installed() {
        return Ok(Counted::default());
    }
    let mut prefix = cores.server_prefix();
    prefix.extend(tool.prefix());
    let plan = match tool {
        Tool::Callgrind => PLAN_VALGRIND,
        Tool::Perf | Tool::Strace => PLAN,
    };
    let mut sample = sample(work, &server.start_under(&prefix)?, &plan, Some(tool))?;
    let counts = sample.counts.take();
    Ok(Counted(counts.map(|counts| (counts, sample))))
}

fn sample(work: &Work, server: &Running, plan: &Plan, tool: Option<Tool>) -> io::Result<Sample> {
    // The bare server, which alone needs the text of a delivery, is not profiled.
    let subject = Subject {
        server,
        delivery: "",
        tool,
    };
    let sample = work.kind.measure(&subject, plan);
    sample.map_err(|error| server.explain("profiled", &error))
}

fn per(count: u64, sample: &Sample) -> f64 {
    count as f64 / sample.operations as f64
}

fn print(name: &str, count: Option<f64>, source: &str) {
    match count {
        Some(count) if count >= 100.0 => println!("| {name} | {count:.0} | {source} |"),
        Some(count) => println!("| {name} | {count:.3} | {source} |"),
        None => println!("| {name} | – | {source} is not installed, or cannot count here |"),
    }
}
