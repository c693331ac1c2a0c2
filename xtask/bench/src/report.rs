//! The report: a table in Markdown, and the method of measurement.

use crate::{
    cores::Cores,
    options::Plan,
    proc,
    sample::{Metric, Sample, Spread, Times},
};

/// A side that uses more than this share of the time of a processor limits the other.
const BUSY: f64 = 0.9;

/// A line of the table.
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) server: String,
    pub(crate) metric: Metric,
    value: Option<Spread>,
    /// The ratio to the bare server.
    pub(crate) ratio: Option<Spread>,
    times: Option<Times>,
    busy: (Option<f64>, Option<f64>),
    /// True if the server failed, so that there are no samples.
    pub(crate) has_failed: bool,
}

impl Row {
    /// Creates the line of a server from its samples. `bare` are the samples of the bare server in the same rounds.
    pub(crate) fn new(
        work: &'static str,
        server: &str,
        metric: Metric,
        samples: &[Sample],
        bare: Option<&[Sample]>,
    ) -> Row {
        let ratio = |(sample, bare)| Some(metric.of(sample)? / metric.of(bare)?);
        let busy = |of: fn(&Sample) -> Option<f64>| {
            Spread::of(samples.iter().map(of)).map(|share| share.median)
        };
        let times = |of: fn(Times) -> f64| {
            let times = samples.iter().map(|sample| sample.times.map(of));
            Spread::of(times).map(|time| time.median)
        };
        Row {
            work,
            server: server.to_owned(),
            metric,
            value: Spread::of(samples.iter().map(|sample| metric.of(sample))),
            ratio: bare.and_then(|bare| Spread::of(samples.iter().zip(bare).map(ratio))),
            times: times(|it| it.p50)
                .zip(times(|it| it.p99))
                .map(|(p50, p99)| Times { p50, p99 }),
            has_failed: samples.is_empty(),
            busy: (busy(|it| it.busy().0), busy(|it| it.busy().1)),
        }
    }

    fn limit(&self) -> &'static str {
        match self.busy {
            _ if self.metric == Metric::Memory => "–",
            (Some(server), Some(generator)) => match (server >= BUSY, generator >= BUSY) {
                (true, false) => "server",
                (false, true) => "generator",
                (true, true) => "both",
                (false, false) => "neither",
            },
            (None, Some(generator)) if generator >= BUSY => "generator",
            _ => "unknown",
        }
    }
}

/// Warns about other programs, which take the time of the cores and their caches.
pub(crate) fn warn_if_busy() {
    if let Some(load) = proc::load_average().filter(|load| *load >= 1.0) {
        eprintln!(
            "warning: the load average is {load}. Other programs disturb the figures, above all times and percentiles."
        );
    }
}

pub(crate) fn print_head() {
    println!(
        "| work | server | figure | median (lowest–highest) | to bare | p50 / p99 | busy: server / generator | limit |"
    );
    println!("|---|---|---|---|---|---|---|---|");
}

pub(crate) fn print(row: &Row) {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let times = row.times.map(|times| {
        let (p50, p99) = (time(times.p50), time(times.p99));
        format!("{p50} / {p99}")
    });
    let share = |share: Option<f64>| or_dash(share.map(|share| format!("{share:.2}")));
    println!(
        "| {} | {} | {} | {} | {} | {} | {} / {} | {} |",
        row.work,
        row.server,
        row.metric.label(),
        if row.has_failed {
            "failed".to_owned()
        } else {
            or_dash(row.value.map(|value| value.to_string()))
        },
        or_dash(row.ratio.map(|ratio| ratio.to_string())),
        or_dash(times),
        share(row.busy.0),
        share(row.busy.1),
        row.limit(),
    );
}

pub(crate) fn print_method(plan: &Plan, cores: &Cores, failed: usize) {
    let Plan {
        rounds,
        warm_up,
        interval,
        idle,
    } = plan;
    println!(
        "\nMedians of {rounds} rounds, in which the servers took turns: {interval:?} after {warm_up:?} of warm-up, twice \
         as long where messages are sent by the clock; {idle} idle connections. Over loopback; {}; a server at a URL \
         keeps its cores. `bare` is a tokio-tungstenite server that delivers the same bytes; a ratio compares the same \
         round. `limit` is the side that was busy for more than {BUSY} of the time.",
        cores.note,
    );
    if failed == 0 {
        println!("Nothing was lost, doubled or out of order.");
    }
    match proc::cpu_source() {
        Some(source) => println!("CPU time: of the server's process alone, from {source}."),
        None => println!("This system has no /proc, so CPU time and memory are unknown."),
    }
    if let Some(load) = proc::load_average() {
        println!("Load average of this machine at the end: {load}.");
    }
}

/// Prints a time in a unit that fits.
fn time(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.0} µs", seconds * 1e6)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(operations: u64, server: u64, generator: u64) -> Sample {
        Sample {
            operations,
            wall: Duration::from_millis(100),
            server_cpu: Some(Duration::from_millis(server)),
            generator_cpu: Some(Duration::from_millis(generator)),
            ..Sample::default()
        }
    }

    #[test]
    fn a_row_compares_the_same_rounds_and_names_the_busy_side() {
        let bare = [sample(100, 100, 50), sample(200, 100, 50)];
        let app = [sample(50, 95, 20), sample(100, 95, 20)];
        let metric = Metric::PerSecond;
        let row = Row::new("work", "app", metric, &app, Some(&bare));
        assert_eq!(row.ratio.unwrap().to_string(), "0.50 (0.50–0.50)");
        assert_eq!(row.limit(), "server");
        let row = Row::new("work", "app", metric, &[sample(1, 50, 95)], None);
        assert_eq!((row.limit(), row.ratio), ("generator", None));
        let row = Row::new("work", "app", metric, &[sample(1, 50, 50)], None);
        assert_eq!(row.limit(), "neither");
    }
}
