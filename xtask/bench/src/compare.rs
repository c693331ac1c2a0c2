//! Two servers in turn, and the ratios that remain.

use crate::server::Server;
use std::{fmt, io, time::Duration};
use tokio::time::timeout;

/// Far more than any load takes: a server that hangs ends the bench.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Pair<T> {
    pub(crate) floor: T,
    pub(crate) app: T,
}

/// Floor, app, floor, app …, so that what changes on the machine meanwhile meets both.
pub(crate) async fn interleaved<T>(
    rounds: usize,
    servers: &Pair<Server>,
    load: impl AsyncFn(&Server) -> io::Result<T>,
) -> io::Result<Vec<Pair<T>>> {
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        pairs.push(Pair {
            floor: timeout(PATIENCE, load(&servers.floor)).await??,
            app: timeout(PATIENCE, load(&servers.app)).await??,
        });
    }
    Ok(pairs)
}

/// App to floor, of all rounds: the median, and between what it lies.
pub(crate) struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    /// Nothing, if a figure is missing in any round.
    pub(crate) fn of<T>(rounds: &[Pair<T>], figure: impl Fn(&T) -> Option<f64>) -> Option<Self> {
        let ratio = |pair: &Pair<T>| Some(figure(&pair.app)? / figure(&pair.floor)?);
        let ratios = sorted(rounds.iter().map(ratio))?;
        Some(Self {
            median: *ratios.get(ratios.len() / 2)?,
            low: *ratios.first()?,
            high: *ratios.last()?,
        })
    }
}

/// Nothing, if a figure is missing.
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
        let Self { median, low, high } = self;
        write!(f, "{median:.2} ({low:.2}–{high:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_round_stands_between_the_extremes() {
        let round = |floor, app| Pair { floor, app };
        let rounds = [round(1.0, 0.9), round(2.0, 3.0), round(4.0, 4.0)];
        let ratio = Ratio::of(&rounds, |figure| Some(*figure)).unwrap();
        assert_eq!(ratio.to_string(), "1.00 (0.90–1.50)");
        assert!(Ratio::of(&rounds, |_| None).is_none());
    }
}
