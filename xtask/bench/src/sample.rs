//! One measurement of a server, and figures of several.

use crate::{histogram::Histogram, tool::Counts};
use std::{fmt, time::Duration};

/// The work of a server and of the generator in an interval, or the memory of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) operations: u64,
    pub(crate) wall: Duration,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) generator_cpu: Option<Duration>,
    /// Time from a message to its answer, or to its delivery.
    pub(crate) times: Option<Times>,
    pub(crate) bytes_per_connection: Option<f64>,
    /// Number of times that a thread of the server was woken.
    pub(crate) wakes: Option<u64>,
    /// The counts of a tool, if one was attached.
    pub(crate) counts: Option<Counts>,
}

/// Percentiles, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Times {
    pub(crate) fn of(histogram: &Histogram) -> Option<Times> {
        Some(Times {
            p50: histogram.percentile(500)?,
            p99: histogram.percentile(990)?,
        })
    }
}

/// The figure of a sample that a work is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metric {
    /// Operations per second of CPU time of the server.
    PerCpuSecond,
    /// Operations per second.
    PerSecond,
    /// CPU time of the server for an operation.
    CpuTime,
    P50,
    P99,
    Memory,
}

impl Metric {
    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        let operations = sample.operations as f64;
        match self {
            Metric::PerCpuSecond => Some(operations / 1e3 / sample.server_cpu?.as_secs_f64()),
            Metric::PerSecond => Some(operations / 1e3 / sample.wall.as_secs_f64()),
            Metric::CpuTime => Some(sample.server_cpu?.as_secs_f64() * 1e9 / operations),
            Metric::P50 => Some(sample.times?.p50 * 1e6),
            Metric::P99 => Some(sample.times?.p99 * 1e3),
            Metric::Memory => Some(sample.bytes_per_connection? / 1024.0),
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Metric::PerCpuSecond => "thousands per CPU second",
            Metric::PerSecond => "thousands per second",
            Metric::CpuTime => "ns of CPU for each (less is better)",
            Metric::P50 => "p50 in µs (less is better)",
            Metric::P99 => "p99 in ms (less is better)",
            Metric::Memory => "KiB per connection (less is better)",
        }
    }

    pub(crate) fn is_less_better(self) -> bool {
        !matches!(self, Metric::PerCpuSecond | Metric::PerSecond)
    }

    /// The same metric without CPU times, for servers whose CPU time is unknown.
    pub(crate) fn without_cpu(self) -> Metric {
        match self {
            Metric::PerCpuSecond | Metric::CpuTime => Metric::PerSecond,
            other => other,
        }
    }
}

impl Sample {
    /// The share of the interval in which the server, and the generator, ran on a processor.
    pub(crate) fn busy(&self) -> (Option<f64>, Option<f64>) {
        let share = |cpu: Duration| cpu.as_secs_f64() / self.wall.as_secs_f64();
        (self.server_cpu.map(share), self.generator_cpu.map(share))
    }
}

/// The median of some values, between the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Returns `None` if a value is missing, or if there are none.
    pub(crate) fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect::<Option<_>>()?;
        values.sort_by(f64::total_cmp);
        Some(Spread {
            median: *values.get(values.len() / 2)?,
            low: *values.first()?,
            high: *values.last()?,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { median, low, high } = self;
        let digits = match *median {
            median if median >= 100.0 => 0,
            median if median >= 10.0 => 1,
            _ => 2,
        };
        write!(f, "{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_prints_its_median_between_its_extremes() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied().map(Some)).unwrap();
        assert_eq!(spread(&[0.9, 1.5, 1.0]).to_string(), "1.00 (0.90–1.50)");
        assert_eq!(spread(&[120.4]).to_string(), "120 (120–120)");
        assert_eq!(Spread::of([Some(1.0), None].into_iter()), None);
        assert_eq!(Spread::of([].into_iter()), None);
    }

    #[test]
    fn work_is_divided_by_the_cpu_time_of_the_server_alone() {
        let sample = Sample {
            operations: 6_000,
            wall: Duration::from_secs(2),
            server_cpu: Some(Duration::from_secs(1)),
            generator_cpu: Some(Duration::from_millis(500)),
            ..Sample::default()
        };
        assert_eq!(Metric::PerCpuSecond.of(&sample), Some(6.0));
        assert_eq!(Metric::PerSecond.of(&sample), Some(3.0));
        assert_eq!(sample.busy(), (Some(0.5), Some(0.25)));
        assert_eq!(Metric::P99.of(&sample), None);
    }
}
