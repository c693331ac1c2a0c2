//! Measures two servers in turn, and computes the ratios of their values.

use crate::server::Server;
use std::{fmt, io, time::Duration};
use tokio::time::timeout;

/// Maximum time of a load, so that the benchmark ends if a server hangs. It is much more than a load needs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A pair of values, one for each of the two servers.
pub(crate) struct Pair<T> {
    pub(crate) baseline: T,
    pub(crate) app: T,
}

/// Runs a load on the baseline and the app in turn, so that changes in the speed of the machine affect both.
pub(crate) async fn interleaved<T>(
    rounds: usize,
    servers: &Pair<Server>,
    load: impl AsyncFn(&Server) -> io::Result<T>,
) -> io::Result<Vec<Pair<T>>> {
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        pairs.push(Pair {
            baseline: timeout(TIMEOUT, load(&servers.baseline)).await??,
            app: timeout(TIMEOUT, load(&servers.app)).await??,
        });
    }
    Ok(pairs)
}

/// The ratio of the app to the baseline: its median, lowest and highest value in all rounds.
pub(crate) struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    /// Computes the ratio of `figure` in all rounds. Returns `None` if the figure is missing in any round.
    pub(crate) fn of<T>(rounds: &[Pair<T>], figure: impl Fn(&T) -> Option<f64>) -> Option<Ratio> {
        let ratio = |pair: &Pair<T>| Some(figure(&pair.app)? / figure(&pair.baseline)?);
        let ratios = sorted(rounds.iter().map(ratio))?;
        Some(Ratio {
            median: *ratios.get(ratios.len() / 2)?,
            low: *ratios.first()?,
            high: *ratios.last()?,
        })
    }
}

/// Returns the median, or `None` if a figure is missing.
pub(crate) fn median(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let figures = sorted(figures)?;
    figures.get(figures.len() / 2).copied()
}

fn sorted(figures: impl Iterator<Item = Option<f64>>) -> Option<Vec<f64>> {
    let mut figures: Vec<f64> = figures.collect::<Option<_>>()?;
    figures.sort_by(f64::total_cmp);
    Some(figures)
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio { median, low, high } = self;
        write!(f, "{median:.2} ({low:.2}–{high:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_prints_its_median_between_its_extremes() {
        let round = |baseline, app| Pair { baseline, app };
        let rounds = [round(1.0, 0.9), round(2.0, 3.0), round(4.0, 4.0)];
        let ratio = Ratio::of(&rounds, |figure| Some(*figure)).unwrap();
        assert_eq!(ratio.to_string(), "1.00 (0.90–1.50)");
        assert!(Ratio::of(&rounds, |_| None).is_none());
    }
}
